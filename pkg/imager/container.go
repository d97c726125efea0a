package imager

import (
	"errors"
	"fmt"
	"os"

	"github.com/basalt-os/basalt/internal/extension"
	"github.com/basalt-os/basalt/internal/ocilayout"
)

// Container names an image of a container: in a folder or an archive in the form
// of an OCI layout, on this machine.
type Container struct {
	OCIPath     string `yaml:"ociPath"`     // a folder
	TarballPath string `yaml:"tarballPath"` // an archive of one, not compressed

	// ImageRef is the image's name, where the layout has several.
	ImageRef string `yaml:"imageRef"`

	ForceInsecure bool `yaml:"forceInsecure"` // does not act: nothing is pulled
}

// check says what is wrong with it, without its place in the profile.
func (c Container) check() error {
	switch {
	case c.ForceInsecure:
		return errors.New("forceInsecure is about registries, and images are not pulled from registries yet")
	case c.ImageRef != "" && c.OCIPath == "" && c.TarballPath == "":
		return fmt.Errorf("%s would have to be pulled, and images are not pulled from registries yet: "+
			"save it as an OCI layout and add ociPath or tarballPath", c.ImageRef)
	case (c.OCIPath == "") == (c.TarballPath == ""):
		return errors.New("one of ociPath and tarballPath is needed")
	}

	return nil
}

// checkContainers checks all images that the profile names.
func (p Profile) checkContainers() []error {
	var problems []error

	for i, c := range p.Input.SystemExtensions {
		if err := c.check(); err != nil {
			problems = append(problems, fmt.Errorf("input.systemExtensions[%d]: %w", i, err))
		}
	}

	if base := p.Input.BaseInstaller; p.Output.Kind == KindInstaller || base != (Container{}) {
		if err := base.check(); err != nil {
			problems = append(problems, fmt.Errorf("input.baseInstaller: %w", err))
		}
	}

	return problems
}

// open opens the layout that the image is in. An archive is unpacked into a new
// folder in work.
func (c Container) open(work string) (ocilayout.Layout, error) {
	if c.OCIPath != "" {
		return ocilayout.Open(c.OCIPath), nil
	}

	dir, err := os.MkdirTemp(work, "layout-")
	if err != nil {
		return ocilayout.Layout{}, err
	}

	return ocilayout.Extract(c.TarballPath, dir)
}

// unpack reads the image of a system extension, whose files go into dir.
func (c Container) unpack(dir, work, arch string) (*extension.Extension, error) {
	layout, err := c.open(work)
	if err != nil {
		return nil, fmt.Errorf("opening the image of an extension: %w: %w", extension.ErrExtension, err)
	}

	return extension.UnpackLayout(dir, layout, c.ImageRef, arch)
}
