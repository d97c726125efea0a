// Package patches reads patches of machine configurations from the command
// line.
package patches

import (
	"fmt"
	"os"
	"strings"

	"github.com/basalt-os/basalt/pkg/machineconfig"
)

// Load parses the values of a flag, each the text of a patch or @file.
func Load(flag string, values []string) ([]machineconfig.Patch, error) {
	patches := make([]machineconfig.Patch, 0, len(values))

	for _, value := range values {
		text, name := []byte(value), flag

		if path, ok := strings.CutPrefix(value, "@"); ok {
			var err error
			if text, err = os.ReadFile(path); err != nil {
				return nil, fmt.Errorf("%s: %w", flag, err)
			}

			name = path
		}

		patch, err := machineconfig.LoadPatch(text, machineconfig.Options{File: name})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", flag, err)
		}

		patches = append(patches, patch)
	}

	return patches, nil
}

// Config reads a machine configuration from a file.
func Config(path string) (*machineconfig.Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading machine configuration: %w", err)
	}

	return machineconfig.Load(data, machineconfig.Options{File: path})
}
