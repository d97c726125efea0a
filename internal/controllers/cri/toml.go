package cri

import (
	"fmt"

	"github.com/pelletier/go-toml/v2"
)

// MergeTOML lays TOML documents over each other: tables are merged key by key,
// any other value takes the place of the one below it.
func MergeTOML(documents ...string) (string, error) {
	merged := map[string]any{}

	for _, document := range documents {
		var layer map[string]any
		if err := toml.Unmarshal([]byte(document), &layer); err != nil {
			return "", fmt.Errorf("parsing a part of the container runtime's configuration: %w", err)
		}

		Overlay(merged, layer)
	}

	out, err := toml.Marshal(merged)
	if err != nil {
		return "", fmt.Errorf("rendering the container runtime's configuration: %w", err)
	}

	return string(out), nil
}

// Overlay writes the values of layer over those of base. Maps on both sides
// are merged; any other value, a list too, replaces what was there.
func Overlay(base, layer map[string]any) {
	for key, value := range layer {
		below, isMap := base[key].(map[string]any)

		if above, ok := value.(map[string]any); ok && isMap {
			Overlay(below, above)
		} else {
			base[key] = value
		}
	}
}
