package qemu

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/fat"
	"github.com/basalt-os/basalt/pkg/provision"
)

// Prepare makes what the machines of a cluster find when they are powered on
// for the first time: disks, firmware variables and media. The cluster's folder
// has the configurations already. detail is told what is being made.
func Prepare(ctx context.Context, spec *provision.Spec, folder provision.Folder, detail func(string)) error {
	for _, node := range spec.Nodes {
		detail(node.Name)

		if err := prepareNode(ctx, spec.Machines, node, files{folder.Node(node.Name)}, folder.NodeConfig(node.Name)); err != nil {
			return fmt.Errorf("preparing node %s: %w", node.Name, err)
		}
	}

	return nil
}

func prepareNode(ctx context.Context, machines *provision.Machines, node provision.Node, f files, config string) error {
	for i, disk := range node.Disks {
		image := ""
		if i == 0 && machines.Boot.Source == provision.BootDisk {
			image = machines.Boot.Image
		}

		if err := makeDisk(ctx, f.disk(i), int64(disk.Size), image, filepath.Dir(machines.Program)); err != nil {
			return err
		}
	}

	switch machines.Boot.Source {
	case provision.BootUSB:
		if err := makeDisk(ctx, f.removable(), 0, machines.Boot.Image, filepath.Dir(machines.Program)); err != nil {
			return err
		}
	case provision.BootUKI:
		if err := makeStick(f.removable(), machines.Arch, machines.Boot.Image); err != nil {
			return err
		}
	}

	if machines.UEFI {
		_, variables, err := firmware(machines.Arch, machines.Firmware)
		if err != nil {
			return err
		}

		if err := copySparse(f.variables(), variables); err != nil {
			return err
		}
	}

	if machines.Injection != provision.InjectISO {
		return nil
	}

	text, err := os.ReadFile(config)
	if err != nil {
		return err
	}

	return writeMedium(f.medium(), text)
}

// makeDisk makes a disk, empty or as a copy of an image, of at least size
// bytes. It takes only the room that was written to.
func makeDisk(ctx context.Context, path string, size int64, image, tools string) error {
	if image == "" {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}

		return errors.Join(file.Truncate(size), file.Close())
	}

	if err := unpackImage(ctx, path, image, tools); err != nil {
		return fmt.Errorf("copying %s: %w", image, err)
	}

	info, err := os.Stat(path)
	if err != nil || info.Size() >= size {
		return err
	}

	return os.Truncate(path, size)
}

// unpackImage copies a disk image, which may be compressed or a qcow2.
func unpackImage(ctx context.Context, path, image, tools string) error {
	source, err := os.Open(image)
	if err != nil {
		return err
	}
	defer source.Close() //nolint:errcheck // only read

	magic := make([]byte, 4)
	if _, err := io.ReadFull(source, magic); err != nil {
		return err
	}

	if _, err := source.Seek(0, io.SeekStart); err != nil {
		return err
	}

	switch {
	case bytes.Equal(magic, []byte("QFI\xfb")):
		return convert(ctx, path, image, tools)
	case bytes.Equal(magic, []byte("\x28\xb5\x2f\xfd")):
		reader, err := zstd.NewReader(source)
		if err != nil {
			return err
		}
		defer reader.Close()

		return writeSparse(path, reader)
	case bytes.Equal(magic[:2], []byte("\x1f\x8b")):
		reader, err := gzip.NewReader(source)
		if err != nil {
			return err
		}

		return writeSparse(path, reader)
	default:
		return copySparse(path, image)
	}
}

// convert has QEMU's own tool read a format with a structure.
func convert(ctx context.Context, path, image, tools string) error {
	program, err := exec.LookPath("qemu-img")
	if err != nil {
		program = filepath.Join(tools, "qemu-img")
	}

	out, err := exec.CommandContext(ctx, program, "convert", "-O", "raw", image, path).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", program, err, bytes.TrimSpace(out))
	}

	return nil
}

// writeSparse writes a file without the blocks that have nothing but zeros.
func writeSparse(path string, from io.Reader) (err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}

	defer func() { err = errors.Join(err, file.Close()) }()

	const block = 64 << 10

	var (
		size   int64
		buffer = make([]byte, block)
		zeros  = make([]byte, block)
	)

	for {
		n, err := io.ReadFull(from, buffer)

		if n > 0 && !bytes.Equal(buffer[:n], zeros[:n]) {
			if _, err := file.WriteAt(buffer[:n], size); err != nil {
				return err
			}
		}

		size += int64(n)

		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return file.Truncate(size)
		} else if err != nil {
			return err
		}
	}
}

// copySparse copies a file with its holes.
func copySparse(to, from string) (err error) {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close() //nolint:errcheck // only read

	info, err := source.Stat()
	if err != nil {
		return err
	}

	target, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}

	defer func() { err = errors.Join(err, target.Close()) }()

	if err := target.Truncate(info.Size()); err != nil {
		return err
	}

	for end := int64(0); ; {
		begin, err := source.Seek(end, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil // nothing but a hole is left
		} else if err != nil {
			return err
		}

		if end, err = source.Seek(begin, unix.SEEK_HOLE); err != nil {
			return err
		}

		if _, err := source.Seek(begin, io.SeekStart); err != nil {
			return err
		}

		if _, err := target.Seek(begin, io.SeekStart); err != nil {
			return err
		}

		if _, err := io.CopyN(target, source, end-begin); err != nil {
			return err
		}
	}
}

// makeStick makes a medium from which firmware starts a unified kernel image.
func makeStick(path, arch, image string) (err error) {
	data, err := os.ReadFile(image)
	if err != nil {
		return err
	}

	name := map[string]string{"amd64": "BOOTX64.EFI", "arm64": "BOOTAA64.EFI"}[arch]

	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}

	defer func() { err = errors.Join(err, file.Close()) }()

	const sector = 512

	size := max(int64(len(data))*9/8, 64<<20) &^ (1<<20 - 1)
	if err := file.Truncate(size); err != nil {
		return err
	}

	return fat.Write(file, size, sector, "BASALT", []fat.File{{Name: "EFI/BOOT/" + name, Data: data}})
}

// Snapshot copies the disks and the firmware's variables of a machine, which
// must be off, to a folder.
func Snapshot(folder provision.Folder, node provision.Node, to string) error {
	return eachFile(folder, node, func(path string) error { return copySparse(filepath.Join(to, filepath.Base(path)), path) })
}

// Restore puts a snapshot back in place of what a machine, which must be off,
// has now.
func Restore(folder provision.Folder, node provision.Node, from string) error {
	return eachFile(folder, node, func(path string) error { return copySparse(path, filepath.Join(from, filepath.Base(path))) })
}

// eachFile calls a function for all files that a machine writes to.
func eachFile(folder provision.Folder, node provision.Node, do func(path string) error) error {
	f := files{folder.Node(node.Name)}

	var paths []string
	for i := range node.Disks {
		paths = append(paths, f.disk(i))
	}

	for _, path := range append(paths, f.variables(), f.removable()) {
		if !exists(path) {
			continue
		}

		if err := do(path); err != nil {
			return err
		}
	}

	return nil
}
