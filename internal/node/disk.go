package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/basalt-os/basalt/internal/blockdev"
	"github.com/basalt-os/basalt/internal/early"
	"github.com/basalt-os/basalt/internal/meta"
	"github.com/basalt-os/basalt/internal/metapart"
	"github.com/basalt-os/basalt/internal/server"
	"github.com/basalt-os/basalt/internal/volume"
)

// Volumes that the node itself uses.
const (
	volumeMeta      = "META"
	volumeState     = "STATE"
	volumeEphemeral = "EPHEMERAL"
	// requester is in whose name the node's tasks have volumes mounted.
	requester = "machined"
)

// closeVolumes bounds how long unmounting may take at the end.
const closeVolumes = 30 * time.Second

// loadMeta reads META, if the machine has a disk with it: that is, if it is
// installed.
func (n *Node) loadMeta(ctx context.Context) error {
	if err := volume.Open(ctx, n.store); err != nil {
		return err
	}

	installed, err := n.attachMeta(ctx)

	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		// Without its META a machine knows less, and is still one.
		n.logger.Error("META cannot be used", "error", err)
	default:
		n.logger.Info("looked for META", "installed", installed)
	}

	return n.meta.Loaded(ctx)
}

// attachMeta opens the META partition, and says whether there is one.
func (n *Node) attachMeta(ctx context.Context) (bool, error) {
	location, err := volume.Locate(ctx, n.store, volumeMeta)
	if errors.Is(err, volume.ErrMissing) {
		return false, nil
	}

	if err != nil {
		return false, err
	}

	device, err := blockdev.Devices{}.Open(location.Device, blockdev.Write)
	if err != nil {
		return false, fmt.Errorf("opening META: %w", err)
	}

	health, err := n.meta.Attach(ctx, device)
	if errors.Is(err, metapart.ErrDamaged) {
		n.logger.Error("META was damaged and is empty now", "error", err)

		return true, nil
	}

	if err != nil {
		return true, errors.Join(err, device.Close())
	}

	if health == metapart.Healed {
		n.logger.Warn("one copy of META was damaged and has been healed")
	}

	return true, nil
}

// keepState mounts STATE: at once if it is there, or when it appears, because
// the machine is installed.
func (n *Node) keepState(ctx context.Context) error {
	_, err := volume.Locate(ctx, n.store, volumeState)

	switch {
	case errors.Is(err, volume.ErrMissing):
		n.state.absent()
	case errors.Is(err, volume.ErrFailed):
		n.logger.Error("STATE cannot be used", "error", err)
		n.state.absent()
	case err != nil:
		return err
	}

	err = n.insist(ctx, "mounting STATE", func() error {
		_, err := volume.Mount(ctx, n.store, volumeState, requester)
		if errors.Is(err, volume.ErrFailed) {
			n.state.absent()
		}

		return err
	})
	if err != nil {
		return err
	}

	if err := n.state.arrive(); err != nil {
		return fmt.Errorf("writing to STATE what waited for it: %w", err)
	}

	return early.StirSeed(early.Linux{Modules: n.modules}, randomSeed)
}

// randomSeed is the file with random bytes that a machine brings along from its
// last run.
const randomSeed = stateDir + "/random-seed"

// volumeRetry is the pause between attempts to use a volume that failed.
const volumeRetry = 5 * time.Second

// insist repeats what fails because of a volume that cannot be used, until it
// succeeds: what is wrong with the volume is in its status, and somebody may put
// it right, such as by installing the machine or by another configuration. It
// tells each reason once.
func (n *Node) insist(ctx context.Context, doing string, attempt func() error) error {
	told := ""

	for {
		err := attempt()
		if !errors.Is(err, volume.ErrFailed) {
			return err
		}

		if err.Error() != told {
			n.logger.Warn(doing, "error", err)
			told = err.Error()
		}

		select {
		case <-time.After(volumeRetry):
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		}
	}
}

// mountEphemeral brings the folder /var onto the disk, with the volumes below
// it. containerd, which has worked in memory until now, is started anew on it.
func (n *Node) mountEphemeral(ctx context.Context) error {
	err := n.insist(ctx, "waiting for the volumes of the system", func() error { return volume.WaitSystem(ctx, n.store) })
	if err != nil {
		return err
	}

	if err := n.supervisor.Stop(ctx, "containerd"); err != nil {
		return err
	}

	if err := volume.MountSystem(ctx, n.store, requester); err != nil {
		return err
	}

	if err := layout().Apply(); err != nil {
		return err
	}

	n.onDisk.Store(true)

	return n.supervisor.Start("containerd")
}

// finishEphemeral mounts EPHEMERAL unless that is done: a sequence that takes
// over from booting finds containerd stopped otherwise.
func (n *Node) finishEphemeral(ctx context.Context) error {
	if n.onDisk.Load() {
		return nil
	}

	return n.mountEphemeral(ctx)
}

// unmountVolumes has everything unmounted that the disks hold.
func (n *Node) unmountVolumes(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, closeVolumes)
	defer cancel()

	if n.state.leave() {
		if err := early.SaveSeed(randomSeed); err != nil {
			n.logger.Warn("keeping random bytes for the next start", "error", err)
		}
	}

	return volume.Close(ctx, n.store)
}

// values is META as the API writes it.
type values struct {
	*meta.Values
	platform platform
}

var _ server.Meta = values{}

// Set implements [server.Meta].
func (v values) Set(ctx context.Context, key metapart.Key, value []byte) error {
	if v.platform.isContainer() {
		return v.refuse()
	}

	return v.Values.Set(ctx, key, value)
}

// Delete implements [server.Meta].
func (v values) Delete(ctx context.Context, key metapart.Key) error {
	if v.platform.isContainer() {
		return v.refuse()
	}

	return v.Values.Delete(ctx, key)
}

func (v values) refuse() error {
	return fmt.Errorf("%w (platform %s): there is no META partition", server.ErrUnsupported, v.platform.name)
}
