package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/basalt-os/basalt/internal/blockdev"
	"github.com/basalt-os/basalt/internal/controllers/cluster"
	"github.com/basalt-os/basalt/internal/gpt"
	"github.com/basalt-os/basalt/internal/machine"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/block"
	"github.com/basalt-os/basalt/internal/resources/runtime"
	"github.com/basalt-os/basalt/internal/server"
	"github.com/basalt-os/basalt/internal/volume"
)

// leaveTimeout bounds how long a node that is reset takes to leave etcd.
const leaveTimeout = 30 * time.Second

// eraseTimeout bounds how long erasing takes: all of META and STATE, and the
// first and last bytes of the rest.
const eraseTimeout = 5 * time.Minute

// forgetTimeout bounds how long a node that is reset waits until the discovery
// services have forgotten it.
const forgetTimeout = 20 * time.Second

// Reset implements [server.Machine].
func (l lifecycle) Reset(ctx context.Context, options server.ResetOptions) error {
	erase, err := l.n.eraser(ctx, options)
	if err != nil {
		return err
	}

	var phases []machine.Phase

	if options.Graceful {
		phases = append(phases, l.n.drainPhase(false), machine.Phase{Name: "leave", Tolerant: true, Tasks: []machine.Task{
			task("leaveEtcd", leaveTimeout, l.n.leaveEtcd),
		}})
	}

	phases = append(phases, machine.Phase{Name: "preReset", Tolerant: true, Tasks: []machine.Task{
		task("sendResetSignal", forgetTimeout, func(ctx context.Context) error { return sendResetSignal(ctx, l.n.store) }),
	}})
	phases = append(phases, l.n.stopPhases()...)
	phases = append(phases, machine.Phase{Name: "reset", Tasks: []machine.Task{task("resetSystemDisk", eraseTimeout, erase)}})

	power := machine.PowerOff
	if options.Reboot {
		power = machine.Restart
	}

	return l.n.endNode(ctx, machine.Reset, power, phases...)
}

// sendResetSignal tells controllers that the machine is about to be reset, and
// waits for those that have something to do before it. Each removes its finalizer
// when it has done so. The signal stays: what ended must not begin again.
func sendResetSignal(ctx context.Context, store *resource.Store) error {
	signal := resource.New(runtime.MachineResetSignalID, runtime.MachineResetSignal{})
	signal.Meta.Finalizers = []string{cluster.DiscoveryServiceName}

	if err := store.Create(ctx, signal, configOwner); err != nil {
		return err
	}

	_, err := resource.WaitFor(ctx, store, runtime.MachineResetSignalID, func(r *resource.Resource[runtime.MachineResetSignal]) bool {
		return r != nil && len(r.Meta.Finalizers) == 0
	})
	if err != nil {
		return fmt.Errorf("waiting for controllers to prepare for the reset: %w", err)
	}

	return nil
}

// eraser checks what is to be erased, and returns what does it once nothing uses
// it any more.
func (n *Node) eraser(ctx context.Context, options server.ResetOptions) (func(context.Context) error, error) {
	if n.platform.isContainer() {
		folders, err := wipedFolders(options)

		return func(context.Context) error {
			for _, folder := range folders {
				if err := machine.WipeDir(folder); err != nil {
					return err
				}
			}

			return nil
		}, err
	}

	disks := volume.Disks{Store: n.store, Opener: blockdev.Devices{}}

	list, system, err := disks.List(ctx)
	if err != nil {
		return nil, err
	}

	found, err := resource.List[block.DiscoveredVolume](ctx, n.store)
	if err != nil {
		return nil, err
	}

	erasures, err := erasuresOf(options, slices.Collect(maps.Keys(list)), system, found)

	return func(ctx context.Context) error {
		// The disk cannot lose a partition that is open.
		errs := []error{n.closeMeta()}

		for _, e := range erasures {
			n.logger.Info("erasing", "device", e.device, "zeroes", e.how.Zeroes)
			errs = append(errs, disks.Wipe(ctx, e.device, e.how))
		}

		return errors.Join(errs...)
	}, err
}

// closeMeta lets META go: what is still written to it stays in memory.
func (n *Node) closeMeta() error {
	if device, ok := n.meta.Detach().(io.Closer); ok {
		return device.Close()
	}

	return nil
}

