package extension

import (
	"fmt"
	"io"

	"github.com/basalt-os/basalt/internal/ocilayout"
)

// UnpackLayout is Unpack for the image with a name in an OCI layout. Without a
// name, the layout has one image, or one for each of several architectures.
func UnpackLayout(dir string, layout ocilayout.Layout, name, arch string) (*Extension, error) {
	image, err := layout.Image(name, arch)
	if err != nil {
		return nil, fmt.Errorf("reading the image of an extension: %w: %w", ErrExtension, err)
	}

	var layers []io.Reader

	for i := range image.Manifest.Layers {
		layer, err := image.OpenLayer(i)
		if err != nil {
			return nil, fmt.Errorf("reading the image of an extension: %w: %w", ErrExtension, err)
		}
		defer layer.Close()

		layers = append(layers, layer)
	}

	return Unpack(dir, layers...)
}
