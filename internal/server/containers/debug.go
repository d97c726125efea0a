package containers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"syscall"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/containerd/errdefs"
	"github.com/google/uuid"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/basalt-os/basalt/internal/server"
)

// debugGroup is the control group of debug containers.
const debugGroup = "/system/debug/"

// Debug implements server.Containers.
func (c *Containers) Debug(ctx context.Context, spec server.DebugSpec, session server.DebugSession) (code int32, err error) {
	ctx = namespaces.WithNamespace(ctx, spec.Namespace)
	name, err := normalized(spec.Image)
	if err != nil {
		return 0, err
	}
	image, err := c.client.GetImage(ctx, name)
	if err != nil {
		return 0, fmt.Errorf("looking up image %s: %w", name, err)
	}
	id := "debug-" + uuid.NewString()
	created, err := c.client.NewContainer(ctx, id,
		containerd.WithImage(image),
		containerd.WithSnapshotter(snapshotter),
		containerd.WithNewSnapshot(id, image),
		containerd.WithNewSpec(debugOptions(spec, image, id)...),
	)
	if err != nil {
		return 0, fmt.Errorf("creating container: %w", err)
	}
	remaining := context.WithoutCancel(ctx)
	defer func() { err = errors.Join(err, created.Delete(remaining, containerd.WithSnapshotCleanup)) }()

	output := &exclusiveWriter{writer: session.Stdout}
	streams := []cio.Opt{cio.WithStreams(session.Stdin, output, output)}
	if spec.TTY {
		streams = []cio.Opt{cio.WithStreams(session.Stdin, output, nil), cio.WithTerminal}
	}
	task, err := created.NewTask(ctx, cio.NewCreator(streams...))
	if err != nil {
		return 0, fmt.Errorf("preparing process: %w", err)
	}
	defer func() {
		_, deleteErr := task.Delete(remaining, containerd.WithProcessKill)
		if !errdefs.IsNotFound(deleteErr) {
			err = errors.Join(err, deleteErr)
		}
	}()
	return runTask(ctx, task, session)
}

// runTask starts a task and carries signals and sizes to it until it ends.
func runTask(ctx context.Context, task containerd.Task, session server.DebugSession) (int32, error) {
	ended, err := task.Wait(context.WithoutCancel(ctx))
	if err != nil {
		return 0, fmt.Errorf("waiting for process: %w", err)
	}
	if err := task.Start(ctx); err != nil {
		return 0, fmt.Errorf("starting process: %w", err)
	}
	for {
		select {
		case status := <-ended:
			// What the process wrote last may still be on the way.
			task.IO().Wait()
			return int32(status.ExitCode()), status.Error()
		case signal := <-session.Signals:
			if err := kill(ctx, task, signal); err != nil {
				return 0, err
			}
		case size := <-session.Sizes:
			if err := task.Resize(ctx, size.Width, size.Height); err != nil && !errdefs.IsNotFound(err) {
				return 0, fmt.Errorf("resizing terminal: %w", err)
			}
		case <-ctx.Done():
			err := kill(context.WithoutCancel(ctx), task, syscall.SIGKILL)
			return 0, errors.Join(ctx.Err(), err)
		}
	}
}

// debugOptions make the OCI specification of a debug container.
func debugOptions(spec server.DebugSpec, image containerd.Image, id string) []oci.SpecOpts {
	options := []oci.SpecOpts{oci.WithImageConfigArgs(image, spec.Args), oci.WithCgroup(debugGroup + id)}
	var env []string
	for name, value := range spec.Env {
		env = append(env, name+"="+value)
	}
	slices.Sort(env)
	options = append(options, oci.WithEnv(env))
	if spec.TTY {
		options = append(options, oci.WithTTY)
	}
	if spec.Profile == server.DebugPlain {
		return options
	}
	options = append(options, oci.WithHostHostsFile, oci.WithHostResolvconf)
	for _, namespace := range []specs.LinuxNamespaceType{specs.NetworkNamespace, specs.PIDNamespace, specs.IPCNamespace, specs.UTSNamespace} {
		options = append(options, oci.WithHostNamespace(namespace))
	}
	if spec.Profile == server.DebugPrivileged {
		options = append(options, oci.WithPrivileged, oci.WithAllDevicesAllowed, oci.WithHostDevices)
	}
	return options
}

// exclusiveWriter lets two streams write to one place.
type exclusiveWriter struct {
	mu     sync.Mutex
	writer io.Writer
}

// Write writes p as a whole.
func (w *exclusiveWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.writer.Write(p)
}