// erasure is a device that is erased. Volumes on it have been unmounted.
type erasure struct {
	device string
	how    volume.Wipe
}

// erasuresOf says which devices a machine erases, and in which order. Partitions
// that hold secrets are overwritten whole; of larger ones what makes their
// content recognized is.
func erasuresOf(options server.ResetOptions, disks []string, system string, found []*resource.Resource[block.DiscoveredVolume],
) ([]erasure, error) {
	var erasures []erasure

	add := func(device string, zeroes bool) {
		erasures = append(erasures, erasure{device, volume.Wipe{Zeroes: zeroes, SkipVolumes: true}})
	}
	// partition adds those of the system's disk that have a label.
	partition := func(label string) bool {
		before := len(erasures)

		for _, r := range found {
			if r.Spec.Parent == system && r.Spec.PartitionLabel == label {
				add(r.Meta.ID, isSecret(label))
			}
		}

		return len(erasures) > before
	}

	if system == "" && (options.WipeSystemDisk || len(options.Partitions) > 0) {
		return nil, fmt.Errorf("%w: the system is not installed on a disk of this machine", server.ErrPrecondition)
	}

	for _, target := range options.Partitions {
		if isBoot(target.Label) {
			return nil, fmt.Errorf("partition %q: %w: the machine boots from it; reset the whole system disk instead",
				target.Label, server.ErrInvalid)
		}

		if !partition(target.Label) {
			return nil, fmt.Errorf("partition %q: %w: there is none on the system disk %s", target.Label, server.ErrInvalid, system)
		}
	}

	if options.WipeSystemDisk {
		partition(volumeMeta)
		partition(volumeState)
		add(system, false)
	}

	for _, path := range options.UserDisksToWipe {
		name, err := filepath.EvalSymlinks(path)
		if err != nil {
			name = path
		}

		switch name = blockdev.NameOf(name); {
		case name == system:
			return nil, fmt.Errorf("disk %s: %w: it is the system's", path, server.ErrInvalid)
		case !slices.Contains(disks, name):
			return nil, fmt.Errorf("disk %s: %w: there is none of this name", path, server.ErrInvalid)
		}

		add(name, false)
	}

	return erasures, nil
}

// isSecret says whether a partition holds secrets, and is small.
func isSecret(label string) bool { return label == volumeMeta || label == volumeState }

// isBoot says whether the firmware or the boot loader needs a partition.
func isBoot(label string) bool {
	return slices.ContainsFunc([]string{gpt.LabelEFI, gpt.LabelBIOS, gpt.LabelBoot}, func(l string) bool { return strings.EqualFold(l, label) })
}

// wipedFolders translates partitions into the folders of a container node, whose
// disks are the two that it keeps: STATE and EPHEMERAL.
func wipedFolders(options server.ResetOptions) ([]string, error) {
	if len(options.UserDisksToWipe) > 0 {
		return nil, fmt.Errorf("wiping user disks: %w: a container has no disks", server.ErrUnsupported)
	}

	folders := map[string]string{volumeState: "/system/state", volumeEphemeral: "/var"}
	if options.WipeSystemDisk {
		return []string{folders[volumeState], folders[volumeEphemeral]}, nil
	}

	var wipe []string

	for _, partition := range options.Partitions {
		folder, ok := folders[partition.Label]
		if !ok {
			return nil, fmt.Errorf("wiping partition %q: %w: a container has STATE and EPHEMERAL only",
				partition.Label, server.ErrUnsupported)
		}

		wipe = append(wipe, folder)
	}

	return wipe, nil
}

// leaveEtcd removes this node's member from its cluster.
func (n *Node) leaveEtcd(ctx context.Context) error {
	if _, err := n.supervisor.Status("etcd"); err != nil {
		return nil //nolint:nilerr // a worker has no member
	}

	client, err := n.etcdClient(ctx, localEtcd)
	if err != nil {
		return err
	}
	defer client.Close()

	status, err := client.Status(ctx, localEtcd)
	if err != nil {
		return fmt.Errorf("asking etcd for its member ID: %w", err)
	}

	if _, err := client.MemberRemove(ctx, status.Header.MemberId); err != nil {
		return fmt.Errorf("leaving etcd: %w", err)
	}

	return nil
}
