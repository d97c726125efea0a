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
func (c *Config) Redacted() ([]byte, error) {
	redacted := Config{docs: make([]Document, 0, len(c.docs))}

	for _, doc := range c.docs {
		root, found := typed.Redact(doc.root, reflect.TypeOf(doc.Value), Hidden)
		if found {
			text, err := typed.Text(root)
			if err != nil {
				return nil, fmt.Errorf("encoding %s: %w", doc.title(), err)
			}

			doc.text = text
		}

		redacted.docs = append(redacted.docs, doc)
	}

	return redacted.Bytes(), nil
}
