package host

import (
	"context"
	"log/slog"
	"sync"

	"github.com/basalt-os/basalt/pkg/provision"
)

// Cluster is what a provisioner is told about the cluster whose nodes it
// makes.
type Cluster struct {
	Spec   *provision.Spec
	Folder provision.Folder
	Logger *slog.Logger
}

// Provisioner makes nodes of one kind. Its methods are called from many
// goroutines.
type Provisioner interface {
	// Serve starts what nodes of this kind need around them beside what all
	// nodes need, on a network that exists. It runs until ctx ends; the first
	// failure is sent to failed.
	Serve(ctx context.Context, cluster *Cluster, wg *sync.WaitGroup, failed chan<- error) error
	// Launch powers a node on and returns once it runs. It is called on an
	// operating system thread that is kept until the machine has ended, so that
	// a process which dies with its parent's thread does not die early.
	Launch(cluster *Cluster, node provision.Node) (Machine, error)
	// Cleanup ends and removes what nodes of this kind have left outside their
	// cluster's folder, beside what is part of the network. It is no error
	// when there is nothing.
	Cleanup(ctx context.Context, cluster string) error
}

// Machine is a node that runs. Its methods may be called at any time, also when
// the machine has ended.
type Machine interface {
	// PID is the process of the hosting machine that the node is or runs in.
	PID() int
	// Detail says in a few words what NodeStatus cannot; it may be empty.
	Detail() string
	// Shutdown asks the node to power off in order.
	Shutdown() error
	// Reset starts the node again at once, as a reset button does. The machine
	// may end for it, and is then launched again.
	Reset() error
	// Kill ends the machine at once, as a power cut does.
	Kill()
	// Wait waits until the machine has ended. It is called once.
	Wait() Ending
}

// Ending is how a machine ended.
type Ending struct {
	// Again asks for another launch.
	Again  bool
	Reason error
}
