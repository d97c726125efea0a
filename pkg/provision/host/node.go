package host

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/basalt-os/basalt/pkg/provision"
)

// State is what a node is doing.
type State string

// The states of a node.
const (
	Running    State = "running"
	Restarting State = "restarting" // between the end of one machine and the launch of the next
	Stopped    State = "stopped"
)

// restartDelay keeps a node whose machine ends at once from spinning.
const restartDelay = time.Second

// node runs one node: start makes it run, and it is launched again when its
// machine asks for that. Its methods are safe for concurrent use.
type node struct {
	*Cluster

	provisioner Provisioner
	self        provision.Node

	mu      sync.Mutex
	state   State
	machine Machine // nil while none runs
	since   time.Time
	stop    bool          // the node is to stay stopped when its machine ends
	done    chan struct{} // closed when the running supervise ends; nil before
}

// start launches the node unless it runs. It returns once the machine runs,
// and keeps the node going until stopped.
func (n *node) start(ctx context.Context, wg *sync.WaitGroup) error {
	n.mu.Lock()
	defer n.mu.Unlock()

	if n.state == Running || n.state == Restarting {
		return nil
	}

	if err := ctx.Err(); err != nil {
		return fmt.Errorf("starting node %s: the host process is ending: %w", n.self.Name, err)
	}

	n.stop = false
	n.done = make(chan struct{})
	started := make(chan error, 1)

	wg.Go(func() {
		// The machine dies with the thread that launched it, so that thread
		// belongs to it alone.
		runtime.LockOSThread()
		n.supervise(ctx, started)
		close(n.done)
	})

	return <-started
}

// supervise launches machines until one powers off or the node is stopped. The
// caller of start holds the lock until the first launch is done.
func (n *node) supervise(ctx context.Context, started chan<- error) {
	machine, err := n.launch()
	started <- err

	for err == nil {
		ending := machine.Wait()
		again := n.ended(ctx, ending)

		for again {
			select {
			case <-ctx.Done():
			case <-time.After(restartDelay):
			}

			machine, err = n.relaunch(ctx)
			if err == nil {
				break
			}

			again = n.ended(ctx, Ending{Again: !errors.Is(err, errStopped), Reason: err})
		}

		if !again {
			return
		}
	}
}

// launch launches a machine; the caller holds the lock, or waits for the one
// who does.
func (n *node) launch() (Machine, error) {
	machine, err := n.provisioner.Launch(n.Cluster, n.self)
	if err != nil {
		return nil, fmt.Errorf("starting node %s: %w", n.self.Name, err)
	}

	n.state, n.machine, n.since = Running, machine, time.Now()

	return machine, nil
}

// errStopped is why a node is not launched again.
var errStopped = errors.New("stopped")

// relaunch launches a machine unless the node was stopped meanwhile.
func (n *node) relaunch(ctx context.Context) (Machine, error) {
	n.mu.Lock()
	defer n.mu.Unlock()

	if ctx.Err() != nil || n.stop {
		return nil, errStopped
	}

	return n.launch()
}

// ended records why the machine is gone and says whether it is to be launched
// again.
func (n *node) ended(ctx context.Context, ending Ending) bool {
	n.mu.Lock()
	defer n.mu.Unlock()

	n.machine, n.since = nil, time.Now()

	if n.stop || ctx.Err() != nil || !ending.Again {
		n.state = Stopped
		n.Logger.Info("node stopped", "node", n.self.Name, "reason", ending.Reason)

		return false
	}

	n.state = Restarting
	n.Logger.Info("node restarts", "node", n.self.Name, "reason", ending.Reason)

	return true
}

// powerCut is the end of a machine without any order.
func powerCut(m Machine) error {
	m.Kill()

	return nil
}

// end ends the node's machine and keeps it from being launched again. The
// channel is closed when the machine has ended.
func (n *node) end(how func(Machine) error) <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()

	if n.state == Stopped {
		closed := make(chan struct{})
		close(closed)

		return closed
	}

	n.stop = true

	if n.machine != nil {
		if err := how(n.machine); err != nil {
			n.Logger.Warn("ending a node", "node", n.self.Name, "error", err)
		}
	}

	return n.done
}

// reset starts the node's machine again at once.
func (n *node) reset() error {
	n.mu.Lock()
	defer n.mu.Unlock()

	if n.machine == nil {
		return fmt.Errorf("it is %s", n.state)
	}

	return n.machine.Reset()
}

func (n *node) status() NodeStatus {
	n.mu.Lock()
	defer n.mu.Unlock()

	status := NodeStatus{Name: n.self.Name, State: n.state, Since: n.since}

	if n.machine != nil {
		status.PID, status.Detail = n.machine.PID(), n.machine.Detail()
	}

	return status
}
