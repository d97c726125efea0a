package host

import (
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// ErrNameTaken says that a cluster of the same name runs from another folder.
var ErrNameTaken = errors.New("its name is taken")

// lockName takes the lock of a cluster's name on this machine, after which links
// and control groups are called, so that no cluster takes those of another folder's
// for leftovers of its own. The lock is a socket of the network namespace in which
// the links are; it goes with the process, and leaves no file behind.
func lockName(cluster string) (*net.UnixListener, error) {
	lock, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: "@basalt-cluster-" + cluster})
	if errors.Is(err, unix.EADDRINUSE) {
		return nil, fmt.Errorf("a cluster %q runs already, from another folder: %w: choose another with --name, or look for its folder with --state",
			cluster, ErrNameTaken)
	} else if err != nil {
		return nil, fmt.Errorf("taking the name of cluster %q: %w", cluster, err)
	}

	return lock, nil
}

// checkName says whether another cluster has the name.
func checkName(cluster string) error {
	lock, err := lockName(cluster)
	if err != nil {
		return err
	}

	return lock.Close()
}
