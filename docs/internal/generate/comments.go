package main

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
)

// modulePath is the module that the documented structs are in.
const modulePath = "github.com/basalt-os/basalt"

// typeComment is what the source says about a struct.
type typeComment struct {
	doc    string
	fields map[string]string // by Go name
}

// comments are those of structs by import path and name, and those of packages
// by import path alone.
type comments map[string]typeComment

// readComments parses the packages that have documented structs.
func readComments(root string) (comments, error) {
	dirs, err := filepath.Glob(filepath.Join(root, "internal", "resources", "*"))
	if err != nil {
		return nil, err
	}

	all := comments{}

	for _, dir := range append(dirs, filepath.Join(root, "pkg", "machineconfig", "document"), filepath.Join(root, "pkg", "secrets")) {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			return nil, err
		}

		relative, err := filepath.Rel(root, dir)
		if err != nil {
			return nil, err
		}

		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}

			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.SkipObjectResolution)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			} else if err != nil {
				return nil, err
			}

			all.add(path.Join(modulePath, filepath.ToSlash(relative)), parsed)
		}
	}

	return all, nil
}

func (c comments) add(importPath string, file *ast.File) {
	if file.Doc != nil {
		c[importPath] = typeComment{doc: plain(file.Doc.Text())}
	}

	for _, declaration := range file.Decls {
		general, ok := declaration.(*ast.GenDecl)
		if !ok || general.Tok != token.TYPE {
			continue
		}

		for _, spec := range general.Specs {
			declared := spec.(*ast.TypeSpec)

			doc := declared.Doc
			if doc == nil {
				doc = general.Doc
			}

			comment := typeComment{doc: plain(doc.Text()), fields: map[string]string{}}

			if structure, ok := declared.Type.(*ast.StructType); ok {
				for _, field := range structure.Fields.List {
					for _, name := range field.Names {
						comment.fields[name.Name] = plain(field.Doc.Text() + field.Comment.Text())
					}
				}
			}

			c[importPath+"."+declared.Name.Name] = comment
		}
	}
}

// of returns the comments of a type.
func (c comments) of(t reflect.Type) typeComment { return c[t.PkgPath()+"."+t.Name()] }

// reference is a doc link of a Go comment.
var reference = regexp.MustCompile(`\[([A-Za-z0-9_.]+)\]`)

// plain is a comment as running text.
func plain(text string) string {
	return strings.Join(strings.Fields(reference.ReplaceAllString(text, "$1")), " ")
}
