package host

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/pkg/provision"
)

// Argument is the first argument with which Start runs the program it is
// called from again, as the host process of a cluster; the second is the
// cluster's folder. The program calls Run when it sees it.
const Argument = "cluster-host"

// socketName is the file of the control socket in a cluster's folder.
const socketName = "host.sock"

// startTimeout bounds the start of a host process with all its nodes' init.
const startTimeout = 30 * time.Second

// ErrNotRunning is wrapped by errors about a cluster whose host process does
// not run.
var ErrNotRunning = errors.New("the cluster is stopped")

// Start runs a host process for the cluster in a folder, detached from the
// caller, and returns when it has started all nodes. When one runs already, it
// starts the nodes that are stopped.
func Start(ctx context.Context, folder provision.Folder) error {
	if statuses, err := Nodes(ctx, folder); err == nil {
		return startStopped(ctx, folder, statuses)
	}

	log, err := os.OpenFile(folder.Path("host.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() //nolint:errcheck // the child has it

	command := exec.Command("/proc/self/exe", Argument, string(folder))
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}

	if err := command.Start(); err != nil {
		return fmt.Errorf("starting the host process: %w", err)
	}

	ended := make(chan error, 1)
	go func() { ended <- cmp.Or(command.Wait(), errors.New("exit status 0")) }()

	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()

	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()

	for {
		if _, err := Nodes(ctx, folder); err == nil {
			return nil
		}

		select {
		case err := <-ended:
			return fmt.Errorf("the host process ended: %s: %w", lastLine(folder.Path("host.log")), err)
		case <-ctx.Done():
			command.Process.Signal(syscall.SIGTERM) //nolint:errcheck // it may have ended just now

			return fmt.Errorf("starting the host process: %w", context.Cause(ctx))
		case <-ticker.C:
		}
	}
}

func startStopped(ctx context.Context, folder provision.Folder, statuses []NodeStatus) error {
	for _, status := range statuses {
		if status.State != Stopped {
			continue
		}

		if err := StartNode(ctx, folder, status.Name); err != nil {
			return fmt.Errorf("starting node %s: %w", status.Name, err)
		}
	}

	return nil
}

// Stop ends the host process and with it all nodes; when graceful, the nodes
// are shut down in order first. The nodes keep their state. It does nothing
// when no host process runs.
func Stop(ctx context.Context, folder provision.Folder, graceful bool) error {
	path := "/stop"
	if graceful {
		path += "?graceful"
	}

	if err := call(ctx, folder, http.MethodPost, path, nil); err != nil && !errors.Is(err, ErrNotRunning) {
		return err
	}

	// The lock is free when the process has cleaned up and ended.
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()

	for {
		lock, err := lockHost(folder)
		if err == nil {
			lock.Close() //nolint:errcheck // there may be none, and it gives up the lock
			return nil
		} else if !errors.Is(err, errHostRuns) {
			return err
		}

		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// errHostRuns is returned for the lock of a host process that runs.
var errHostRuns = errors.New("a host process runs already")

// lockHost takes the lock that a host process holds as long as it lives. It
// returns nothing to close when the cluster has no folder, and errHostRuns
// when another process has the lock.
func lockHost(folder provision.Folder) (*os.File, error) {
	file, err := os.OpenFile(folder.Path("host.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // see above
	} else if err != nil {
		return nil, err
	}

	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return file, nil
	}

	if errors.Is(err, unix.EWOULDBLOCK) {
		err = errHostRuns
	}

	return nil, errors.Join(err, file.Close())
}

// Destroy ends a cluster and removes everything that it has, its folder
// included. It is no error when parts, or all of it, are gone already. It fails
// with [ErrNameTaken], and leaves everything alone, when a cluster of the same name
// runs from another folder.
func Destroy(ctx context.Context, folder provision.Folder, provisioner Provisioner, cluster string) error {
	if err := Stop(ctx, folder, false); err != nil {
		return err
	}

	name, err := lockName(cluster)
	if err != nil {
		return err
	}
	defer name.Close() //nolint:errcheck // gives up the lock

	if err := Cleanup(ctx, provisioner, cluster); err != nil {
		return err
	}

	return folder.Remove()
}

// Nodes tells what the nodes of a cluster are doing. The error wraps
// ErrNotRunning when there is no host process.
func Nodes(ctx context.Context, folder provision.Folder) ([]NodeStatus, error) {
	var statuses []NodeStatus

	return statuses, call(ctx, folder, http.MethodGet, "/nodes", &statuses)
}

// StartNode starts a stopped node with the state it had.
func StartNode(ctx context.Context, folder provision.Folder, node string) error {
	return call(ctx, folder, http.MethodPost, "/nodes/"+node+"/start", nil)
}

// StopNode shuts a node down and returns when it has stopped.
func StopNode(ctx context.Context, folder provision.Folder, node string) error {
	return call(ctx, folder, http.MethodPost, "/nodes/"+node+"/stop", nil)
}

// ResetNode starts a node again at once, as a reset button does.
func ResetNode(ctx context.Context, folder provision.Folder, node string) error {
	return call(ctx, folder, http.MethodPost, "/nodes/"+node+"/reset", nil)
}

// KillNode ends a node at once, as a power cut does.
func KillNode(ctx context.Context, folder provision.Folder, node string) error {
	return call(ctx, folder, http.MethodPost, "/nodes/"+node+"/kill", nil)
}

// call sends one request to the host process of a cluster.
func call(ctx context.Context, folder provision.Folder, method, path string, answer any) error {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", folder.Path(socketName))
	}}
	defer transport.CloseIdleConnections()

	request, err := http.NewRequestWithContext(ctx, method, "http://host"+path, nil)
	if err != nil {
		return err
	}

	response, err := (&http.Client{Transport: transport}).Do(request)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return ErrNotRunning
	} else if err != nil {
		return fmt.Errorf("asking the host process: %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // only read

	data, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("asking the host process: %w", err)
	}

	if response.StatusCode >= http.StatusBadRequest {
		return errors.New(strings.TrimSpace(string(data)))
	}

	if answer == nil {
		return nil
	}

	return json.Unmarshal(data, answer)
}

// lastLine returns the last line of a file, to be shown to a person.
func lastLine(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}

	lines := strings.Split(strings.TrimSpace(string(data)), "\n")

	return lines[len(lines)-1]
}
