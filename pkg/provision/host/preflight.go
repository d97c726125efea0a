package host

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"path/filepath"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/pkg/provision"
)

// Preflight reports everything about its description, its network and the room
// on disk that keeps a cluster from being created here. existing are the
// clusters that there are already; space is what the nodes need, in bytes.
func Preflight(spec *provision.Spec, folder provision.Folder, existing []provision.Spec, space uint64) error {
	errs := []error{spec.Validate(), checkName(spec.Name)}

	for _, other := range existing {
		if other.Network.Overlaps(spec.Network) {
			errs = append(errs, fmt.Errorf("network %s is used by cluster %q: choose another with --cidr", spec.Network, other.Name))
		}
	}

	return errors.Join(append(errs, checkNetwork(spec, existing), checkSpace(string(folder), space))...)
}

// checkNetwork refuses a range in which the host has an address or a route of
// its own.
func checkNetwork(spec *provision.Spec, existing []provision.Spec) error {
	// Other clusters are reported as such, and leftovers of this one go.
	known := map[string]bool{BridgeName(spec.Name): true}
	for _, other := range existing {
		known[BridgeName(other.Name)] = true
	}

	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return fmt.Errorf("listing the host's routes: %w", err)
	}

	for _, route := range routes {
		prefix, ok := prefixOf(route.Dst)
		if !ok || prefix.Bits() == 0 || !prefix.Overlaps(spec.Network) {
			continue
		}

		name := "?"
		if link, err := netlink.LinkByIndex(route.LinkIndex); err == nil {
			name = link.Attrs().Name
		}

		if known[name] {
			continue
		}

		return fmt.Errorf("network %s overlaps with %s, which this machine reaches by %s: choose another with --cidr", spec.Network, prefix, name)
	}

	return nil
}

func prefixOf(network *net.IPNet) (netip.Prefix, bool) {
	if network == nil {
		return netip.Prefix{}, false
	}

	address, ok := netip.AddrFromSlice(network.IP)
	bits, _ := network.Mask.Size()

	return netip.PrefixFrom(address.Unmap(), bits), ok
}

// checkSpace wants room where the folder is, or will be.
func checkSpace(path string, want uint64) error {
	for {
		var stat unix.Statfs_t

		err := unix.Statfs(path, &stat)
		if errors.Is(err, fs.ErrNotExist) && filepath.Dir(path) != path {
			path = filepath.Dir(path)

			continue
		} else if err != nil {
			return fmt.Errorf("looking for space in %s: %w", path, err)
		}

		if free := stat.Bavail * uint64(stat.Bsize); free < want {
			return fmt.Errorf("%s has %d MiB free, the nodes need %d MiB: free some space or choose another folder with --state",
				path, free>>20, want>>20)
		}

		return nil
	}
}
