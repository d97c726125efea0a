// Package container runs a service as a container of containerd.
package container

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/containerd/errdefs"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/basalt-os/basalt/internal/service"
)

const (
	// DefaultStopTimeout is how long a container may take to end after SIGTERM
	// before it is killed.
	DefaultStopTimeout = 30 * time.Second

	// cleanupTimeout bounds the removal of a container after its end.
	cleanupTimeout = 30 * time.Second

	// reconnectPeriod is the pause between attempts to find a running
	// container again after containerd has gone.
	reconnectPeriod = 250 * time.Millisecond

	// reconnectTimeout is how long containerd may be away before the container
	// counts as lost.
	reconnectTimeout = time.Minute

	snapshotter = "overlayfs"
)

// Connect returns a client for the containerd that listens on a socket. It
// does not need containerd to run yet. The caller closes the client.
func Connect(socket string) (*containerd.Client, error) {
	conn, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(16<<20), grpc.MaxCallSendMsgSize(16<<20)))
	if err != nil {
		return nil, fmt.Errorf("connecting to containerd: %w", err)
	}

	client, err := containerd.NewWithConn(conn)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("connecting to containerd: %w", err), conn.Close())
	}

	return client, nil
}

// ExitError says that a container ended by itself.
type ExitError struct {
	ID   string
	Code int
}

func (e *ExitError) Error() string {
	return fmt.Sprintf("container %q ended with status %d", e.ID, e.Code)
}

// Runner is a [service.Runner] for a container.
type Runner struct {
	Client    *containerd.Client
	Puller    Puller
	Namespace string // of containerd
	ID        string
	Image     string // reference; pulled when it is not there
	Options   []oci.SpecOpts
	FIFODir   string // folder for the pipes of the output

	StopTimeout time.Duration
}

// Run implements [service.Runner]. What an earlier run has left is removed
// first. When containerd restarts, the container goes on and is found again.
func (r *Runner) Run(ctx context.Context, log io.Writer, started func(service.Started)) error {
	ctx = namespaces.WithNamespace(ctx, r.Namespace)

	image, err := r.Puller.Ensure(ctx, r.Client, r.Image)
	if err != nil {
		return ignoreStop(ctx, err)
	}

	if err := r.remove(ctx); err != nil {
		return ignoreStop(ctx, fmt.Errorf("removing old container %q: %w", r.ID, err))
	}

	container, err := r.Client.NewContainer(ctx, r.ID,
		containerd.WithImage(image),
		containerd.WithSnapshotter(snapshotter),
		containerd.WithNewSnapshot(r.ID, image),
		containerd.WithNewSpec(r.Options...),
	)
	if err != nil {
		return ignoreStop(ctx, fmt.Errorf("creating container %q: %w", r.ID, err))
	}

	err = r.runTask(ctx, container, log, started)

	cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()

	return errors.Join(err, r.remove(cleanup))
}

func (r *Runner) runTask(ctx context.Context, container containerd.Container, log io.Writer, started func(service.Started)) error {
	task, err := container.NewTask(ctx, cio.NewCreator(cio.WithStreams(nil, log, log), cio.WithFIFODir(r.FIFODir)))
	if err != nil {
		return ignoreStop(ctx, fmt.Errorf("creating task of container %q: %w", r.ID, err))
	}

	output := task.IO()
	defer output.Close()
	// Output that is left is copied until the shim closes its end; a child
	// that keeps it open is cut off by Cancel.
	defer output.Cancel()

	// The wait must outlive ctx: it reports the end that a stop brings about.
	waiting, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()

	exit, err := task.Wait(waiting)
	if err != nil {
		return fmt.Errorf("waiting for container %q: %w", r.ID, err)
	}

	if err := task.Start(ctx); err != nil {
		return ignoreStop(ctx, fmt.Errorf("starting container %q: %w", r.ID, err))
	}

	started(service.Started{
		PID:     int(task.Pid()),
		Message: fmt.Sprintf("Started task %s (PID %d) for container %s", r.ID, task.Pid(), r.ID),
	})

	return r.await(ctx, waiting, task, exit)
}

// await waits for the end of a task; when ctx ends it ends the task first,
// which is no error.
func (r *Runner) await(ctx, waiting context.Context, task containerd.Task, exit <-chan containerd.ExitStatus) error {
	for {
		select {
		case status := <-exit:
			if status.Error() == nil {
				return &ExitError{ID: r.ID, Code: int(status.ExitCode())}
			}

			var err error
			if task, exit, err = r.find(ctx, waiting); err != nil {
				return ignoreStop(ctx, fmt.Errorf("finding container %q again: %w", r.ID, err))
			}
		case <-ctx.Done():
			return r.stop(waiting, task, exit)
		}
	}
}

// find looks for the running task after the connection to containerd broke.
func (r *Runner) find(ctx, waiting context.Context) (containerd.Task, <-chan containerd.ExitStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, reconnectTimeout)
	defer cancel()

	for {
		task, exit, err := r.load(ctx, waiting)
		if err == nil || errdefs.IsNotFound(err) {
			return task, exit, err
		}

		select {
		case <-time.After(reconnectPeriod):
		case <-ctx.Done():
			return nil, nil, err
		}
	}
}

func (r *Runner) load(ctx, waiting context.Context) (containerd.Task, <-chan containerd.ExitStatus, error) {
	container, err := r.Client.LoadContainer(ctx, r.ID)
	if err != nil {
		return nil, nil, err
	}

	task, err := container.Task(ctx, nil)
	if err != nil {
		return nil, nil, err
	}

	exit, err := task.Wait(waiting)

	return task, exit, err
}

// stop ends a task: by SIGTERM, and by SIGKILL when it takes too long.
func (r *Runner) stop(ctx context.Context, task containerd.Task, exit <-chan containerd.ExitStatus) error {
	timeout := r.StopTimeout
	if timeout == 0 {
		timeout = DefaultStopTimeout
	}

	if err := task.Kill(ctx, syscall.SIGTERM); err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("stopping container %q: %w", r.ID, err)
	}

	select {
	case <-exit:
		return nil
	case <-time.After(timeout):
	}

	if err := task.Kill(ctx, syscall.SIGKILL, containerd.WithKillAll); err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("killing container %q: %w", r.ID, err)
	}

	<-exit

	return nil
}

// remove removes the container with its task and its snapshot, as far as they
// exist.
func (r *Runner) remove(ctx context.Context) error {
	container, err := r.Client.LoadContainer(ctx, r.ID)

	switch {
	case errdefs.IsNotFound(err):
		// A crash between two steps can leave a snapshot alone.
		err := r.Client.SnapshotService(snapshotter).Remove(ctx, r.ID)
		if errdefs.IsNotFound(err) {
			return nil
		}

		return err
	case err != nil:
		return err
	}

	task, err := container.Task(ctx, nil)
	if err == nil {
		_, err = task.Delete(ctx, containerd.WithProcessKill)
	}

	if err != nil && !errdefs.IsNotFound(err) {
		return err
	}

	if err := container.Delete(ctx, containerd.WithSnapshotCleanup); err != nil && !errdefs.IsNotFound(err) {
		return err
	}

	return nil
}

// ignoreStop drops an error that only says that ctx has ended.
func ignoreStop(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}

	return err
}
