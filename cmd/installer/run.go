package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/blockdev"
	"github.com/basalt-os/basalt/internal/bootloader"
	"github.com/basalt-os/basalt/internal/install"
)

// run does what is requested on this machine.
func run(ctx context.Context, output io.Writer, r request) error {
	progress := func(line string) { fmt.Fprintln(output, line) }

	machine, err := describe(r)
	if err != nil {
		return err
	}

	progress("checking the installer image")

	root, err := os.OpenRoot("/")
	if err != nil {
		return err
	}
	defer root.Close()

	content, err := install.Load(root.FS(), machine)
	if err != nil {
		return err
	}
	defer content.Close()

	node, err := filepath.EvalSymlinks(r.disk)
	if err != nil {
		return fmt.Errorf("%w: %w", install.ErrDisk, err)
	}

	disk, err := open(node, r.upgrade)
	if err != nil {
		return err
	}
	defer disk.Close()

	job := install.Job{
		Disk: disk, SectorSize: int(blockdev.System{Root: "/sys"}.SectorSize(blockdev.NameOf(node))),
		Machine: machine, Payload: content, Platform: r.platform, ExtraArgs: r.extraArgs,
		Meta: r.meta, Zero: r.zero, Force: r.force, NewGUID: uuid.New, Progress: progress,
	}

	if r.upgrade {
		progress(fmt.Sprintf("upgrading %s to version %s", r.disk, content.Version()))

		return job.Upgrade(ctx)
	}

	progress(fmt.Sprintf("installing version %s to %s", content.Version(), r.disk))

	return job.Install(ctx)
}

// describe is this machine.
func describe(r request) (install.Machine, error) {
	variables := bootloader.Filesystem{Folder: "/sys/firmware/efi/efivars"}

	line, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return install.Machine{}, fmt.Errorf("reading the kernel's command line: %w", err)
	}

	machine := install.Machine{
		Arch: r.arch, UEFI: bootloader.HasUEFI(os.DirFS("/sys")),
		Bootloader: bootloader.Options{Variables: variables, Running: r.running, Booted: r.booted, Cmdline: string(line)},
	}

	if machine.SecureBoot, err = bootloader.HasSecureBoot(variables); err != nil {
		return machine, fmt.Errorf("looking whether Secure Boot is on: %w", err)
	}

	return machine, nil
}

// open opens the disk. An upgrade shares it with the system that runs from it.
func open(node string, upgrade bool) (blockdev.Handle, error) {
	mode := blockdev.Exclusive
	if upgrade {
		mode = blockdev.Write
	}

	disk, err := blockdev.Devices{}.Open(node, mode)

	switch {
	case errors.Is(err, unix.EROFS), errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return nil, fmt.Errorf("%w: it cannot be written to: %w", install.ErrDisk, err)
	case errors.Is(err, blockdev.ErrInUse):
		return nil, fmt.Errorf("%w: it or a partition of it is mounted, swapped to, or part of another device", err)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", install.ErrDisk, err)
	}

	return disk, nil
}
