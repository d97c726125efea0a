package node

import (
	"fmt"
	"os"

	"github.com/basalt-os/basalt/internal/cgroup"
)

// Control groups of the node, below the root of its own namespace.
const (
	groupInit      = "init"
	groupSystem    = "system/runtime"
	groupGateway   = "system/apid"
	groupTrust     = "system/trustd"
	groupDashboard = "system/dashboard"
	groupRuntime   = "podruntime/runtime"
	groupShim      = "podruntime/shim"
	groupEtcd      = "podruntime/etcd"
	groupInstaller = "system/installer"
	groupKubelet   = "podruntime/kubelet"
	groupPods      = "kubepods"
)

// groupLimits are the shares of the groups that matter when the node is busy:
// what keeps the node manageable comes before what it is for.
func groupLimits() []struct {
	name   string
	limits cgroup.Limits
} {
	const mebibyte = 1 << 20

	return []struct {
		name   string
		limits cgroup.Limits
	}{
		{groupInit, cgroup.Limits{CPUWeight: 500, MemoryMin: 48 * mebibyte}},
		{groupSystem, cgroup.Limits{CPUWeight: 500}},
		{groupGateway, cgroup.Limits{CPUWeight: 500, MemoryMax: 128 * mebibyte, MemoryLow: 16 * mebibyte}},
		{groupTrust, cgroup.Limits{CPUWeight: 250, MemoryMax: 64 * mebibyte}},
		{groupDashboard, cgroup.Limits{CPUWeight: 100, MemoryMax: 128 * mebibyte}},
		{groupRuntime, cgroup.Limits{CPUWeight: 500, MemoryLow: 96 * mebibyte}},
		{groupInstaller, cgroup.Limits{}},
		{groupShim, cgroup.Limits{}},
		{groupEtcd, cgroup.Limits{CPUWeight: 1000, MemoryLow: 64 * mebibyte}},
		{groupKubelet, cgroup.Limits{CPUWeight: 500, MemoryLow: 64 * mebibyte}},
		{groupPods, cgroup.Limits{}},
	}
}

// createGroups makes the node's control groups and moves this process to its
// own: on the unified layout a group with processes cannot have children with
// controllers.
func createGroups(tree *cgroup.Tree) error {
	if err := enterInit(tree); err != nil {
		return fmt.Errorf("entering own control group: %w", err)
	}

	for _, group := range groupLimits() {
		if err := tree.Create(group.name, group.limits); err != nil {
			return err
		}
	}

	return nil
}

func enterInit(tree *cgroup.Tree) error {
	if err := tree.Make(groupInit); err != nil {
		return err
	}

	return tree.Add(groupInit, os.Getpid())
}
