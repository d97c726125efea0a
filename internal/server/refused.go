package server

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/basalt-os/basalt/api/machine"
)

// The methods in this file are those that no node serves. They answer with a
// sentence that says why.

// refuse says why something that is done to disks is not done. On a machine, which
// has disks, that is because the system does not have what would do it.
func (s *Server) refuse(what, lacking string) error {
	why := "this system does not manage " + lacking
	if s.Platform.Mode == "container" {
		why = "disks belong to the host of a container node"
	}

	return fmt.Errorf("%s: %w (platform %s): %s", what, ErrUnsupported, s.Platform.Name, why)
}

// What the system does not manage.
const (
	logicalVolumes = "LVM volumes"
	arrays         = "software RAID arrays"
)

// LogicalVolumeRemove is refused.
func (s lvmService) LogicalVolumeRemove(context.Context, *machine.LVMServiceLogicalVolumeRemoveRequest) (*emptypb.Empty, error) {
	return nil, s.refuse("removing logical volume", logicalVolumes)
}

// VolumeGroupRemove is refused.
func (s lvmService) VolumeGroupRemove(context.Context, *machine.LVMServiceVolumeGroupRemoveRequest) (*emptypb.Empty, error) {
	return nil, s.refuse("removing volume group", logicalVolumes)
}

// PhysicalVolumeRemove is refused.
func (s lvmService) PhysicalVolumeRemove(context.Context, *machine.LVMServicePhysicalVolumeRemoveRequest) (*emptypb.Empty, error) {
	return nil, s.refuse("removing physical volume", logicalVolumes)
}

// Destroy is refused.
func (s mdService) Destroy(context.Context, *machine.MDDestroyRequest) (*emptypb.Empty, error) {
	return nil, s.refuse("taking array apart", arrays)
}
