package node

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/basalt-os/basalt/internal/blockdev"
	"github.com/basalt-os/basalt/internal/bootloader"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/block"
	"github.com/basalt-os/basalt/internal/server"
	"github.com/basalt-os/basalt/internal/version"
	"github.com/basalt-os/basalt/internal/volume"
)

// diskLoader is the boot loader on the disk that the system is installed on.
// What is there is read anew by each call. It is safe for concurrent use.
type diskLoader struct{ n *Node }

var _ bootLoader = diskLoader{}

// lockPatience bounds the wait for another that works on the disk; lockPause
// is between two attempts.
const (
	lockPatience = time.Minute
	lockPause    = 200 * time.Millisecond
)

// errNoBootLoader says that there is nothing to go back to.
var errNoBootLoader = fmt.Errorf("%w: the machine was not started from its disk", server.ErrPrecondition)

// Entry implements bootLoader.
func (l diskLoader) Entry(ctx context.Context) (string, error) {
	state, err := l.state(ctx)
	if errors.Is(err, volume.ErrMissing) || errors.Is(err, bootloader.ErrNone) {
		return "", nil
	}

	booted, _ := state.Booted()

	return booted.ID, err
}

// OnTrial implements bootLoader.
func (l diskLoader) OnTrial(ctx context.Context) (counted bool, other string, err error) {
	state, err := l.state(ctx)
	booted, _ := state.Booted()
	back, _ := state.Other()

	return booted.OnTrial(), back.ID, err
}

// Newest implements bootLoader.
func (l diskLoader) Newest(ctx context.Context) (string, error) {
	state, err := l.state(ctx)
	if err != nil {
		return "", err
	}

	next, ok := state.Next()
	if !ok {
		return "", errNoBootLoader
	}

	return next.ID, nil
}

// Bless implements bootLoader.
func (l diskLoader) Bless(ctx context.Context, entry string) error {
	return l.with(ctx, blockdev.Write, func(loader bootloader.Loader) error { return loader.Bless(entry) })
}

// Rollback implements bootLoader.
func (l diskLoader) Rollback(ctx context.Context, entry string) (to string, err error) {
	err = l.with(ctx, blockdev.Write, func(loader bootloader.Loader) error {
		state, err := loader.State()
		if err != nil {
			return err
		}

		if entry == "" {
			return errNoBootLoader
		}

		other, ok := state.Other()
		if !ok {
			return fmt.Errorf("%w: there is no other version on the disk", server.ErrPrecondition)
		}

		to = other.ID

		return loader.Activate(to, false)
	})

	return to, err
}

// state is what the boot loader has.
func (l diskLoader) state(ctx context.Context) (state bootloader.State, err error) {
	err = l.with(ctx, blockdev.Read, func(loader bootloader.Loader) (err error) {
		state, err = loader.State()

		return err
	})

	return state, err
}

// with opens the boot loader. For changes the disk is locked.
func (l diskLoader) with(ctx context.Context, mode blockdev.Mode, do func(bootloader.Loader) error) (err error) {
	location, err := volume.Locate(ctx, l.n.store, volumeMeta)
	if err != nil {
		return err
	}

	status, err := resource.Get[block.Disk](ctx, l.n.store, filepath.Base(location.Disk))
	if err != nil {
		return err
	}

	disk, err := blockdev.Devices{}.Open(location.Disk, mode)
	if err != nil {
		return err
	}

	defer func() { err = errors.Join(err, disk.Close()) }()

	if mode != blockdev.Read {
		if err := lock(ctx, disk); err != nil {
			return err
		}
	}

	loader, err := bootloader.Open(disk, int(status.Spec.SectorSize), bootloader.Options{
		Variables: bootloader.Filesystem{Folder: "/sys/firmware/efi/efivars"}, Running: version.Version, Cmdline: l.n.platform.commandLine,
	})
	if err != nil {
		return fmt.Errorf("boot loader on %s: %w", location.Disk, err)
	}

	return do(loader)
}

// lock waits for a disk that another works on.
func lock(ctx context.Context, disk blockdev.Handle) error {
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()

	for {
		err := disk.Lock()
		if !errors.Is(err, blockdev.ErrLocked) {
			return err
		}

		select {
		case <-time.After(lockPause):
		case <-ctx.Done():
			return err
		}
	}
}
