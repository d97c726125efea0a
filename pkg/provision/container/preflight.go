package container

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/cgroup"
	"github.com/basalt-os/basalt/pkg/provision"
	"github.com/basalt-os/basalt/pkg/provision/host"
)

// spacePerNode is what one node's state and images take on disk, in bytes,
// with room to start a few pods.
const spacePerNode = 2 << 30

// Preflight reports everything that keeps a cluster from being created here,
// each with what to do about it, without making anything. existing are the
// clusters that there are already.
func Preflight(ctx context.Context, spec *provision.Spec, folder provision.Folder, existing []provision.Spec) error {
	if os.Geteuid() != 0 {
		return errors.New("container nodes need root: run this as root, for example with sudo")
	}

	errs := []error{host.Preflight(spec, folder, existing, uint64(len(spec.Nodes))*spacePerNode)}

	for _, dir := range []string{spec.Root, spec.Images} {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			errs = append(errs, fmt.Errorf("%s is missing: run \"make build\" first", dir))
		}
	}

	errs = append(errs,
		checkFilesystems("overlay", "tmpfs", "proc", "sysfs"),
		checkCgroups(),
		checkSeccomp(),
		checkLinks(ctx),
	)

	return errors.Join(errs...)
}

// checkFilesystems wants file systems that the kernel has, or has as a module.
func checkFilesystems(names ...string) error {
	known, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		return err
	}

	var errs []error

	for _, name := range names {
		if !slices.Contains(strings.Fields(string(known)), name) && !hasModule(name) {
			errs = append(errs, fmt.Errorf("the kernel has no %s file system: load the module %q or use a kernel that has it", name, name))
		}
	}

	return errors.Join(errs...)
}

// hasModule says whether the running kernel's modules contain one of that name.
func hasModule(name string) bool {
	var uts unix.Utsname
	if unix.Uname(&uts) != nil {
		return false
	}

	file, err := os.Open(filepath.Join("/lib/modules", unix.ByteSliceToString(uts.Release[:]), "modules.dep"))
	if err != nil {
		return false
	}
	defer file.Close() //nolint:errcheck // only read

	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		path, _, _ := strings.Cut(scanner.Text(), ":")
		if base, _, _ := strings.Cut(filepath.Base(path), "."); base == name {
			return true
		}
	}

	return false
}

func checkCgroups() error {
	if _, err := cgroup.Open(cgroup.Mountpoint); err != nil {
		return fmt.Errorf("control groups: %w: mount them under %s", err, cgroup.Mountpoint)
	}

	return nil
}

func checkSeccomp() error {
	if _, err := unix.PrctlRetInt(unix.PR_GET_SECCOMP, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("the kernel has no seccomp, without which no pod starts: %w", err)
	}

	return nil
}

// checkLinks makes one link of each kind that a cluster needs, and asks for
// nftables, in a network namespace that goes when the check ends.
func checkLinks(ctx context.Context) error {
	result := make(chan error, 1)

	go func() {
		// The thread is not given back, so that it ends with its namespace.
		runtime.LockOSThread()

		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			result <- fmt.Errorf("making a network namespace: %w", err)

			return
		}

		links := []netlink.Link{
			&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "probe-br"}},
			&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "probe-veth"}, PeerName: "probe-peer"},
			&netlink.Vxlan{LinkAttrs: netlink.LinkAttrs{Name: "probe-vxlan"}, VxlanId: 1, Port: 4789},
		}

		var errs []error

		for _, link := range links {
			if err := netlink.LinkAdd(link); err != nil {
				errs = append(errs, fmt.Errorf("the kernel makes no %s links: %w: load the module %q", link.Type(), err, link.Type()))
			}
		}

		if _, err := (&nftables.Conn{}).ListTables(); err != nil {
			errs = append(errs, fmt.Errorf("the kernel has no nftables: %w: load the module %q", err, "nf_tables"))
		}

		result <- errors.Join(errs...)
	}()

	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
