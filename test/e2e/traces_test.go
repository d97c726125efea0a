package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"

	"github.com/basalt-os/basalt/internal/cgroup"
)

// goneLimit is how long the kernel may take to end what was killed.
const goneLimit = 10 * time.Second

// traces are what a cluster has on the machine that cannot be told from its
// name later.
type traces struct {
	cluster *cluster
	// holders are all processes that are in the namespaces of the nodes and
	// their pods, such as "net:[4026532281]". The kernel gives their numbers
	// to others once they are gone.
	holders map[int][]string
	links   []string
}

// observe notes the traces of a running cluster.
func observe(t *testing.T, c *cluster) *traces {
	t.Helper()

	tr := &traces{cluster: c, holders: map[int][]string{}}

	tree, err := cgroup.Open(cgroup.Mountpoint)
	if err != nil {
		t.Fatal(err)
	}

	pids, err := tree.ProcessesBelow(c.group())
	if err != nil {
		t.Fatal(err)
	}

	host, own := namespacesOf(os.Getpid()), map[string]bool{}

	for _, pid := range pids {
		for namespace := range namespacesOf(pid) {
			own[namespace] = own[namespace] || !host[namespace]
		}
	}

	for _, pid := range processes() {
		for namespace := range namespacesOf(pid) {
			if own[namespace] {
				tr.holders[pid] = append(tr.holders[pid], namespace)
			}
		}
	}

	links, err := netlink.LinkList()
	if err != nil {
		t.Fatal(err)
	}

	for _, link := range links {
		if c.owns(t, link, links) {
			tr.links = append(tr.links, link.Attrs().Name)
		}
	}

	return tr
}

// group is the cluster's control group.
func (c *cluster) group() string { return filepath.Join("basalt", c.name) }

// owns says whether a link of the machine is in the cluster's network: it, or
// the bridge it is in, has an address there.
func (c *cluster) owns(t *testing.T, link netlink.Link, all []netlink.Link) bool {
	t.Helper()

	if master := link.Attrs().MasterIndex; master != 0 {
		i := slices.IndexFunc(all, func(l netlink.Link) bool { return l.Attrs().Index == master })

		return i >= 0 && c.owns(t, all[i], all)
	}

	addresses, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		return false // it went away meanwhile
	}

	return slices.ContainsFunc(addresses, func(address netlink.Addr) bool {
		ip, ok := netip.AddrFromSlice(address.IP.To4())

		return ok && c.network().Contains(ip)
	})
}

// assertGone checks that the machine is as if the cluster had never been.
func (tr *traces) assertGone(t *testing.T) {
	t.Helper()

	deadline := time.After(goneLimit)
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()

	for {
		left := tr.left()
		if len(left) == 0 {
			return
		}

		select {
		case <-deadline:
			t.Errorf("cluster %s is destroyed, yet there is left:\n%s", tr.cluster.name, strings.Join(left, "\n"))

			return
		case <-ticker.C:
		}
	}
}

// left lists what is still there.
func (tr *traces) left() []string {
	return slices.Concat(tr.processes(), tr.groups(), tr.network(), tr.files())
}

// processes lists processes, and with them mounts and namespaces.
func (tr *traces) processes() []string {
	var left []string

	folder := string(tr.cluster.folder)

	for _, pid := range processes() {
		proc := filepath.Join("/proc", strconv.Itoa(pid))
		command := string(bytes.ReplaceAll(contents(proc, "cmdline"), []byte{0}, []byte{' '}))

		if strings.Contains(command, folder) || bytes.Contains(contents(proc, "cgroup"), []byte("/"+tr.cluster.group()+"/")) {
			left = append(left, fmt.Sprintf("process %d: %s", pid, command))
		}

		for line := range strings.Lines(string(contents(proc, "mountinfo"))) {
			if strings.Contains(line, folder+"/") {
				left = append(left, fmt.Sprintf("mount in process %d (%s): %s", pid, command, strings.TrimSpace(line)))
			}
		}

		now := namespacesOf(pid)
		for _, namespace := range tr.holders[pid] {
			if now[namespace] {
				left = append(left, fmt.Sprintf("namespace %s of process %d: %s", namespace, pid, command))
			}
		}
	}

	return left
}

func (tr *traces) groups() []string {
	var left []string

	for _, pattern := range []string{cgroup.Mountpoint, filepath.Join(cgroup.Mountpoint, "*")} {
		groups, _ := filepath.Glob(filepath.Join(pattern, tr.cluster.group())) // the pattern is good
		left = append(left, groups...)
	}

	return left
}

func (tr *traces) network() []string {
	var left []string

	for _, name := range tr.links {
		if _, err := netlink.LinkByName(name); err == nil {
			left = append(left, "link "+name)
		}
	}

	tables, err := (&nftables.Conn{}).ListTables()
	if err != nil {
		left = append(left, err.Error())
	}

	for _, table := range tables {
		if strings.Contains(table.Name, tr.cluster.name) {
			left = append(left, "nftables table "+table.Name)
		}
	}

	return left
}

// files lists the cluster's folder, and its context in the client
// configuration.
func (tr *traces) files() []string {
	var left []string

	if _, err := os.Stat(string(tr.cluster.folder)); !errors.Is(err, fs.ErrNotExist) {
		left = append(left, string(tr.cluster.folder))
	}

	configs, _ := filepath.Glob(filepath.Join(tr.cluster.home, ".*", "config")) // the pattern is good
	for _, config := range configs {
		if bytes.Contains(contents(config), []byte(tr.cluster.name)) {
			left = append(left, "context in "+config)
		}
	}

	return left
}

// namespacesOf returns the namespaces of a process; none when it has ended.
func namespacesOf(pid int) map[string]bool {
	namespaces := map[string]bool{}

	entries, _ := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "ns", "*")) // the pattern is good
	for _, entry := range entries {
		if name, err := os.Readlink(entry); err == nil {
			namespaces[name] = true
		}
	}

	return namespaces
}

// processes lists the processes of the machine.
func processes() []int {
	var pids []int

	entries, _ := os.ReadDir("/proc") // it is always there
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil {
			pids = append(pids, pid)
		}
	}

	return pids
}

// contents reads a file; it is empty when there is none.
func contents(names ...string) []byte {
	data, _ := os.ReadFile(filepath.Join(names...)) // see above

	return data
}
