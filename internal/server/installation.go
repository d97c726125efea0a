package server

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"

	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/meta"
	"github.com/basalt-os/basalt/internal/metapart"
)

// Installation puts versions of the system on the machine's disk. Its methods
// run the installer of an image, and hand over each line that it prints. They
// return its exit code, and an error when it did not come to that. They fail
// with ErrUnsupported on a node without disks of its own, and with
// ErrPrecondition when the machine is not in a state for it.
type Installation interface {
	// Install installs to the disk at a path.
	Install(ctx context.Context, image, disk string, progress func(line string)) (exitCode int, err error)
	// Upgrade writes another version beside the running one. The next boot
	// tries it.
	Upgrade(ctx context.Context, image string, progress func(line string)) (exitCode int, err error)
}

// Meta is the META partition. Its methods fail with ErrUnsupported on a node
// that has none.
type Meta interface {
	Set(ctx context.Context, key metapart.Key, value []byte) error
	// Delete fails with meta.ErrUnknown when there is no value.
	Delete(ctx context.Context, key metapart.Key) error
}

// UpgradeOptions say how a machine upgrades.
type UpgradeOptions struct {
	Image string
	// Stage leaves the installation to the next boot, before anything of the
	// disk is in use.
	Stage bool
	// Force upgrades although draining or checks failed.
	Force bool
}

// Upgrade upgrades the machine and restarts it. Both modes of restarting go
// through the firmware: the boot loader has to count.
func (s machineService) Upgrade(ctx context.Context, request *machine.UpgradeRequest) (*machine.UpgradeResponse, error) {
	if request.GetImage() == "" {
		return nil, fmt.Errorf("upgrading: no image is named: %w", ErrInvalid)
	}
	ctx, actor := begin(ctx)
	s.Logger.InfoContext(ctx, "upgrade requested", "image", request.GetImage(), "stage", request.GetStage(), "actor", actor)
	err := s.Machine.Upgrade(ctx, UpgradeOptions{
		Image: request.GetImage(),
		Stage: request.GetStage(),
		Force: request.GetForce(),
	})
	if err != nil {
		return nil, fmt.Errorf("upgrading: %w", err)
	}
	return &machine.UpgradeResponse{Messages: []*machine.Upgrade{{Ack: "Upgrade request received", ActorId: actor}}}, nil
}

// Rollback returns to the other version on the disk.
func (s machineService) Rollback(ctx context.Context, _ *machine.RollbackRequest) (*machine.RollbackResponse, error) {
	ctx, actor := begin(ctx)
	s.Logger.InfoContext(ctx, "rollback requested", "actor", actor)
	if err := s.Machine.Rollback(ctx); err != nil {
		return nil, fmt.Errorf("rolling back: %w", err)
	}
	return &machine.RollbackResponse{Messages: []*machine.Rollback{{}}}, nil
}

// maxMetaKey is the largest number of a value in META that the wire has.
const maxMetaKey = 0xff

func metaKey(key uint32) (metapart.Key, error) {
	if key == 0 || key > maxMetaKey {
		return 0, fmt.Errorf("key 0x%02x is not between 0x01 and 0x%02x: %w", key, maxMetaKey, ErrInvalid)
	}
	return metapart.Key(key), nil
}

// MetaWrite sets a value in META.
func (s machineService) MetaWrite(ctx context.Context, request *machine.MetaWriteRequest) (*machine.MetaWriteResponse, error) {
	key, err := metaKey(request.GetKey())
	if err == nil {
		err = s.Meta.Set(ctx, key, request.GetValue())
	}
	if err != nil {
		return nil, fmt.Errorf("writing META key: %w", err)
	}
	return &machine.MetaWriteResponse{Messages: []*machine.MetaWrite{{}}}, nil
}

// MetaDelete removes a value from META.
func (s machineService) MetaDelete(ctx context.Context, request *machine.MetaDeleteRequest) (*machine.MetaDeleteResponse, error) {
	key, err := metaKey(request.GetKey())
	if err == nil {
		err = s.Meta.Delete(ctx, key)
	}
	if errors.Is(err, meta.ErrUnknown) {
		err = fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	if err != nil {
		return nil, fmt.Errorf("deleting META key: %w", err)
	}
	return &machine.MetaDeleteResponse{Messages: []*machine.MetaDelete{{}}}, nil
}

// Install installs the system and tells what the installer says.
func (s lifecycleService) Install(request *machine.LifecycleServiceInstallRequest, stream grpc.ServerStreamingServer[machine.LifecycleServiceInstallResponse]) error {
	image, disk := request.GetSource().GetImageName(), request.GetDestination().GetDisk()
	if image == "" || disk == "" {
		return fmt.Errorf("installing: an image and a disk must be named: %w", ErrInvalid)
	}
	s.Logger.InfoContext(stream.Context(), "installation requested", "image", image, "disk", disk)
	send := func(p *machine.LifecycleServiceInstallProgress) error {
		return stream.Send(&machine.LifecycleServiceInstallResponse{Progress: p})
	}
	err := report(send, func(progress func(string)) (int, error) {
		return s.Installation.Install(stream.Context(), image, disk, progress)
	})
	if err != nil {
		return fmt.Errorf("installing: %w", err)
	}
	return nil
}

// Upgrade writes another version and tells what the installer says. It does not
// restart the machine.
func (s lifecycleService) Upgrade(request *machine.LifecycleServiceUpgradeRequest, stream grpc.ServerStreamingServer[machine.LifecycleServiceUpgradeResponse]) error {
	image := request.GetSource().GetImageName()
	if image == "" {
		return fmt.Errorf("upgrading: no image is named: %w", ErrInvalid)
	}
	s.Logger.InfoContext(stream.Context(), "upgrade requested", "image", image)
	send := func(p *machine.LifecycleServiceInstallProgress) error {
		return stream.Send(&machine.LifecycleServiceUpgradeResponse{Progress: p})
	}
	err := report(send, func(progress func(string)) (int, error) {
		return s.Installation.Upgrade(stream.Context(), image, progress)
	})
	if err != nil {
		return fmt.Errorf("upgrading: %w", err)
	}
	return nil
}

// report sends what an installer prints, and at last its exit code. A caller
// that is gone ends the context of the stream and with it the installer, so a
// line that cannot be sent needs no handling of its own.
func report(send func(*machine.LifecycleServiceInstallProgress) error, run func(progress func(string)) (int, error)) error {
	code, err := run(func(line string) {
		_ = send(&machine.LifecycleServiceInstallProgress{
			Response: &machine.LifecycleServiceInstallProgress_Message{Message: line},
		})
	})
	if err != nil {
		return err
	}
	return send(&machine.LifecycleServiceInstallProgress{
		Response: &machine.LifecycleServiceInstallProgress_ExitCode{ExitCode: int32(code)},
	})
}
