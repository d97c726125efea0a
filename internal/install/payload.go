package install

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/basalt-os/basalt/internal/bootloader"
	"github.com/basalt-os/basalt/internal/grub"
	"github.com/basalt-os/basalt/internal/payload"
	"github.com/basalt-os/basalt/internal/uki"
)

// ErrUnsigned says that firmware with Secure Boot would not start the system.
var ErrUnsigned = errors.New("Secure Boot is on and the file is not signed") //nolint:staticcheck // a name

// Payload is what an installer image brings, which was found to be whole.
type Payload struct {
	manifest   payload.Manifest
	image      *payload.Content
	uki        *uki.File
	loader     *payload.Content // systemd-boot, on machines with UEFI
	boot, core []byte           // GRUB, on others
}

// Load opens what an installer image has for a machine, and checks all of it:
// sizes and digests are what the manifest says, image and boot loader are for
// the machine's architecture, the image has its parts and is of the manifest's
// version, and is signed if firmware demands that. Who signed it, only firmware
// can tell: the keys that it accepts are its own.
func Load(root fs.FS, machine Machine) (*Payload, error) {
	manifest, err := payload.Read(root)
	if err != nil {
		return nil, err
	}

	if manifest.Arch != machine.Arch {
		return nil, fmt.Errorf("the installer image is for %s and this machine is %s: %w: %w",
			manifest.Arch, machine.Arch, payload.ErrPayload, uki.ErrArchitecture)
	}

	p := &Payload{manifest: manifest}

	err = p.loadImage(root, machine)
	if err == nil && machine.UEFI {
		err = p.loadSystemdBoot(root, machine)
	} else if err == nil {
		err = p.loadGRUB(root)
	}

	if err != nil {
		p.Close()

		return nil, err
	}

	return p, nil
}

// Close closes the files.
func (p *Payload) Close() {
	for _, c := range []*payload.Content{p.image, p.loader} {
		if c != nil {
			c.Close()
		}
	}
}

// Version is the version of the system that is to be installed.
func (p *Payload) Version() string { return p.manifest.Version }

func (p *Payload) loadImage(root fs.FS, machine Machine) error {
	var err error

	if p.image, err = p.manifest.Open(root, payload.UKI); err != nil {
		return err
	}

	bad := func(err error) error { return fmt.Errorf("checking %s: %w: %w", p.image.Path, payload.ErrPayload, err) }

	if p.uki, err = uki.Open(p.image, p.image.Size); err != nil {
		return bad(err)
	}

	if p.uki.Architecture != machine.Arch {
		return bad(fmt.Errorf("%w: %s", uki.ErrArchitecture, p.uki.Architecture))
	}

	release, err := p.uki.OSRelease()
	if err != nil {
		return bad(err)
	}

	if version := release["VERSION_ID"]; version != p.manifest.Version {
		return bad(fmt.Errorf("it is of version %q and the manifest says %q", version, p.manifest.Version))
	}

	if _, err := p.uki.Text(uki.Cmdline); err != nil {
		return bad(err)
	}

	if machine.SecureBoot && !p.uki.Signed {
		return bad(ErrUnsigned)
	}

	return nil
}

func (p *Payload) loadSystemdBoot(root fs.FS, machine Machine) error {
	var err error

	if p.loader, err = p.manifest.Open(root, payload.SystemdBoot); err != nil {
		return err
	}

	program, err := uki.Inspect(p.loader, p.loader.Size)
	if err == nil && program.Architecture != machine.Arch {
		err = fmt.Errorf("%w: %s", uki.ErrArchitecture, program.Architecture)
	}

	if err == nil && machine.SecureBoot && !program.Signed {
		err = ErrUnsigned
	}

	if err != nil {
		return fmt.Errorf("checking %s: %w: %w", p.loader.Path, payload.ErrPayload, err)
	}

	return nil
}

func (p *Payload) loadGRUB(root fs.FS) error {
	var err error

	if p.boot, err = p.manifest.Load(root, payload.GRUBBoot); err != nil {
		return fmt.Errorf("this machine boots by BIOS: %w", err)
	}

	if p.core, err = p.manifest.Load(root, payload.GRUBCore); err != nil {
		return err
	}

	if _, _, err := grub.Place(p.boot, p.core, 0); err != nil {
		return fmt.Errorf("checking %s: %w: %w", payload.GRUBCore, payload.ErrPayload, err)
	}

	return nil
}

// program is systemd-boot.
func (p *Payload) program() bootloader.Image {
	return bootloader.Image{Size: p.loader.Size, Content: p.loader.Reader()}
}

// system is the image, with the command line that a machine needs. The command
// line of a signed image cannot be changed.
func (p *Payload) system(platform string, extra []string) (bootloader.Image, error) {
	img := bootloader.Image{Version: p.manifest.Version, Size: p.image.Size, Content: p.image.Reader()}

	old, err := p.uki.Text(uki.Cmdline)
	if err != nil {
		return img, err
	}

	edit := func(line string) string { return change(line, platform, extra) }
	if edit(old) == old {
		return img, nil
	}

	var content io.Reader

	content, size, err := p.uki.Rewrite(edit)
	if err != nil {
		return img, fmt.Errorf("%s: %w", p.image.Path, err)
	}

	img.Content, img.Size = content, size

	return img, nil
}

const platformArgument = "talos.platform"

// change is a command line for a platform, with more arguments. An argument
// that is there already is not repeated; "-name" takes one away.
func change(line, platform string, extra []string) string {
	words := strings.Fields(line)

	drop := func(gone string) {
		words = slices.DeleteFunc(words, func(word string) bool {
			name, _, _ := strings.Cut(word, "=")

			return word == gone || name == gone
		})
	}

	if platform != "" && !slices.Contains(words, platformArgument+"="+platform) {
		drop(platformArgument)

		words = append(words, platformArgument+"="+platform)
	}

	for _, word := range extra {
		if gone, remove := strings.CutPrefix(word, "-"); remove {
			drop(gone)
		} else if !slices.Contains(words, word) {
			words = append(words, word)
		}
	}

	return strings.Join(words, " ")
}
