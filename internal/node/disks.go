package node

import (
	"context"
	"fmt"

	"github.com/basalt-os/basalt/internal/blockdev"
	"github.com/basalt-os/basalt/internal/resources/block"
	"github.com/basalt-os/basalt/internal/server"
	"github.com/basalt-os/basalt/internal/volume"
)

// disks are the disks that the API speaks of.
func (n *Node) disks() server.Disks {
	if n.platform.isContainer() {
		return hostDisks{}
	}

	return volume.Disks{Store: n.store, Opener: blockdev.Devices{}}
}

// hostDisks are not the node's.
type hostDisks struct{}

func (hostDisks) refuse() error {
	return fmt.Errorf("%w: disks belong to the host of a container node", server.ErrUnsupported)
}

// List implements [server.Disks].
func (d hostDisks) List(context.Context) (map[string]block.Disk, string, error) {
	return nil, "", d.refuse()
}

// Wipe implements [server.Disks].
func (d hostDisks) Wipe(context.Context, string, volume.Wipe) error { return d.refuse() }
