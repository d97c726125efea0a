// Package imager makes what a machine boots from: a unified kernel image, a disk
// image, an ISO, or a kernel with its initramfs for booting from the network.
//
// It works on plain files, without privileges, loop devices or mounts, and the
// same profile and the same inputs give the same bytes.
package imager

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
	"github.com/klauspost/compress/zstd"

	"github.com/basalt-os/basalt/internal/uki"
	"github.com/basalt-os/basalt/internal/version"
)

// bootFiles are the names under which firmware looks for a boot loader, by
// architecture.
func bootFiles() map[string]string {
	return map[string]string{"amd64": "EFI/BOOT/BOOTX64.EFI", "arm64": "EFI/BOOT/BOOTAA64.EFI"}
}

// FileName is the name of the file that a profile gives.
func (p Profile) FileName() string {
	p = p.withDefaults()
	target := p.Platform + "-" + p.Arch

	switch p.Output.Kind {
	case KindISO:
		return target + ".iso"
	case KindUKI:
		return target + "-uki.efi"
	case KindKernel:
		return "kernel-" + p.Arch
	case KindInitramfs:
		return "initramfs-" + target
	case KindCmdline:
		return "cmdline-" + target
	}

	name := target + "." + string(p.Output.ImageOptions.DiskFormat)
	if p.Output.OutFormat == FormatRaw {
		return name
	}

	return name + string(p.Output.OutFormat)
}

// Build makes the profile's output in the folder dir and returns the path of
// the file, which is complete or, after an error, what it was before.
func Build(p Profile, dir string) (string, error) {
	p = p.withDefaults()
	if err := p.check(); err != nil {
		return "", err
	}

	name := filepath.Join(dir, p.FileName())

	file, err := renameio.NewPendingFile(name, renameio.WithPermissions(0o644))
	if err != nil {
		return "", fmt.Errorf("making %s: %w", p.FileName(), err)
	}
	defer file.Cleanup()

	if err := p.write(file.File); err != nil {
		return "", fmt.Errorf("making %s: %w", p.FileName(), err)
	}

	if err := file.CloseAtomicallyReplace(); err != nil {
		return "", fmt.Errorf("making %s: %w", p.FileName(), err)
	}

	return name, nil
}

func (p Profile) write(file *os.File) error {
	switch p.Output.Kind {
	case KindKernel:
		return copyInto(file, p.Input.Kernel.Path)
	case KindInitramfs:
		return copyInto(file, p.Input.Initramfs.Path)
	case KindCmdline:
		_, err := io.WriteString(file, p.Cmdline())

		return err
	case KindUKI:
		image, err := p.uki()
		if err != nil {
			return err
		}

		_, err = file.Write(image)

		return err
	case KindISO:
		return p.writeISO(file)
	default:
		return p.writeImage(file)
	}
}

func copyInto(w io.Writer, name string) error {
	source, err := os.Open(name)
	if err != nil {
		return err
	}
	defer source.Close()

	_, err = io.Copy(w, source)

	return err
}

// uki is the unified kernel image.
func (p Profile) uki() ([]byte, error) {
	sections := map[uki.Section][]byte{
		uki.SBAT: fmt.Appendf(nil, "basalt,1,%s,basalt,%s,https://github.com/basalt-os/basalt\n", version.Name, p.Version),
		uki.OSRelease: fmt.Appendf(nil, "ID=basalt\nNAME=%q\nVERSION_ID=%s\nPRETTY_NAME=%q\n",
			version.Name, p.Version, version.Name+" "+p.Version),
		uki.Cmdline: []byte(p.Cmdline()),
	}

	stub, err := os.ReadFile(p.Input.SDStub.Path)
	if err != nil {
		return nil, err
	}

	for section, file := range map[uki.Section]File{uki.Linux: p.Input.Kernel, uki.Initrd: p.Input.Initramfs} {
		if sections[section], err = os.ReadFile(file.Path); err != nil {
			return nil, err
		}
	}

	if release := kernelRelease(sections[uki.Linux]); release != "" {
		sections[uki.Uname] = []byte(release)
	}

	return uki.Build(uki.Image{Stub: stub, Sections: sections, Profiles: []uki.Profile{{ID: "main"}}})
}

// kernelRelease is the release of an x86 kernel as its boot header says it,
// empty for other kernels, which do not say.
func kernelRelease(kernel []byte) string {
	const magicAt, pointerAt, base, longest = 0x202, 0x20e, 0x200, 256

	if len(kernel) < pointerAt+2 || string(kernel[magicAt:magicAt+4]) != "HdrS" {
		return ""
	}

	at := base + int(binary.LittleEndian.Uint16(kernel[pointerAt:]))
	if at >= len(kernel) {
		return ""
	}

	release, _, _ := bytes.Cut(kernel[at:min(at+longest, len(kernel))], []byte{0})
	release, _, _ = bytes.Cut(release, []byte{' '})

	return string(release)
}

// writeImage makes a disk image in the form and packed as the profile says.
func (p Profile) writeImage(file *os.File) error {
	if p.Output.ImageOptions.DiskFormat == DiskRaw {
		return p.writePacked(file, p.writeDisk)
	}

	return p.writePacked(file, func(file *os.File) error {
		return with(file, p.writeDisk, func(disk *os.File) error {
			info, err := disk.Stat()
			if err != nil {
				return err
			}

			return writeQCOW2(file, disk, info.Size())
		})
	})
}

// writePacked compresses what write makes if the profile says so.
func (p Profile) writePacked(file *os.File, write func(*os.File) error) error {
	if p.Output.OutFormat == FormatRaw {
		return write(file)
	}

	return with(file, write, func(raw *os.File) error {
		if _, err := raw.Seek(0, io.SeekStart); err != nil {
			return err
		}

		return p.pack(file, raw)
	})
}

// with uses what write makes in a file beside another, which is then removed.
func with(beside *os.File, write, use func(*os.File) error) error {
	file, err := os.CreateTemp(filepath.Dir(beside.Name()), ".disk-")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	defer file.Close()

	if err := write(file); err != nil {
		return err
	}

	return use(file)
}

func (p Profile) pack(w io.Writer, r io.Reader) error {
	packer, err := p.packer(w)
	if err != nil {
		return err
	}

	_, err = io.Copy(packer, r)

	return errors.Join(err, packer.Close())
}

func (p Profile) packer(w io.Writer) (io.WriteCloser, error) {
	if p.Output.OutFormat == FormatGzip {
		return gzip.NewWriter(w), nil
	}

	// One thread: with more, the bytes could depend on the machine.
	return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
}
