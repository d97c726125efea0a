package container

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/moby/sys/mountinfo"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// InitArgument is the first argument with which the host process starts its
// own binary again, as the first process of a node's namespaces. The program
// that embeds this package calls Init when it sees it.
const InitArgument = "cluster-node-init"

// paramsFD is where the parent's pipe is found: the first descriptor after the
// standard three.
const paramsFD = 3

// uplink is the name of a node's network interface.
const uplink = "eth0"

// initParams is what the host process tells the first process of a node, once
// the node's control groups and network link are in place.
type initParams struct {
	Hostname string
	Root     string // the root tree, mounted read-only
	State    string // mounted at /system/state
	Var      string // mounted at /var
	Address  netip.Prefix
	Gateway  netip.Addr
	Env      []string
}

// Init turns the calling process, which is PID 1 of fresh namespaces, into the
// node's machined. It returns only when that cannot be done.
//
// It must be called early in main: the program that it runs in is replaced.
func Init() error {
	// The cgroup namespace belongs to a thread, and exec keeps the one of the
	// thread that calls it.
	runtime.LockOSThread()

	params, err := readParams(os.NewFile(paramsFD, "params"))
	if err != nil {
		return err
	}

	// Only now is the process in the control groups that the namespace is to
	// have as its roots.
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("making a cgroup namespace: %w", err)
	}

	if err := unix.Sethostname([]byte(params.Hostname)); err != nil {
		return fmt.Errorf("setting the host name: %w", err)
	}

	if err := configureNetwork(params.Address, params.Gateway); err != nil {
		return err
	}

	if err := enterRoot(params); err != nil {
		return err
	}

	return fmt.Errorf("starting /sbin/init: %w", unix.Exec("/sbin/init", []string{"/sbin/init"}, params.Env))
}

// readParams blocks until the parent has written the parameters and closed its
// end of the pipe.
func readParams(pipe *os.File) (*initParams, error) {
	defer pipe.Close() //nolint:errcheck // only read

	data, err := io.ReadAll(pipe)
	if err != nil {
		return nil, fmt.Errorf("reading the node's parameters: %w", err)
	}

	var params initParams
	if err := json.Unmarshal(data, &params); err != nil {
		return nil, fmt.Errorf("reading the node's parameters: %w", err)
	}

	return &params, nil
}

// configureNetwork brings the loopback and the uplink up.
func configureNetwork(address netip.Prefix, gateway netip.Addr) error {
	for _, name := range []string{"lo", uplink} {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return fmt.Errorf("finding link %s: %w", name, err)
		}

		if name == uplink {
			ip := &net.IPNet{IP: address.Addr().AsSlice(), Mask: net.CIDRMask(address.Bits(), address.Addr().BitLen())}
			if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: ip}); err != nil {
				return fmt.Errorf("adding address %s to %s: %w", address, name, err)
			}
		}

		if err := netlink.LinkSetUp(link); err != nil {
			return fmt.Errorf("setting link %s up: %w", name, err)
		}
	}

	if err := netlink.RouteAdd(&netlink.Route{Gw: gateway.AsSlice()}); err != nil {
		return fmt.Errorf("adding the default route by %s: %w", gateway, err)
	}

	return nil
}

// mount is one mount of a node's root.
type mount struct {
	source, target, fstype string
	flags                  uintptr
	data                   string
}

func (m mount) perform(root string) error {
	target := filepath.Join(root, m.target)

	if err := os.MkdirAll(target, 0o755); err != nil {
		return fmt.Errorf("making mount point %s: %w", m.target, err)
	}

	if err := unix.Mount(m.source, target, m.fstype, m.flags, m.data); err != nil {
		return fmt.Errorf("mounting %s (%s) on %s: %w", m.source, m.fstype, m.target, err)
	}

	return nil
}

const (
	noDevices  = unix.MS_NOSUID | unix.MS_NODEV
	noPrograms = noDevices | unix.MS_NOEXEC
)

