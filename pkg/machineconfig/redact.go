package machineconfig

import (
	"fmt"
	"reflect"

	"github.com/basalt-os/basalt/pkg/machineconfig/internal/typed"
)

// Hidden is what stands in the place of secrets.
const Hidden = "******"

// Redacted is the configuration as YAML with all secrets replaced by [Hidden].
// It is for people to read; it cannot be loaded.
func (c *Config) Redacted() ([]byte, error) { return redact(c.docs...) }

func redact(docs ...Document) ([]byte, error) {
	redacted := make([]Document, 0, len(docs))

	for _, doc := range docs {
		root, found := typed.Redact(doc.root, reflect.TypeOf(doc.Value), Hidden)
		if found {
			text, err := typed.Text(root)
			if err != nil {
				return nil, fmt.Errorf("encoding %s: %w", doc.title(), err)
			}

			doc.text = text
		}

		redacted = append(redacted, doc)
	}

	return stream(redacted), nil
}
