package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/flannel-io/flannel/pkg/ip"
	"github.com/flannel-io/flannel/pkg/lease"
	"github.com/flannel-io/flannel/pkg/subnet"
)

// conflist is the CNI network configuration list of a node.
type conflist struct {
	Name       string `json:"name"`
	CNIVersion string `json:"cniVersion"`
	Plugins    []any  `json:"plugins"`
}

type bridgePlugin struct {
	Type             string   `json:"type"`
	Bridge           string   `json:"bridge"`
	IsDefaultGateway bool     `json:"isDefaultGateway"`
	HairpinMode      bool     `json:"hairpinMode"`
	IPMasq           bool     `json:"ipMasq"`
	MTU              int      `json:"mtu"`
	IPAM             hostIPAM `json:"ipam"`
}

type hostIPAM struct {
	Type   string      `json:"type"`
	Ranges [][]ipRange `json:"ranges"`
	Routes []ipRoute   `json:"routes"`
}

type ipRange struct {
	Subnet string `json:"subnet"`
}

type ipRoute struct {
	Destination string `json:"dst"`
}

type portmapPlugin struct {
	Type         string          `json:"type"`
	Backend      string          `json:"backend"`
	Capabilities map[string]bool `json:"capabilities"`
}

// newConflist is what flannel's own CNI plugin would delegate to: a bridge whose
// addresses come from the node's subnet. Masquerading is flanneld's business.
func newConflist(config *subnet.Config, l *lease.Lease, mtu int) conflist {
	ipam := hostIPAM{Type: "host-local"}

	if config.EnableIPv4 {
		ipam.Ranges = append(ipam.Ranges, []ipRange{{l.Subnet.String()}})
		ipam.Routes = append(ipam.Routes, ipRoute{config.Network.String()})
	}

	if config.EnableIPv6 {
		ipam.Ranges = append(ipam.Ranges, []ipRange{{l.IPv6Subnet.String()}})
		ipam.Routes = append(ipam.Routes, ipRoute{config.IPv6Network.String()})
	}

	return conflist{
		Name:       "cbr0",
		CNIVersion: "1.0.0",
		Plugins: []any{
			bridgePlugin{Type: "bridge", Bridge: "cni0", IsDefaultGateway: true, HairpinMode: true, MTU: mtu, IPAM: ipam},
			portmapPlugin{Type: "portmap", Backend: "nftables", Capabilities: map[string]bool{"portMappings": true}},
		},
	}
}

// writeConflist replaces path at once: containerd watches the folder and must
// never read half a file.
func writeConflist(path string, list conflist) error {
	data, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the CNI configuration: %w", err)
	}

	// containerd loads *.conf, *.conflist and *.json: the temporary name is none.
	tmp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")

	if err := os.WriteFile(tmp, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("writing the CNI configuration: %w", err)
	}

	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("writing the CNI configuration: %w", err)
	}

	return nil
}

// previousNetworks is what an earlier run wrote, so that its rules can be
// replaced.
type previousNetworks struct {
	network, subnet   ip.IP4Net
	network6, subnet6 ip.IP6Net
}

// readSubnetFile reads path; what is missing or does not parse stays empty, as
// on a node's first start.
func readSubnetFile(path string) previousNetworks {
	previous := previousNetworks{
		network6: ip.IP6Net{IP: ip.FromIP6(net.IPv6zero)},
		subnet6:  ip.IP6Net{IP: ip.FromIP6(net.IPv6zero)},
	}

	file, err := os.Open(path)
	if err != nil {
		return previous
	}
	defer file.Close()

	for lines := bufio.NewScanner(file); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), "=")

		_, prefix, err := net.ParseCIDR(value)
		if err != nil {
			continue
		}

		switch key {
		case "FLANNEL_NETWORK":
			previous.network = ip.FromIPNet(prefix)
		case "FLANNEL_SUBNET":
			previous.subnet = ip.FromIPNet(prefix)
		case "FLANNEL_IPV6_NETWORK":
			previous.network6 = ip.FromIP6Net(prefix)
		case "FLANNEL_IPV6_SUBNET":
			previous.subnet6 = ip.FromIP6Net(prefix)
		}
	}

	return previous
}
