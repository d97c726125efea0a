// Package apply brings network specs to the kernel: links and their aliases,
// addresses, routes and routing rules. Its controllers read the merged specs of the namespace
// network, put a finalizer on each, and take back what they did when a spec
// goes. What the kernel loses by other means, they make again.
package apply

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/wgctrl"
	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"
)

// Kernel is what the controllers change.
type Kernel interface {
	Links() ([]netlink.Link, error)
	AddLink(link netlink.Link) error
	DeleteLink(link netlink.Link) error
	SetUp(link netlink.Link, up bool) error
	SetMTU(link netlink.Link, mtu uint32) error
	SetHardwareAddr(link netlink.Link, address []byte) error
	// SetAlias gives a link a second name; the empty one takes it away.
	SetAlias(link netlink.Link, alias string) error
	// SetMaster puts a link under another by index; zero takes it out.
	SetMaster(link netlink.Link, master int) error
	SetMulticast(link netlink.Link, on bool) error
	SetVLANFiltering(bridge netlink.Link, on bool) error

	// Setting reads a file of /sys/class/net or /proc/sys/net, without the
	// end of its line.
	Setting(path string) (string, error)
	SetSetting(path, value string) error

	Wireguard(link string) (*wgtypes.Device, error)
	SetWireguard(link string, config wgtypes.Config) error

	Addresses() ([]netlink.Addr, error)
	AddAddress(link netlink.Link, address *netlink.Addr) error
	DeleteAddress(link netlink.Link, address *netlink.Addr) error

	Routes() ([]netlink.Route, error)
	AddRoute(route *netlink.Route) error
	DeleteRoute(route *netlink.Route) error

	Rules() ([]netlink.Rule, error)
	AddRule(rule *netlink.Rule) error
	DeleteRule(rule *netlink.Rule) error
}

// Netlink is the Kernel of the network namespace that the process is in.
type Netlink struct{}

// Links implements Kernel.
func (Netlink) Links() ([]netlink.Link, error) { return netlink.LinkList() }

// AddLink implements Kernel.
func (Netlink) AddLink(link netlink.Link) error { return netlink.LinkAdd(link) }

// DeleteLink implements Kernel.
func (Netlink) DeleteLink(link netlink.Link) error { return netlink.LinkDel(link) }

// SetUp implements Kernel.
func (Netlink) SetUp(link netlink.Link, up bool) error {
	if up {
		return netlink.LinkSetUp(link)
	}

	return netlink.LinkSetDown(link)
}

// SetMTU implements Kernel.
func (Netlink) SetMTU(link netlink.Link, mtu uint32) error { return netlink.LinkSetMTU(link, int(mtu)) }

// SetHardwareAddr implements Kernel.
func (Netlink) SetHardwareAddr(link netlink.Link, address []byte) error {
	return netlink.LinkSetHardwareAddr(link, address)
}

// SetAlias implements Kernel.
func (Netlink) SetAlias(link netlink.Link, alias string) error {
	return netlink.LinkSetAlias(link, alias)
}

// SetMaster implements Kernel.
func (Netlink) SetMaster(link netlink.Link, master int) error {
	return netlink.LinkSetMasterByIndex(link, master)
}

// SetMulticast implements Kernel.
func (Netlink) SetMulticast(link netlink.Link, on bool) error {
	if on {
		return netlink.LinkSetMulticastOn(link)
	}

	return netlink.LinkSetMulticastOff(link)
}

// SetVLANFiltering implements Kernel.
func (Netlink) SetVLANFiltering(bridge netlink.Link, on bool) error {
	return netlink.BridgeSetVlanFiltering(bridge, on)
}

// Setting implements Kernel.
func (Netlink) Setting(path string) (string, error) {
	text, err := os.ReadFile(filepath.Clean(path))

	return strings.TrimSpace(string(text)), err
}

// SetSetting implements Kernel.
func (Netlink) SetSetting(path, value string) error {
	file, err := os.OpenFile(filepath.Clean(path), os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}

	_, err = file.WriteString(value)

	return errors.Join(err, file.Close())
}

// Wireguard implements Kernel.
func (Netlink) Wireguard(link string) (*wgtypes.Device, error) {
	client, err := wgctrl.New()
	if err != nil {
		return nil, fmt.Errorf("opening the control of WireGuard: %w", err)
	}
	defer client.Close()

	return client.Device(link)
}

// SetWireguard implements Kernel.
func (Netlink) SetWireguard(link string, config wgtypes.Config) error {
	client, err := wgctrl.New()
	if err != nil {
		return fmt.Errorf("opening the control of WireGuard: %w", err)
	}
	defer client.Close()

	return client.ConfigureDevice(link, config)
}

// Addresses implements Kernel.
func (Netlink) Addresses() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_ALL) }

// AddAddress implements Kernel.
func (Netlink) AddAddress(link netlink.Link, address *netlink.Addr) error {
	return netlink.AddrReplace(link, address)
}

// DeleteAddress implements Kernel.
func (Netlink) DeleteAddress(link netlink.Link, address *netlink.Addr) error {
	return absent(netlink.AddrDel(link, address))
}

// Routes implements Kernel.
func (Netlink) Routes() ([]netlink.Route, error) {
	// A filter on table 0 lists the routes of all tables.
	return netlink.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{}, netlink.RT_FILTER_TABLE)
}

// AddRoute implements Kernel. It leaves routes that differ by the next hop.
func (Netlink) AddRoute(route *netlink.Route) error {
	if err := netlink.RouteAppend(route); !errors.Is(err, unix.EEXIST) {
		return err
	}

	return nil
}

// DeleteRoute implements Kernel.
func (Netlink) DeleteRoute(route *netlink.Route) error { return absent(netlink.RouteDel(route)) }

// Rules implements Kernel.
func (Netlink) Rules() ([]netlink.Rule, error) { return netlink.RuleList(netlink.FAMILY_ALL) }

// AddRule implements Kernel.
func (Netlink) AddRule(rule *netlink.Rule) error { return netlink.RuleAdd(rule) }

// DeleteRule implements Kernel.
func (Netlink) DeleteRule(rule *netlink.Rule) error { return absent(netlink.RuleDel(rule)) }

// absent takes it as done when what is to go is not there.
func absent(err error) error {
	for _, gone := range []error{unix.ESRCH, unix.ENOENT, unix.ENODEV, unix.EADDRNOTAVAIL} {
		if errors.Is(err, gone) {
			return nil
		}
	}

	return err
}
