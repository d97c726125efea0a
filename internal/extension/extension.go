// Package extension reads system extensions and describes those of an image.
//
// An extension adds files to the root file system of a machine: drivers,
// firmware, programs below /usr/local, services. It is a container image with a
// file manifest.yaml and a folder rootfs, in the format of the reference system,
// whose extensions therefore work. The imager turns each into a layer of its
// own, beside the root file system in the initramfs; [LayersFile] there says
// what they are, and stage 1 lays them over the root.
package extension

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
	"golang.org/x/mod/semver"
)

// Where things are. The first two are in the initramfs; stage 1 copies the
// first to the third, where the node reads it.
const (
	LayersFile  = "extensions.yaml"
	Folder      = "extensions" // of the layers' images, *.sqsh
	RuntimeFile = "/run/extensions.yaml"
)

// ErrExtension says that something is no extension, or one that a machine must
// not have.
var ErrExtension = errors.New("bad system extension")

// Manifest is the file manifest.yaml of an extension.
type Manifest struct {
	Version  string   `yaml:"version"` // "v1alpha1"
	Metadata Metadata `yaml:"metadata"`
}

// Metadata says what an extension is.
type Metadata struct {
	Name          string        `yaml:"name"`
	Version       string        `yaml:"version"`
	Author        string        `yaml:"author"`
	Description   string        `yaml:"description,omitempty"`
	Compatibility Compatibility `yaml:"compatibility,omitempty"`
	ExtraInfo     string        `yaml:"extraInfo,omitempty"`
}

// Compatibility says which systems an extension is for.
type Compatibility struct {
	Talos Constraint `yaml:"talos,omitempty"`
}

// Constraint is a condition on a version: ">= v1.5.0, < v2.0.0".
type Constraint struct {
	Version string `yaml:"version,omitempty"`
}

// Layers is the file extensions.yaml of an image.
type Layers struct {
	Layers []Layer `yaml:"layers"` // the lowest first
}

// Layer is an extension in an image.
type Layer struct {
	Image    string   `yaml:"image"` // file name in the folder of images
	Metadata Metadata `yaml:"metadata"`
}

const manifestVersion = "v1alpha1"

