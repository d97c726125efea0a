package container

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/cgroup"
	"github.com/basalt-os/basalt/pkg/provision"
)

// cgroupParent is the control group above those of all clusters.
const cgroupParent = "basalt"

// removeInterval is how often a group whose processes are ending is tried.
const removeInterval = 100 * time.Millisecond

// createCgroup makes the control group of a node with its limits, and moves
// process pid into it.
func createCgroup(cluster string, node provision.Node, pid int) error {
	tree, err := cgroup.Open(cgroup.Mountpoint)
	if err != nil {
		return err
	}

	group := filepath.Join(cgroupParent, cluster, node.Name)
	limits := cgroup.Limits{MemoryMax: int64(node.Memory), CPUMax: node.CPUs}

	if err := tree.Create(group, limits); err != nil {
		return err
	}

	return tree.Add(group, pid)
}

// removeCgroups ends what still runs in the control groups of a cluster and
// removes them, waiting for the processes to go until ctx ends. It is no error
// when there are no groups.
func removeCgroups(ctx context.Context, cluster string) error {
	tree, err := cgroup.Open(cgroup.Mountpoint)
	if err != nil {
		return err
	}

	group := filepath.Join(cgroupParent, cluster)

	for {
		pids, err := tree.ProcessesBelow(group)
		if err != nil {
			return err
		}

		for _, pid := range pids {
			syscall.Kill(pid, syscall.SIGKILL) //nolint:errcheck // it may have ended just now
		}

		err = tree.Delete(group)
		if err == nil {
			return tree.DeleteEmpty(cgroupParent)
		} else if !errors.Is(err, unix.EBUSY) {
			return err
		}

		select {
		case <-ctx.Done():
			return fmt.Errorf("processes %v do not end: %w", pids, err)
		case <-time.After(removeInterval):
		}
	}
}
