package codec

import (
	"encoding/json"
	"fmt"

	"go.yaml.in/yaml/v4"
)

// appendJSON appends the JSON form of node, keeping the order of mappings.
func appendJSON(b []byte, node *yaml.Node) ([]byte, error) {
	switch node.Kind {
	case yaml.DocumentNode:
		return appendJSON(b, node.Content[0])
	case yaml.MappingNode:
		return appendObject(b, node)
	case yaml.SequenceNode:
		b = append(b, '[')

		for i, item := range node.Content {
			if i > 0 {
				b = append(b, ',')
			}

			var err error
			if b, err = appendJSON(b, item); err != nil {
				return nil, err
			}
		}

		return append(b, ']'), nil
	case yaml.ScalarNode:
		return appendScalar(b, node)
	default:
		return nil, fmt.Errorf("node of kind %d has no JSON form", node.Kind)
	}
}

func appendObject(b []byte, node *yaml.Node) ([]byte, error) {
	b = append(b, '{')

	for i := 0; i+1 < len(node.Content); i += 2 {
		if i > 0 {
			b = append(b, ',')
		}

		key, err := json.Marshal(node.Content[i].Value)
		if err != nil {
			return nil, fmt.Errorf("encoding key: %w", err)
		}

		b = append(append(b, key...), ':')

		if b, err = appendJSON(b, node.Content[i+1]); err != nil {
			return nil, err
		}
	}

	return append(b, '}'), nil
}

func appendScalar(b []byte, node *yaml.Node) ([]byte, error) {
	switch node.ShortTag() {
	case "!!null":
		return append(b, "null"...), nil
	case "!!bool":
		return append(b, node.Value...), nil
	case "!!int", "!!float":
		if json.Valid([]byte(node.Value)) {
			return append(b, node.Value...), nil
		}
	}

	// Text, and the numbers that JSON does not know: infinities and NaN.
	text, err := json.Marshal(node.Value)
	if err != nil {
		return nil, fmt.Errorf("encoding text: %w", err)
	}

	return append(b, text...), nil
}
