package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/acquire"
	"github.com/basalt-os/basalt/internal/metapart"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/block"
	"github.com/basalt-os/basalt/internal/resources/hardware"
	"github.com/basalt-os/basalt/internal/resources/network"
	"github.com/basalt-os/basalt/internal/volume"
)

// configURL is the URL that the command line gives, with what it asks for about
// this machine. It waits for facts that come late: an address for the hardware
// address of a link, a name, and a code that a person types at the console.
func (n *Node) configURL(ctx context.Context, text string) (string, error) {
	asked, err := acquire.Variables(text)
	if err != nil {
		return "", err
	}

	// Nothing can be fetched before the machine has an address.
	if _, err := resource.WaitFor(ctx, n.store, network.StatusID, func(r *resource.Resource[network.Status]) bool {
		return r != nil && r.Spec.AddressReady
	}); err != nil {
		return "", err
	}

	var facts acquire.Facts

	if slices.Contains(asked, "uuid") || slices.Contains(asked, "serial") {
		system, err := n.systemInformation(ctx)
		if err != nil {
			return "", err
		}

		facts.UUID, facts.Serial = system.UUID, system.SerialNumber
	}

	if slices.Contains(asked, "mac") {
		if facts.MAC, err = n.uplinkMAC(ctx); err != nil {
			return "", err
		}
	}

	if slices.Contains(asked, "hostname") {
		host, err := resource.WaitFor(ctx, n.store, network.HostnameID, present[network.HostnameStatus])
		if err != nil {
			return "", err
		}

		facts.Hostname = host.Spec.Hostname
	}

	if code, ok := n.meta.Get(metapart.KeyDownloadURLCode); ok {
		facts.Code = string(code)
	} else if slices.Contains(asked, "code") {
		return "", errors.New("the URL asks for a code, and META has none yet")
	}

	return acquire.Expand(text, facts)
}

// firmwareTimeout bounds the wait for what the firmware says: it is there from
// the start, or never.
const firmwareTimeout = 10 * time.Second

// systemInformation is what the firmware says about the machine.
func (n *Node) systemInformation(ctx context.Context) (hardware.SystemInformation, error) {
	ctx, cancel := context.WithTimeout(ctx, firmwareTimeout)
	defer cancel()

	system, err := resource.WaitFor(ctx, n.store, hardware.SystemInformationID, present[hardware.SystemInformation])
	if err != nil {
		return hardware.SystemInformation{}, fmt.Errorf("the URL asks for what the firmware says about the machine, and it says nothing: %w", err)
	}

	return system.Spec, nil
}

// uplinkMAC is the hardware address of the first physical link that is up.
func (n *Node) uplinkMAC(ctx context.Context) (string, error) {
	links, err := resource.List[network.LinkStatus](ctx, n.store)
	if err != nil {
		return "", err
	}

	for _, link := range links {
		if link.Spec.LinkState && link.Spec.Kind == "" && len(link.Spec.HardwareAddr) > 0 && link.Meta.ID != "lo" {
			return link.Spec.HardwareAddr.String(), nil
		}
	}

	return "", errors.New("no physical link is up")
}

// configFromMedium reads config.yaml from a volume with a well-known label: a
// CD, a stick or a partition. There is none when no volume has the label.
func (n *Node) configFromMedium(ctx context.Context) ([]byte, error) {
	if err := volume.WaitDiscovered(ctx, n.store); err != nil {
		return nil, err
	}

	volumes, err := resource.List[block.DiscoveredVolume](ctx, n.store)
	if err != nil {
		return nil, err
	}

	for _, volume := range volumes {
		if volume.Spec.Label == acquire.MetalISO || volume.Spec.PartitionLabel == acquire.MetalISO {
			return readFromVolume(volume.Spec.DevPath, volume.Spec.Name, "config.yaml")
		}
	}

	n.logger.Warn("no volume with a machine configuration is there", "label", acquire.MetalISO)

	return nil, nil
}

// readFromVolume reads a file of a file system that is not mounted.
func readFromVolume(device, kind, name string) (text []byte, err error) {
	target, err := os.MkdirTemp("/run", "medium-")
	if err != nil {
		return nil, err
	}

	defer func() { err = errors.Join(err, os.Remove(target)) }()

	const flags = unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	if err := unix.Mount(device, target, kind, flags, ""); err != nil {
		return nil, fmt.Errorf("mounting %s: %w", device, err)
	}

	defer func() { err = errors.Join(err, unix.Unmount(target, 0)) }()

	if text, err = os.ReadFile(filepath.Join(target, name)); err != nil {
		return nil, fmt.Errorf("reading %s of %s: %w", name, device, err)
	}

	return text, nil
}
