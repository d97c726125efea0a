// Command generate writes the Go code of the wire contract: messages and gRPC
// stubs of every .proto file that declares a service, and messages of the
// files that those import. It needs no protoc: the files are compiled here and
// handed to the two plugins, which are tools of this module.
//
// It runs in the folder api, by go generate.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"

	"github.com/basalt-os/basalt/api"
)

const modulePrefix = "github.com/basalt-os/basalt/api"

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	files, err := api.Compile(ctx)
	if err != nil {
		return err
	}
	request := &pluginpb.CodeGeneratorRequest{Parameter: proto.String("module=" + modulePrefix)}
	set := fileSet{seen: map[string]bool{}}
	for _, file := range files {
		if file.Services().Len() > 0 || payloadOnly(file.Path()) {
			set.add(file)
		}
	}
	request.ProtoFile = set.files
	request.FileToGenerate = set.ours
	for _, plugin := range []string{"protoc-gen-go", "protoc-gen-go-grpc"} {
		if err := generate(ctx, plugin, request); err != nil {
			return err
		}
	}
	return nil
}

// payloadOnly reports files without a service whose messages travel inside
// opaque fields of another service.
func payloadOnly(path string) bool {
	return path == "v1alpha1/client/affiliate.proto"
}

// fileSet collects files after everything that they import.
type fileSet struct {
	seen  map[string]bool
	files []*descriptorpb.FileDescriptorProto
	ours  []string
}

func (s *fileSet) add(file protoreflect.FileDescriptor) {
	if s.seen[file.Path()] {
		return
	}
	s.seen[file.Path()] = true
	for i := range file.Imports().Len() {
		s.add(file.Imports().Get(i).FileDescriptor)
	}
	descriptor := protodesc.ToFileDescriptorProto(file)
	s.files = append(s.files, descriptor)
	if strings.HasPrefix(descriptor.GetOptions().GetGoPackage(), modulePrefix) {
		s.ours = append(s.ours, file.Path())
	}
}

// generate runs a plugin and writes the files it answers with.
func generate(ctx context.Context, plugin string, request *pluginpb.CodeGeneratorRequest) error {
	input, err := proto.Marshal(request)
	if err != nil {
		return fmt.Errorf("encoding request for %s: %w", plugin, err)
	}
	command := exec.CommandContext(ctx, "go", "tool", plugin)
	command.Stdin = bytes.NewReader(input)
	command.Stderr = os.Stderr
	output, err := command.Output()
	if err != nil {
		return fmt.Errorf("running %s: %w", plugin, err)
	}
	var response pluginpb.CodeGeneratorResponse
	if err := proto.Unmarshal(output, &response); err != nil {
		return fmt.Errorf("decoding answer of %s: %w", plugin, err)
	}
	if response.Error != nil {
		return fmt.Errorf("running %s: %w", plugin, errors.New(response.GetError()))
	}
	for _, file := range response.File {
		if err := os.MkdirAll(filepath.Dir(file.GetName()), 0o755); err != nil {
			return fmt.Errorf("creating folder of %s: %w", file.GetName(), err)
		}
		if err := os.WriteFile(file.GetName(), []byte(file.GetContent()), 0o644); err != nil {
			return fmt.Errorf("writing generated code: %w", err)
		}
	}
	return nil
}
