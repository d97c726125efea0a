// Package payload describes what an installer image holds for the disk of a
// machine: a folder of files for one architecture, and a manifest with their
// digests. The build writes it, the installer reads it and trusts nothing but
// what the manifest says.
package payload

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"strings"
)

// Repository is the public name of installer images, without their tags.
const Repository = "ghcr.io/basalt-os/installer"

// Image is the installer image of a version of the system, with its usual kernel.
func Image(version string) string { return Repository + ":v" + version }

// ManifestFile is the path of the manifest in an image's root.
const ManifestFile = Folder + "/manifest.json"

// Folder is where files for disks are in an image's root.
const Folder = "usr/install"

// The files, below the folder of an architecture; see [Path].
const (
	UKI         = "vmlinuz.efi"      // unified kernel image
	SystemdBoot = "systemd-boot.efi" // boot loader for UEFI
	GRUBBoot    = "grub/boot.img"    // boot sector for BIOS, amd64 only
	GRUBCore    = "grub/core.img"    // boot loader for BIOS, amd64 only
)

// Path is a file's path in an image's root: "usr/install/amd64/vmlinuz.efi".
func Path(arch, name string) string { return path.Join(Folder, arch, name) }

// ErrPayload says that an installer image is damaged, is incomplete, or is none.
var ErrPayload = errors.New("bad installer image")

// Manifest is what an image says about itself.
type Manifest struct {
	Version string `json:"version"` // of the system: "0.1.0"
	Arch    string `json:"arch"`    // "amd64"
	Profile string `json:"profile"` // of the kernel: "cloud", "metal"
	Kernel  string `json:"kernel"`  // its release
	Files   []File `json:"files"`   // sorted by path
}

// File is a file of an image.
type File struct {
	Path   string `json:"path"`   // in the image's root
	Size   int64  `json:"size"`   // bytes
	SHA256 string `json:"sha256"` // hexadecimal
}

// maxManifest is the largest manifest that is read, in bytes.
const maxManifest = 1 << 20

var (
	versionPattern = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z.-]{0,127}$`)
	sumPattern     = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// Parse reads a manifest and checks its form.
func Parse(data []byte) (Manifest, error) {
	var m Manifest

	if err := json.Unmarshal(data, &m); err != nil {
		return Manifest{}, fmt.Errorf("reading %s: %w: %w", ManifestFile, ErrPayload, err)
	}

	if !versionPattern.MatchString(m.Version) || !versionPattern.MatchString(m.Arch) {
		return Manifest{}, fmt.Errorf("reading %s: %w: version %q for %q", ManifestFile, ErrPayload, m.Version, m.Arch)
	}

	for _, f := range m.Files {
		if !fs.ValidPath(f.Path) || !strings.HasPrefix(f.Path, Folder+"/") || f.Size < 0 || !sumPattern.MatchString(f.SHA256) {
			return Manifest{}, fmt.Errorf("reading %s: %w: file %q", ManifestFile, ErrPayload, f.Path)
		}
	}

	return m, nil
}

// Read reads the manifest in an image's root.
func Read(root fs.FS) (Manifest, error) {
	file, err := root.Open(ManifestFile)
	if errors.Is(err, fs.ErrNotExist) {
		return Manifest{}, fmt.Errorf("reading %s: %w: it is not there", ManifestFile, ErrPayload)
	}

	if err != nil {
		return Manifest{}, fmt.Errorf("reading %s: %w", ManifestFile, err)
	}
	defer file.Close()

	data, err := io.ReadAll(io.LimitReader(file, maxManifest))
	if err != nil {
		return Manifest{}, fmt.Errorf("reading %s: %w", ManifestFile, err)
	}

	return Parse(data)
}

// Content is a file of an image whose size and digest were found to be what the
// manifest says.
type Content struct {
	File

	file io.ReaderAt
	end  io.Closer
}

// Open opens a file for the manifest's architecture and reads all of it once, to
// compare its size and digest with the manifest's; name is one of the package's
// constants.
func (m Manifest) Open(root fs.FS, name string) (*Content, error) {
	f, ok := m.File(name)
	if !ok {
		return nil, fmt.Errorf("reading %s: %w: the manifest does not have it", name, ErrPayload)
	}

	file, err := root.Open(f.Path)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w: %w", f.Path, ErrPayload, err)
	}

	at, ok := file.(io.ReaderAt)
	if !ok {
		return nil, errors.Join(fmt.Errorf("reading %s: %w: it is no plain file", f.Path, ErrPayload), file.Close())
	}

	c := &Content{File: f, file: at, end: file}

	hash := sha256.New()
	if size, err := io.Copy(hash, io.NewSectionReader(at, 0, f.Size+1)); err != nil {
		return nil, errors.Join(fmt.Errorf("reading %s: %w", f.Path, err), file.Close())
	} else if size != f.Size || hex.EncodeToString(hash.Sum(nil)) != f.SHA256 {
		return nil, errors.Join(fmt.Errorf("reading %s: %w: it is not what the manifest says", f.Path, ErrPayload), file.Close())
	}

	return c, nil
}

// ReadAt implements [io.ReaderAt].
func (c *Content) ReadAt(p []byte, offset int64) (int, error) { return c.file.ReadAt(p, offset) }

// Reader reads the content from its beginning.
func (c *Content) Reader() io.Reader { return io.NewSectionReader(c.file, 0, c.Size) }

// Close implements [io.Closer].
func (c *Content) Close() error { return c.end.Close() }

// Load returns a file for the manifest's architecture whose size and digest are
// what the manifest says; name is one of the package's constants.
func (m Manifest) Load(root fs.FS, name string) ([]byte, error) {
	c, err := m.Open(root, name)
	if err != nil {
		return nil, err
	}
	defer c.Close()

	data, err := io.ReadAll(c.Reader())
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", c.Path, err)
	}

	return data, nil
}

// File is what the manifest says about a file for its architecture.
func (m Manifest) File(name string) (File, bool) {
	for _, f := range m.Files {
		if f.Path == Path(m.Arch, name) {
			return f, true
		}
	}

	return File{}, false
}
