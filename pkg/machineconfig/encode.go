package machineconfig

import (
	"fmt"

	"go.yaml.in/yaml/v4"

	"github.com/basalt-os/basalt/pkg/machineconfig/document"
	"github.com/basalt-os/basalt/pkg/machineconfig/internal/typed"
)

// Encode is documents as YAML text, each a pointer to a struct of package
// document, as a configuration or a strategic patch has them.
func Encode(docs ...any) ([]byte, error) {
	var text []byte

	for i, doc := range docs {
		if i > 0 {
			text = append(text, "---\n"...)
		}

		encoded, err := typed.Text(tree(doc))
		if err != nil {
			return nil, fmt.Errorf("encoding %s: %w", document.KindOf(doc), err)
		}

		text = append(text, encoded...)
	}

	return text, nil
}

// tree is a document as a tree, with its header.
func tree(doc any) *yaml.Node {
	root := typed.Encode(doc)

	if kind := document.KindOf(doc); kind != "" {
		root.Content = append([]*yaml.Node{
			typed.String("apiVersion"), typed.String(document.VersionOf(doc)),
			typed.String("kind"), typed.String(kind),
		}, root.Content...)
	}

	return root
}

// New is a configuration of documents, each a pointer to a struct of package
// document.
func New(docs ...any) (*Config, error) {
	text, err := Encode(docs...)
	if err != nil {
		return nil, err
	}

	return Load(text, Options{})
}
