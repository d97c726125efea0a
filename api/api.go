// Package api holds the wire contract of a node and of the services around it
// as .proto files, each at the path by which the wire knows it, and the Go
// code generated from those that declare services.
//
// Specs of resources have .proto files here and no generated Go: a spec is
// written once, as a Go struct with its codec, and tests compare that codec
// with the messages that Compile returns.
package api

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"strings"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/linker"
	expr "google.golang.org/genproto/googleapis/api/expr/v1alpha1"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
)

//go:generate go run ./internal/generate

//go:embed */*.proto resource/*/*.proto resource/definitions/*/*.proto v1alpha1/*/*.proto
var sources embed.FS

// Sources returns the .proto files of the contract by path. The result is
// read-only and safe for concurrent use.
func Sources() fs.FS {
	return sources
}

// Paths returns the paths of all .proto files of the contract, sorted.
func Paths() ([]string, error) {
	var paths []string
	err := fs.WalkDir(sources, ".", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && strings.HasSuffix(path, ".proto") {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing .proto files: %w", err)
	}
	return paths, nil
}

// Compile compiles all .proto files of the contract, with their comments, and
// returns them in the order of Paths.
func Compile(ctx context.Context) (linker.Files, error) {
	paths, err := Paths()
	if err != nil {
		return nil, err
	}
	compiler := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(protocompile.ResolverFunc(resolve)),
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	files, err := compiler.Compile(ctx, paths...)
	if err != nil {
		return nil, fmt.Errorf("compiling .proto files: %w", err)
	}
	return files, nil
}

// foreign returns the imported files that are neither ours nor part of the
// protobuf distribution.
func foreign() []protoreflect.FileDescriptor {
	return []protoreflect.FileDescriptor{
		status.File_google_rpc_status_proto,
		expr.File_google_api_expr_v1alpha1_checked_proto,
		expr.File_google_api_expr_v1alpha1_syntax_proto,
	}
}

// resolve finds an import.
func resolve(path string) (protocompile.SearchResult, error) {
	for _, file := range foreign() {
		if file.Path() == path {
			return protocompile.SearchResult{Desc: file}, nil
		}
	}
	source, err := sources.Open(path)
	if err != nil {
		return protocompile.SearchResult{}, err
	}
	return protocompile.SearchResult{Source: source}, nil
}
