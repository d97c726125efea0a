// Package block has the controllers of disks and volumes. Those of a machine are
// what [Machine] returns: from block devices over what is found on them to
// volumes that are made and mounted. A node without disks of its own has those
// of [Controllers]: its volumes are folders of the host.
package block

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/moby/sys/mountinfo"

	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resources/block"
)

// Controllers are all controllers of a node without disks of its own. Mounts is
// the file that lists the node's mounts.
func Controllers(mounts string) []reconcile.Controller {
	return []reconcile.Controller{VolumeStatus(), MountStatus(mounts), Discovered()}
}

// hostVolumes are the system's volumes by where they are mounted.
var hostVolumes = map[string]string{"/var": "EPHEMERAL", "/system/state": "STATE"}

// VolumeStatus shows the system's volumes.
func VolumeStatus() reconcile.Controller {
	return derive.All("block.VolumeManagerController", nil,
		func(context.Context, *reconcile.Runtime) (map[string]block.VolumeStatus, error) {
			out := map[string]block.VolumeStatus{}
			for target, name := range hostVolumes {
				out[name] = block.VolumeStatus{
					Phase: block.VolumePhaseReady, Type: block.VolumeTypeDirectory, Location: target, MountLocation: target,
					MountSpec: block.MountSpec{TargetPath: target},
				}
			}

			return out, nil
		})
}

// MountStatus shows where the system's volumes are mounted.
func MountStatus(mounts string) reconcile.Controller {
	return derive.All("block.MountController", nil,
		func(context.Context, *reconcile.Runtime) (map[string]block.MountStatus, error) {
			file, err := os.Open(mounts)
			if err != nil {
				return nil, fmt.Errorf("reading the mounts: %w", err)
			}
			defer file.Close() //nolint:errcheck // read side only

			list, err := mountinfo.GetMountsFromReader(file, nil)
			if err != nil {
				return nil, fmt.Errorf("reading the mounts: %w", err)
			}

			return mountStatuses(list), nil
		})
}

func mountStatuses(mounts []*mountinfo.Info) map[string]block.MountStatus {
	out := map[string]block.MountStatus{}

	for _, m := range mounts {
		name := hostVolumes[m.Mountpoint]
		if name == "" {
			continue
		}

		out[name] = block.MountStatus{
			Spec:     block.MountRequest{VolumeID: name},
			Source:   m.Source,
			Target:   m.Mountpoint,
			ReadOnly: strings.HasPrefix(m.Options+",", "ro,"),
		}
	}

	return out
}

// Discovered says that the search for volumes on disks is over: there are no
// disks.
func Discovered() reconcile.Controller {
	return derive.One("block.DiscoveryController", "status", nil,
		func(context.Context, *reconcile.Runtime, block.DiscoveredVolumesStatus) (block.DiscoveredVolumesStatus, error) {
			return block.DiscoveredVolumesStatus{Ready: true}, nil
		})
}
