package machineconfig

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/basalt-os/basalt/pkg/machineconfig/document"
	"github.com/basalt-os/basalt/pkg/machineconfig/internal/typed"
)

// Schema is the JSON schema of one document of a configuration, for editors. It
// has no deprecated fields.
func Schema() ([]byte, error) {
	schema := typed.Schema{Defs: make(map[string]any)}

	var kinds []any

	for _, doc := range document.Kinds() {
		kinds = append(kinds, schema.Add(reflect.TypeOf(doc), document.KindOf(doc), document.VersionOf(doc)))
	}

	kinds = append(kinds, schema.Add(reflect.TypeFor[document.V1Alpha1](), "", ""))

	text, err := json.MarshalIndent(map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema",
		"$id":     "https://basalt-os.dev/schemas/config.schema.json",
		"$defs":   schema.Defs,
		"oneOf":   kinds,
	}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding JSON schema: %w", err)
	}

	return append(text, '\n'), nil
}
