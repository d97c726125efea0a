package container

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/pkg/provision"
	"github.com/basalt-os/basalt/pkg/provision/host"
)

// Provisioner makes nodes out of namespaces.
type Provisioner struct{}

// Serve does nothing: container nodes need nothing special around them.
func (Provisioner) Serve(context.Context, *host.Cluster, *sync.WaitGroup, chan<- error) error {
	return nil
}

// Cleanup ends what runs in the control groups of a cluster and removes them.
func (Provisioner) Cleanup(ctx context.Context, cluster string) error {
	return removeCgroups(ctx, cluster)
}

// Launch starts this binary again as the first process of fresh namespaces,
// puts it into its control group and its network, and lets it become the
// node's init.
func (Provisioner) Launch(cluster *host.Cluster, node provision.Node) (host.Machine, error) {
	params, err := params(cluster, node)
	if err != nil {
		return nil, err
	}

	console, err := host.OpenConsole(cluster.Folder.Console(node.Name))
	if err != nil {
		return nil, err
	}

	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, console.Close())
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
		return nil, errors.Join(err, console.Close())
	}

	if err := release(cluster.Spec.Name, node, command.Process.Pid, params, writer); err != nil {
		command.Process.Kill() //nolint:errcheck // it is waiting for us and nobody else
		command.Wait()         //nolint:errcheck // we killed it

		return nil, errors.Join(err, console.Close())
	}

	return &machine{command: command, console: console}, nil
}

// release gives the waiting first process what it needs from outside.
func release(cluster string, node provision.Node, pid int, params []byte, writer *os.File) error {
	if err := createCgroup(cluster, node, pid); err != nil {
		return err
	}

	if err := attachNode(cluster, node.Name, pid); err != nil {
		return err
	}

	if _, err := writer.Write(params); err != nil {
		return err
	}

	return writer.Close()
}

func params(cluster *host.Cluster, node provision.Node) ([]byte, error) {
	config, err := os.ReadFile(cluster.Folder.NodeConfig(node.Name))
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}

	folder := cluster.Folder.Node(node.Name)
	state, variable := filepath.Join(folder, "state"), filepath.Join(folder, "var")

	for _, dir := range []string{state, variable} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}

	if err := os.Chmod(variable, 0o755); err != nil {
		return nil, err
	}

	return json.Marshal(initParams{
		Hostname: node.Name,
		Root:     cluster.Spec.Root,
		State:    state,
		Var:      variable,
		Address:  netip.PrefixFrom(node.Address, cluster.Spec.Network.Bits()),
		Gateway:  cluster.Spec.Gateway(),
		Env: []string{
			"PATH=/usr/bin:/sbin",
			"PLATFORM=container",
			"BASALT_NODE=" + node.Name,
			"USERDATA=" + base64.StdEncoding.EncodeToString(config),
		},
	})
}

// machine is a node that runs.
type machine struct {
	command *exec.Cmd
	console *host.Console
}

func (m *machine) PID() int { return m.command.Process.Pid }

func (m *machine) Detail() string { return "" }

// Shutdown asks init to power off.
func (m *machine) Shutdown() error { return m.command.Process.Signal(syscall.SIGTERM) }

// Reset kills init, which then is launched again.
func (m *machine) Reset() error { return m.command.Process.Kill() }

func (m *machine) Kill() { m.command.Process.Kill() } //nolint:errcheck // it may have ended just now

// What a PID 1 asked for by the way it ended.
var (
	errRebooted   = errors.New("asked for a reboot")
	errPoweredOff = errors.New("powered off")
)

// Wait waits for PID 1 and says why it is gone. When the init of a PID
// namespace calls reboot(2), the kernel ends it with SIGHUP for a restart and
// with SIGINT for a power-off or halt.
func (m *machine) Wait() host.Ending {
	err := errors.Join(m.command.Wait(), m.console.Close())

	var exit *exec.ExitError
	if errors.As(err, &exit) {
		status, ok := exit.Sys().(syscall.WaitStatus)

		switch {
		case ok && status.Signaled() && status.Signal() == syscall.SIGHUP:
			return host.Ending{Again: true, Reason: errRebooted}
		case ok && status.Signaled() && status.Signal() == syscall.SIGINT:
			return host.Ending{Reason: errPoweredOff}
		}
	}

	return host.Ending{Again: true, Reason: fmt.Errorf("init ended: %w", err)}
}
