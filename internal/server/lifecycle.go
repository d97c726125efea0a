package server

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/events"
)

// Machine runs the sequences of the node. Its methods return as soon as the
// sequence has been accepted; its events carry the actor of the context (see
// events.Actor). They fail with ErrLocked of internal/machine while a sequence
// runs that does not let them take over. The context of the call ends before the sequence does
// and must not stop it.
type Machine interface {
	Reboot(ctx context.Context, mode RebootMode) error
	// Shutdown powers the node off; force skips draining it.
	Shutdown(ctx context.Context, force bool) error
	Reset(ctx context.Context, options ResetOptions) error
	// Bootstrap makes the etcd member of this node the first of its cluster.
	// It fails with ErrPrecondition when this is not a control plane node and
	// with ErrExists when it has etcd data already.
	Bootstrap(ctx context.Context, options BootstrapOptions) error
	// Upgrade installs another version and restarts the machine. It fails with
	// ErrUnsupported on a node without disks of its own.
	Upgrade(ctx context.Context, options UpgradeOptions) error
	// Rollback restarts the machine with the other version on its disk. It
	// fails with ErrPrecondition when there is none.
	Rollback(ctx context.Context) error
}

// RebootMode says how a node restarts.
type RebootMode uint8

// Modes of restarting.
const (
	RebootDefault    RebootMode = iota // the fastest way there is
	RebootPowerCycle                   // through the firmware
	RebootForce                        // at once, without stopping anything
)

// ResetOptions say what a reset removes and what comes after it.
type ResetOptions struct {
	Graceful        bool // leave etcd and drain first
	Reboot          bool // restart afterwards, otherwise power off
	Partitions      []ResetPartition
	WipeSystemDisk  bool
	UserDisksToWipe []string
}

// ResetPartition is a system partition that a reset touches.
type ResetPartition struct {
	Label string
	Wipe  bool // erase its content instead of formatting it at the next boot
}

// BootstrapOptions say from what the etcd cluster begins.
type BootstrapOptions struct {
	// Snapshot is the path of a snapshot to restore; empty begins with an
	// empty database.
	Snapshot string
	// SkipHashCheck restores a snapshot that carries no hash, because it was
	// copied out of a data directory.
	SkipHashCheck bool
}

// begin prepares a sequence: its context outlives the call and carries a fresh
// actor, which the reply tells the caller, so that it can find its events.
func begin(ctx context.Context) (context.Context, string) {
	actor := uuid.NewString()
	return events.WithActor(context.WithoutCancel(ctx), actor), actor
}

// Reboot restarts the node.
func (s machineService) Reboot(ctx context.Context, request *machine.RebootRequest) (*machine.RebootResponse, error) {
	mode, ok := map[machine.RebootRequest_Mode]RebootMode{
		machine.RebootRequest_DEFAULT:    RebootDefault,
		machine.RebootRequest_POWERCYCLE: RebootPowerCycle,
		machine.RebootRequest_FORCE:      RebootForce,
	}[request.GetMode()]
	if !ok {
		return nil, fmt.Errorf("rebooting: mode %v: %w", request.GetMode(), ErrInvalid)
	}
	ctx, actor := begin(ctx)
	s.Logger.InfoContext(ctx, "reboot requested", "mode", request.GetMode().String(), "actor", actor)
	if err := s.Machine.Reboot(ctx, mode); err != nil {
		return nil, fmt.Errorf("rebooting: %w", err)
	}
	return &machine.RebootResponse{Messages: []*machine.Reboot{{ActorId: actor}}}, nil
}

// Shutdown powers the node off.
func (s machineService) Shutdown(ctx context.Context, request *machine.ShutdownRequest) (*machine.ShutdownResponse, error) {
	ctx, actor := begin(ctx)
	s.Logger.InfoContext(ctx, "shutdown requested", "force", request.GetForce(), "actor", actor)
	if err := s.Machine.Shutdown(ctx, request.GetForce()); err != nil {
		return nil, fmt.Errorf("shutting down: %w", err)
	}
	return &machine.ShutdownResponse{Messages: []*machine.Shutdown{{ActorId: actor}}}, nil
}

// Reset wipes the node.
func (s machineService) Reset(ctx context.Context, request *machine.ResetRequest) (*machine.ResetResponse, error) {
	options, err := resetOptions(request)
	if err != nil {
		return nil, fmt.Errorf("resetting: %w", err)
	}
	ctx, actor := begin(ctx)
	s.Logger.InfoContext(ctx, "reset requested", "graceful", options.Graceful, "reboot", options.Reboot, "actor", actor)
	if err := s.Machine.Reset(ctx, options); err != nil {
		return nil, fmt.Errorf("resetting: %w", err)
	}
	return &machine.ResetResponse{Messages: []*machine.Reset{{ActorId: actor}}}, nil
}

// resetOptions checks that what is to be wiped and the mode go together.
func resetOptions(request *machine.ResetRequest) (ResetOptions, error) {
	options := ResetOptions{
		Graceful:        request.GetGraceful(),
		Reboot:          request.GetReboot(),
		UserDisksToWipe: request.GetUserDisksToWipe(),
	}
	for _, partition := range request.GetSystemPartitionsToWipe() {
		if partition.GetLabel() == "" {
			return ResetOptions{}, fmt.Errorf("a partition to wipe has no label: %w", ErrInvalid)
		}
		options.Partitions = append(options.Partitions, ResetPartition{Label: partition.GetLabel(), Wipe: partition.GetWipe()})
	}
	switch request.GetMode() {
	case machine.ResetRequest_ALL:
		options.WipeSystemDisk = len(options.Partitions) == 0
	case machine.ResetRequest_SYSTEM_DISK:
		if len(options.UserDisksToWipe) > 0 {
			return ResetOptions{}, fmt.Errorf("user disks are given, and the mode wipes the system disk only: %w", ErrInvalid)
		}
		options.WipeSystemDisk = len(options.Partitions) == 0
	case machine.ResetRequest_USER_DISKS:
		if len(options.Partitions) > 0 {
			return ResetOptions{}, fmt.Errorf("system partitions are given, and the mode wipes user disks only: %w", ErrInvalid)
		}
		if len(options.UserDisksToWipe) == 0 {
			return ResetOptions{}, fmt.Errorf("the mode wipes user disks only, and none is given: %w", ErrInvalid)
		}
	default:
		return ResetOptions{}, fmt.Errorf("mode %v: %w", request.GetMode(), ErrInvalid)
	}
	return options, nil
}

// Bootstrap begins the etcd cluster on this node.
func (s machineService) Bootstrap(ctx context.Context, request *machine.BootstrapRequest) (*machine.BootstrapResponse, error) {
	var options BootstrapOptions
	if request.GetRecoverEtcd() {
		options = BootstrapOptions{
			Snapshot:      s.path(recoverySnapshot),
			SkipHashCheck: request.GetRecoverSkipHashCheck(),
		}
		if err := regularFile(options.Snapshot); err != nil {
			return nil, fmt.Errorf("finding uploaded etcd snapshot: %w", err)
		}
	}
	ctx, actor := begin(ctx)
	s.Logger.InfoContext(ctx, "bootstrap requested", "recover", request.GetRecoverEtcd(), "actor", actor)
	if err := s.Machine.Bootstrap(ctx, options); err != nil {
		return nil, fmt.Errorf("bootstrapping etcd: %w", err)
	}
	return &machine.BootstrapResponse{Messages: []*machine.Bootstrap{{}}}, nil
}