var namePattern = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$`)

// maxDocument is the largest document that is read, in bytes.
const maxDocument = 1 << 20

// ParseManifest reads a manifest. Fields that it does not know are left out:
// those of later versions are for later systems.
func ParseManifest(data []byte) (Manifest, error) {
	var m Manifest

	if len(data) > maxDocument {
		return Manifest{}, fmt.Errorf("reading the manifest of an extension: %w: it has %d bytes", ErrExtension, len(data))
	}

	if err := yaml.Unmarshal(data, &m); err != nil {
		return Manifest{}, fmt.Errorf("reading the manifest of an extension: %w: %w", ErrExtension, err)
	}

	switch {
	case m.Version != manifestVersion:
		return Manifest{}, fmt.Errorf("reading the manifest of an extension: %w: version %q is not %s", ErrExtension, m.Version, manifestVersion)
	case !namePattern.MatchString(m.Metadata.Name):
		return Manifest{}, fmt.Errorf("reading the manifest of an extension: %w: %q is no name", ErrExtension, m.Metadata.Name)
	}

	return m, nil
}

// Fits reports, with the reason, whether the extension is for a system that
// serves this version of the contract ("v1.14.0").
func (m Manifest) Fits(version string) error {
	for condition := range strings.SplitSeq(m.Metadata.Compatibility.Talos.Version, ",") {
		condition = strings.TrimSpace(condition)
		if condition == "" {
			continue
		}

		operator := condition[:len(condition)-len(strings.TrimLeft(condition, "<>=!"))]
		wanted := "v" + strings.TrimPrefix(strings.TrimSpace(condition[len(operator):]), "v")

		holds, known := comparison(operator, semver.Compare(version, wanted))
		if !known || !semver.IsValid(wanted) {
			return fmt.Errorf("%w: %s: the condition %q on the version cannot be read", ErrExtension, m.Metadata.Name, condition)
		}

		if !holds {
			return fmt.Errorf("%w: %s is for versions %s, and this is %s", ErrExtension, m.Metadata.Name,
				m.Metadata.Compatibility.Talos.Version, version)
		}
	}

	return nil
}

func comparison(operator string, order int) (holds, known bool) {
	switch operator {
	case "", "=", "==":
		return order == 0, true
	case "!=":
		return order != 0, true
	case ">":
		return order > 0, true
	case ">=":
		return order >= 0, true
	case "<":
		return order < 0, true
	case "<=":
		return order <= 0, true
	default:
		return false, false
	}
}

// allowed are the places in the root where an extension may put files.
func allowed() []string {
	return []string{
		"etc/cri/conf.d",
		"usr/etc/udev/rules.d",
		"usr/lib/firmware",
		"usr/lib/modules",
		"usr/lib/udev/rules.d",
		"usr/libexec/kubernetes",
		"usr/local",
		"usr/share/egl",
		"usr/share/glvnd",
		"usr/share/vulkan",
	}
}

// checkPath refuses files in places where an extension must not have any. A
// folder above an allowed place is fine.
func checkPath(name string, dir bool) error {
	for _, place := range allowed() {
		if name == place || strings.HasPrefix(name, place+"/") || dir && strings.HasPrefix(place, name+"/") {
			return nil
		}
	}

	return fmt.Errorf("%w: /%s is none of the places for extensions", ErrExtension, name)
}

// checkMode refuses what would give rights to others.
func checkMode(name string, mode fs.FileMode, uid, gid int) error {
	switch {
	case mode&(fs.ModeSetuid|fs.ModeSetgid) != 0:
		return fmt.Errorf("%w: /%s is setuid or setgid", ErrExtension, name)
	case mode&fs.ModeSymlink == 0 && mode.Perm()&0o002 != 0:
		return fmt.Errorf("%w: /%s can be written by everybody", ErrExtension, name)
	case uid != 0 || gid != 0:
		return fmt.Errorf("%w: /%s belongs to %d:%d and not to root", ErrExtension, name, uid, gid)
	}

	return nil
}

// Encode returns the file's content.
func (l Layers) Encode() ([]byte, error) {
	data, err := yaml.Marshal(l)
	if err != nil {
		return nil, fmt.Errorf("describing the extensions of an image: %w", err)
	}

	return data, nil
}

// ParseLayers reads the file extensions.yaml.
func ParseLayers(data []byte) (Layers, error) {
	var l Layers

	if len(data) > maxDocument {
		return Layers{}, fmt.Errorf("reading the extensions of an image: %w: %d bytes", ErrExtension, len(data))
	}

	if err := yaml.Unmarshal(data, &l); err != nil {
		return Layers{}, fmt.Errorf("reading the extensions of an image: %w: %w", ErrExtension, err)
	}

	for i, layer := range l.Layers {
		if layer.Image != path.Base(layer.Image) || !strings.HasSuffix(layer.Image, ".sqsh") {
			return Layers{}, fmt.Errorf("reading the extensions of an image: %w: image %q", ErrExtension, layer.Image)
		}

		if slices.ContainsFunc(l.Layers[:i], func(other Layer) bool { return other.Image == layer.Image }) {
			return Layers{}, fmt.Errorf("reading the extensions of an image: %w: image %q is there twice", ErrExtension, layer.Image)
		}
	}

	return l, nil
}

// ImageName is the name of a layer's image. Stage 1 knows the order by the
// names.
func ImageName(position int, name string) string { return fmt.Sprintf("%03d.%s.sqsh", position, name) }

// trimmed is a path in an archive without what may be before it.
func trimmed(name string) string {
	return strings.TrimPrefix(path.Clean("/"+name), "/")
}
