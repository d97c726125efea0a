package server

import (
	"context"
	"fmt"

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
const noDisks = "disks belong to the host of a container node"

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