// mounts lists what a node has mounted before its PID 1 starts, in order.
func mounts(params *initParams, cgroups []mount) []mount {
	list := []mount{
		{"proc", "/proc", "proc", noPrograms, ""},
		{"sysfs", "/sys", "sysfs", noPrograms, ""},
		{"tmpfs", "/dev", "tmpfs", unix.MS_NOSUID, "mode=0755,size=65536k"},
		{"devpts", "/dev/pts", "devpts", unix.MS_NOSUID | unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620"},
		{"shm", "/dev/shm", "tmpfs", noPrograms, "mode=1777"},
		{"mqueue", "/dev/mqueue", "mqueue", noPrograms, ""},
		{"tmpfs", "/run", "tmpfs", noDevices, "mode=0755"},
		{"tmpfs", "/tmp", "tmpfs", noDevices, "mode=1777"},
		{"tmpfs", "/system", "tmpfs", noDevices, "mode=0755"},
		{params.State, "/system/state", "", unix.MS_BIND, ""},
		{params.Var, "/var", "", unix.MS_BIND, ""},
	}

	return append(list, cgroups...)
}

// cgroupMounts lists the mounts that give a node the same control group
// layout as its host: version 2 alone, or version 1 hierarchies on a tmpfs,
// with version 2 beside them on hybrid hosts.
func cgroupMounts(host []*mountinfo.Info) []mount {
	const base = "/sys/fs/cgroup"

	var list []mount

	for _, info := range host {
		under := info.Mountpoint == base || strings.HasPrefix(info.Mountpoint, base+"/")

		switch {
		case !under:
		case info.FSType == "tmpfs" && info.Mountpoint == base:
			list = append([]mount{{"tmpfs", base, "tmpfs", noPrograms, "mode=0755"}}, list...)
		case info.FSType == "cgroup":
			list = append(list, mount{"cgroup", info.Mountpoint, "cgroup", noPrograms, hierarchy(info.VFSOptions)})
		case info.FSType == "cgroup2":
			list = append(list, mount{"cgroup2", info.Mountpoint, "cgroup2", noPrograms, ""})
		}
	}

	return list
}

// hierarchy picks from a version 1 mount's options those that name it: its
// controllers, or its name.
func hierarchy(options string) string {
	var names []string

	for option := range strings.SplitSeq(options, ",") {
		switch {
		case option == "rw", option == "ro", option == "xattr", option == "clone_children", strings.HasPrefix(option, "release_agent="):
		case strings.HasPrefix(option, "name="):
			names = append(names, "none", option)
		default:
			names = append(names, option)
		}
	}

	return strings.Join(names, ",")
}

// enterRoot makes the root tree with everything mounted in it the root of the
// mount namespace.
func enterRoot(params *initParams) error {
	host, err := mountinfo.GetMounts(mountinfo.PrefixFilter("/sys/fs/cgroup"))
	if err != nil {
		return fmt.Errorf("reading the host's mounts: %w", err)
	}

	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}

	root := params.Root
	if err := unix.Mount(root, root, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mounting the root tree %s: %w", root, err)
	}

	if err := unix.Mount("", root, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|unix.MS_NODEV, ""); err != nil {
		return fmt.Errorf("making the root tree read-only: %w", err)
	}

	for _, m := range mounts(params, cgroupMounts(host)) {
		if err := m.perform(root); err != nil {
			return err
		}

		if m.target == "/dev" {
			if err := makeDevices(filepath.Join(root, "dev")); err != nil {
				return err
			}
		}
	}

	if err := os.Chdir(root); err != nil {
		return err
	}

	// The old root ends up on top of the new one and is taken off again.
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("entering the root tree: %w", err)
	}

	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leaving the host's root: %w", err)
	}

	if err := os.Chdir("/"); err != nil {
		return err
	}

	// Pods see mounts that the node makes, and the other way round.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("sharing mounts: %w", err)
	}

	return nil
}

// makeDevices fills /dev with the devices that programs take for granted.
func makeDevices(dev string) error {
	old := unix.Umask(0)
	defer unix.Umask(old)

	devices := []struct {
		name         string
		major, minor uint32
		mode         uint32
	}{
		{"null", 1, 3, 0o666},
		{"zero", 1, 5, 0o666},
		{"full", 1, 7, 0o666},
		{"random", 1, 8, 0o666},
		{"urandom", 1, 9, 0o666},
		{"kmsg", 1, 11, 0o600},
		{"tty", 5, 0, 0o666},
		{"fuse", 10, 229, 0o666},
	}

	for _, device := range devices {
		number := int(unix.Mkdev(device.major, device.minor))
		if err := unix.Mknod(filepath.Join(dev, device.name), unix.S_IFCHR|device.mode, number); err != nil {
			return fmt.Errorf("making device %s: %w", device.name, err)
		}
	}

	links := map[string]string{
		"ptmx": "pts/ptmx", "fd": "/proc/self/fd",
		"stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2",
	}

	for name, target := range links {
		if err := os.Symlink(target, filepath.Join(dev, name)); err != nil {
			return err
		}
	}

	return nil
}
