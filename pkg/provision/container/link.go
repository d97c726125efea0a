package container

import (
	"fmt"

	"github.com/vishvananda/netlink"

	"github.com/basalt-os/basalt/pkg/provision/host"
)

// attachNode makes the pair of links that joins a node, whose network
// namespace is that of process pid, to the bridge. The node's end goes when
// its namespace goes.
func attachNode(cluster, node string, pid int) error {
	name := host.LinkName(node)

	// The link of a node that was just killed may still be on its way out.
	if old, err := netlink.LinkByName(name); err == nil {
		netlink.LinkDel(old) //nolint:errcheck // adding the new one tells
	}

	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: uplink, PeerNamespace: netlink.NsPid(pid)}
	if err := netlink.LinkAdd(veth); err != nil {
		return fmt.Errorf("adding link %s: %w", name, err)
	}

	return host.AttachLink(cluster, veth)
}
