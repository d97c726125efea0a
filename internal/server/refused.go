package server

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/basalt-os/basalt/api/machine"
)

// The methods in this file are those that a container node cannot serve: it
// has no disks, no boot loader and no META partition of its own. They answer
// with a sentence that says so.

func (s *Server) refuse(what, why string) error {
	return fmt.Errorf("%s: %w (platform %s): %s", what, ErrUnsupported, s.Platform.Name, why)
}

// Why container nodes refuse.
const (
	noInstallation = "a container node runs from the image it was created with; create it anew to change that"
	noMeta         = "there is no META partition"
	noDisks        = "disks belong to the host of a container node"
)

// Upgrade is refused.
func (s machineService) Upgrade(context.Context, *machine.UpgradeRequest) (*machine.UpgradeResponse, error) {
	return nil, s.refuse("upgrading", noInstallation)
}

// Rollback is refused.
func (s machineService) Rollback(context.Context, *machine.RollbackRequest) (*machine.RollbackResponse, error) {
	return nil, s.refuse("rolling back", noInstallation)
}

// MetaWrite is refused.
func (s machineService) MetaWrite(context.Context, *machine.MetaWriteRequest) (*machine.MetaWriteResponse, error) {
	return nil, s.refuse("writing META key", noMeta)
}

// MetaDelete is refused.
func (s machineService) MetaDelete(context.Context, *machine.MetaDeleteRequest) (*machine.MetaDeleteResponse, error) {
	return nil, s.refuse("deleting META key", noMeta)
}

// Install is refused.
func (s lifecycleService) Install(*machine.LifecycleServiceInstallRequest, grpc.ServerStreamingServer[machine.LifecycleServiceInstallResponse]) error {
	return s.refuse("installing", noInstallation)
}

// Upgrade is refused.
func (s lifecycleService) Upgrade(*machine.LifecycleServiceUpgradeRequest, grpc.ServerStreamingServer[machine.LifecycleServiceUpgradeResponse]) error {
	return s.refuse("upgrading", noInstallation)
}

// LogicalVolumeRemove is refused.
func (s lvmService) LogicalVolumeRemove(context.Context, *machine.LVMServiceLogicalVolumeRemoveRequest) (*emptypb.Empty, error) {
	return nil, s.refuse("removing logical volume", noDisks)
}

// VolumeGroupRemove is refused.
func (s lvmService) VolumeGroupRemove(context.Context, *machine.LVMServiceVolumeGroupRemoveRequest) (*emptypb.Empty, error) {
	return nil, s.refuse("removing volume group", noDisks)
}

// PhysicalVolumeRemove is refused.
func (s lvmService) PhysicalVolumeRemove(context.Context, *machine.LVMServicePhysicalVolumeRemoveRequest) (*emptypb.Empty, error) {
	return nil, s.refuse("removing physical volume", noDisks)
}

// Destroy is refused.
func (s mdService) Destroy(context.Context, *machine.MDDestroyRequest) (*emptypb.Empty, error) {
	return nil, s.refuse("taking array apart", noDisks)
}
