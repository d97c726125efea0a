package container

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/pkg/provision"
)

// State is what a node is doing.
type State string

// The states of a node.
const (
	Running    State = "running"
	Restarting State = "restarting" // between the end of one PID 1 and the start of the next
	Stopped    State = "stopped"
)

const (
	// restartDelay keeps a node whose init ends at once from spinning.
	restartDelay = time.Second
	// consoleLimit is the size, in bytes, above which a console log is moved
	// aside when its node starts.
	consoleLimit = 16 << 20
)

// node runs one node: start makes it run, and it restarts itself when its PID
// 1 asks for a reboot or dies. Its methods are safe for concurrent use.
type node struct {
	spec   *provision.Spec
	self   provision.Node
	folder provision.Folder
	logger *slog.Logger

	mu    sync.Mutex
	state State
	pid   int
	since time.Time
	stop  bool          // the node is to stay stopped when its PID 1 ends
	done  chan struct{} // closed when the running supervise ends; nil before
}

// start launches the node unless it runs. It returns once PID 1 has been
// started, and keeps the node going until stopped.
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
		// The node dies with the thread that started it (Pdeathsig), so that
		// thread belongs to it alone.
		runtime.LockOSThread()
		n.supervise(ctx, started)
		close(n.done)
	})

	return <-started
}

// supervise launches PID 1 again and again until it powers off or the node is
// stopped. The caller of start holds the lock until the first launch is done.
func (n *node) supervise(ctx context.Context, started chan<- error) {
	command, err := n.launch()
	if err != nil {
		started <- err

		return
	}

	n.state, n.pid, n.since = Running, command.Process.Pid, time.Now()
	started <- nil

	for {
		reason := ended(command)
		again := n.ended(ctx, reason)

		for again {
			select {
			case <-ctx.Done():
			case <-time.After(restartDelay):
			}

			command, err = n.relaunch(ctx)
			if err == nil {
				break
			}

			again = n.ended(ctx, err)
		}

		if !again {
			return
		}
	}
}

// relaunch launches PID 1 unless the node was stopped meanwhile.
func (n *node) relaunch(ctx context.Context) (*exec.Cmd, error) {
	n.mu.Lock()
	defer n.mu.Unlock()

	if ctx.Err() != nil || n.stop {
		return nil, errPoweredOff
	}

	command, err := n.launch()
	if err != nil {
		return nil, err
	}

	n.state, n.pid, n.since = Running, command.Process.Pid, time.Now()

	return command, nil
}

// ended records why PID 1 is gone and says whether it is to be started again.
func (n *node) ended(ctx context.Context, reason error) bool {
	n.mu.Lock()
	defer n.mu.Unlock()

	n.pid, n.since = 0, time.Now()

	if n.stop || ctx.Err() != nil || errors.Is(reason, errPoweredOff) {
		n.state = Stopped
		n.logger.Info("node stopped", "node", n.self.Name)

		return false
	}

	n.state = Restarting
	n.logger.Info("node restarts", "node", n.self.Name, "reason", reason)

	return true
}

// signal sends a signal to PID 1; final keeps the node from restarting.
func (n *node) signal(signal syscall.Signal, final bool) (done <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()

	if n.state == Stopped {
		closed := make(chan struct{})
		close(closed)

		return closed
	}

	n.stop = n.stop || final

	if n.pid != 0 {
		syscall.Kill(n.pid, signal) //nolint:errcheck // it may have ended just now
	}

	return n.done
}

func (n *node) status() NodeStatus {
	n.mu.Lock()
	defer n.mu.Unlock()

	return NodeStatus{Name: n.self.Name, State: n.state, PID: n.pid, Since: n.since}
}

// What a PID 1 asked for by the way it ended.
var (
	errRebooted   = errors.New("asked for a reboot")
	errPoweredOff = errors.New("powered off")
)

// ended waits for PID 1 and says why it is gone. When the init of a PID
// namespace calls reboot(2), the kernel ends it with SIGHUP for a restart and
// with SIGINT for a power-off or halt.
func ended(command *exec.Cmd) error {
	err := command.Wait()

	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return fmt.Errorf("init ended: %w", err)
	}

	status, ok := exit.Sys().(syscall.WaitStatus)

	switch {
	case ok && status.Signaled() && status.Signal() == syscall.SIGHUP:
		return errRebooted
	case ok && status.Signaled() && status.Signal() == syscall.SIGINT:
		return errPoweredOff
	default:
		return fmt.Errorf("init ended: %w", err)
	}
}

// launch starts this binary again as the first process of fresh namespaces,
// puts it into its control group and its network, and lets it become the
// node's init.
func (n *node) launch() (*exec.Cmd, error) {
	params, err := n.params()
	if err != nil {
		return nil, err
	}

	console, err := openConsole(n.folder.Console(n.self.Name))
	if err != nil {
		return nil, err
	}
	defer console.Close() //nolint:errcheck // the child has it

	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer reader.Close() //nolint:errcheck // the child has it
	defer writer.Close() //nolint:errcheck // closed once more, harmlessly, after a failure

	command := exec.Command("/proc/self/exe", InitArgument)
	command.Env = []string{}
	command.Stdout, command.Stderr = console, console
	command.ExtraFiles = []*os.File{reader}
	command.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
		Setsid:     true,
		Pdeathsig:  syscall.SIGKILL,
	}

	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("starting node %s: %w", n.self.Name, err)
	}

	if err := n.release(command.Process.Pid, params, writer); err != nil {
		command.Process.Kill() //nolint:errcheck // it is waiting for us and nobody else
		command.Wait()         //nolint:errcheck // we killed it

		return nil, err
	}

	return command, nil
}

// release gives the waiting first process what it needs from outside.
func (n *node) release(pid int, params []byte, writer *os.File) error {
	if err := createCgroup(n.spec.Name, n.self, pid); err != nil {
		return err
	}

	if err := attachNode(n.spec.Name, n.self.Name, pid); err != nil {
		return err
	}

	if _, err := writer.Write(params); err != nil {
		return fmt.Errorf("starting node %s: %w", n.self.Name, err)
	}

	return writer.Close()
}

func (n *node) params() ([]byte, error) {
	config, err := os.ReadFile(n.folder.NodeConfig(n.self.Name))
	if err != nil {
		return nil, fmt.Errorf("reading the configuration of node %s: %w", n.self.Name, err)
	}

	folder := n.folder.Node(n.self.Name)

	return json.Marshal(initParams{
		Hostname: n.self.Name,
		Root:     n.spec.Root,
		State:    filepath.Join(folder, "state"),
		Var:      filepath.Join(folder, "var"),
		Address:  netip.PrefixFrom(n.self.Address, n.spec.Network.Bits()),
		Gateway:  n.spec.Gateway(),
		Env: []string{
			"PATH=/usr/bin:/sbin",
			"PLATFORM=container",
			"BASALT_NODE=" + n.self.Name,
			"USERDATA=" + base64.StdEncoding.EncodeToString(config),
		},
	})
}

// openConsole opens a console log for appending, moving a large one aside.
func openConsole(path string) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && info.Size() > consoleLimit {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, err
		}
	}

	return os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
}
