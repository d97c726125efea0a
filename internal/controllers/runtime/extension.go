package runtime

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/extension"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resources/runtime"
)

// Extensions shows the system extensions of the image that was booted, from the
// lowest layer up. File is their list, which stage 1 leaves; an image without
// extensions has none.
func Extensions(file string) reconcile.Controller {
	return derive.All("runtime.ExtensionStatusController", nil,
		func(context.Context, *reconcile.Runtime) (map[string]runtime.ExtensionStatus, error) {
			data, err := os.ReadFile(file)
			if errors.Is(err, fs.ErrNotExist) {
				return nil, nil
			}

			if err != nil {
				return nil, fmt.Errorf("reading the list of system extensions: %w", err)
			}

			list, err := extension.ParseLayers(data)
			if err != nil {
				return nil, err
			}

			out := map[string]runtime.ExtensionStatus{}
			for i, layer := range list.Layers {
				out[strconv.Itoa(i)] = extensionStatus(layer)
			}

			return out, nil
		})
}

func extensionStatus(layer extension.Layer) runtime.ExtensionStatus {
	m := layer.Metadata

	return runtime.ExtensionStatus{Image: layer.Image, Metadata: runtime.ExtensionMetadata{
		Name: m.Name, Version: m.Version, Author: m.Author, Description: m.Description, ExtraInfo: m.ExtraInfo,
		Compatibility: runtime.ExtensionCompatibility{Talos: runtime.ExtensionConstraint(m.Compatibility.Talos)},
	}}
}
