package network

import (
	"fmt"

	"go.yaml.in/yaml/v4"
)

// EthernetFeatureStatusList is the offload features of an adapter, in the
// kernel's order. In YAML it is a mapping from name to status.
type EthernetFeatureStatusList []EthernetFeatureStatus

// MarshalYAML implements yaml.Marshaler.
func (l EthernetFeatureStatusList) MarshalYAML() (any, error) {
	node := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}

	for _, feature := range l {
		for _, text := range []string{feature.Name, feature.Status} {
			var scalar yaml.Node
			if err := scalar.Encode(text); err != nil {
				return nil, fmt.Errorf("encoding feature %s: %w", feature.Name, err)
			}

			node.Content = append(node.Content, &scalar)
		}
	}

	return node, nil
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (l *EthernetFeatureStatusList) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: want a mapping from feature to status", node.Line)
	}

	*l = nil

	for i := 0; i+1 < len(node.Content); i += 2 {
		*l = append(*l, EthernetFeatureStatus{
			Name:   node.Content[i].Value,
			Status: node.Content[i+1].Value,
		})
	}

	return nil
}
