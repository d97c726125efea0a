// Package containers shows the API server the containers and images of the
// node's containerd.
//
// Pods are seen in containerd's own terms: the container runtime interface
// labels its containers with the names that Kubernetes gave them.
package containers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"google.golang.org/grpc"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/basalt-os/basalt/internal/server"
)

// podNamespace is where containerd keeps the containers of pods.
const podNamespace = "k8s.io"

// Labels that the container runtime interface puts on containers.
const (
	labelPodName       = "io.kubernetes.pod.name"
	labelPodNamespace  = "io.kubernetes.pod.namespace"
	labelPodUID        = "io.kubernetes.pod.uid"
	labelContainerName = "io.kubernetes.container.name"
	labelKind          = "io.cri-containerd.kind"
	kindSandbox        = "sandbox"
)

// stopTimeout is how long a container may take to end before it is killed.
const stopTimeout = 10 * time.Second

// Containers implements server.Containers. It is safe for concurrent use.
type Containers struct {
	client *containerd.Client
}

var _ server.Containers = (*Containers)(nil)

// New returns the containers of a containerd. The client stays the caller's.
func New(client *containerd.Client) *Containers {
	return &Containers{client: client}
}

// List implements server.Containers.
func (c *Containers) List(ctx context.Context, namespace string, pods bool) ([]server.Container, error) {
	ctx, namespace = enter(ctx, namespace, pods)
	list, err := c.client.Containers(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing containers of namespace %s: %w", namespace, err)
	}
	var found []server.Container
	for _, container := range list {
		described, err := describe(ctx, container, namespace, pods)
		if errdefs.IsNotFound(err) {
			continue // it went meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("describing container %s: %w", container.ID(), err)
		}
		found = append(found, described)
	}
	slices.SortFunc(found, func(a, b server.Container) int {
		return cmp.Or(cmp.Compare(a.PodID, b.PodID), cmp.Compare(a.ID, b.ID))
	})
	return found, nil
}

// enter selects the containerd namespace.
func enter(ctx context.Context, namespace string, pods bool) (context.Context, string) {
	if pods || namespace == "" {
		namespace = podNamespace
	}
	return namespaces.WithNamespace(ctx, namespace), namespace
}

func describe(ctx context.Context, container containerd.Container, namespace string, pods bool) (server.Container, error) {
	info, err := container.Info(ctx, containerd.WithoutRefreshedMetadata)
	if err != nil {
		return server.Container{}, err
	}
	described := nameOf(info, pods)
	described.Namespace, described.Image = namespace, info.Image
	spec, err := container.Spec(ctx)
	if err != nil {
		return server.Container{}, err
	}
	described.NetworkNamespace = networkNamespace(spec)
	status := containerd.Unknown
	task, err := container.Task(ctx, nil)
	switch {
	case errdefs.IsNotFound(err):
		status = containerd.Stopped
	case err != nil:
		return server.Container{}, err
	default:
		described.PID = task.Pid()
		answer, err := task.Status(ctx)
		if err != nil && !errdefs.IsNotFound(err) {
			return server.Container{}, err
		}
		if err == nil {
			status = answer.Status
		}
	}
	described.Status = statusText(status, pods, info.Labels[labelKind] == kindSandbox)
	return described, nil
}

// nameOf gives a container the name by which callers know it: its id, or for
// pods "namespace/pod" for a sandbox and "namespace/pod:container:id" for a
// container, where the id is short.
func nameOf(info containers.Container, pods bool) server.Container {
	named := server.Container{ID: info.ID, InternalID: info.ID, PodID: info.ID, Name: info.ID}
	pod := info.Labels[labelPodName]
	if !pods || pod == "" {
		return named
	}
	named.UID = info.Labels[labelPodUID]
	named.PodID = info.Labels[labelPodNamespace] + "/" + pod
	if info.Labels[labelKind] == kindSandbox {
		named.ID, named.Name = named.PodID, pod
		return named
	}
	named.Name = info.Labels[labelContainerName]
	named.ID = named.PodID + ":" + named.Name + ":" + info.ID[:min(len(info.ID), 12)]
	return named
}

// networkNamespace is the name of a container's network namespace; empty for
// the host's and for one without a name.
func networkNamespace(spec *specs.Spec) string {
	if spec.Linux == nil {
		return ""
	}
	for _, namespace := range spec.Linux.Namespaces {
		if namespace.Type == specs.NetworkNamespace && namespace.Path != "" {
			return filepath.Base(namespace.Path)
		}
	}
	return ""
}

// statusText is the status in the words of containerd or, for pods, of the
// container runtime interface.
func statusText(status containerd.ProcessStatus, pods, sandbox bool) string {
	if !pods {
		return strings.ToUpper(string(status))
	}
	running := status == containerd.Running
	switch {
	case sandbox && running:
		return runtime.PodSandboxState_SANDBOX_READY.String()
	case sandbox:
		return runtime.PodSandboxState_SANDBOX_NOTREADY.String()
	case running:
		return runtime.ContainerState_CONTAINER_RUNNING.String()
	case status == containerd.Created:
		return runtime.ContainerState_CONTAINER_CREATED.String()
	case status == containerd.Stopped:
		return runtime.ContainerState_CONTAINER_EXITED.String()
	default:
		return runtime.ContainerState_CONTAINER_UNKNOWN.String()
	}
}

// find returns the container that a caller's id means. Of a pod's container
// the short id may be left out: the newest of that name is meant then, not one
// that has ended before.
func (c *Containers) find(ctx context.Context, id string, pods bool) (containerd.Container, error) {
	list, err := c.client.Containers(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing containers: %w", err)
	}
	infos := make([]containers.Container, len(list))
	for i, container := range list {
		if infos[i], err = container.Info(ctx, containerd.WithoutRefreshedMetadata); err != nil {
			return nil, fmt.Errorf("describing container %s: %w", container.ID(), err)
		}
	}
	i := newest(infos, id, pods)
	if i < 0 {
		return nil, server.ErrUnknown
	}
	return list[i], nil
}

// newest returns the index of the container created last of those that a
// caller's id means, or -1.
func newest(infos []containers.Container, id string, pods bool) int {
	found := -1
	for i, info := range infos {
		name := nameOf(info, pods)
		if name.ID != id && name.InternalID != id && (!pods || name.PodID+":"+name.Name != id) {
			continue
		}
		if found < 0 || info.CreatedAt.After(infos[found].CreatedAt) {
			found = i
		}
	}
	return found
}

// Restart implements server.Containers.
func (c *Containers) Restart(ctx context.Context, namespace, id string, pods bool) error {
	ctx, _ = enter(ctx, namespace, pods)
	container, err := c.find(ctx, id, pods)
	if err != nil {
		return err
	}
	task, err := container.Task(ctx, nil)
	if errdefs.IsNotFound(err) {
		return fmt.Errorf("it does not run: %w", server.ErrPrecondition)
	}
	if err != nil {
		return fmt.Errorf("finding its process: %w", err)
	}
	ended, err := task.Wait(ctx)
	if err != nil {
		return fmt.Errorf("waiting for its end: %w", err)
	}
	if err := kill(ctx, task, syscall.SIGTERM); err != nil {
		return err
	}
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	select {
	case status := <-ended:
		return status.Error()
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := kill(ctx, task, syscall.SIGKILL); err != nil {
		return err
	}
	return (<-ended).Error()
}

func kill(ctx context.Context, task containerd.Task, signal syscall.Signal) error {
	err := task.Kill(ctx, signal, containerd.WithKillAll)
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("sending signal %v: %w", signal, err)
	}
	return nil
}

// LogPath implements server.Containers: the container runtime interface knows
// where it writes.
func (c *Containers) LogPath(ctx context.Context, id string) (string, error) {
	ctx, _ = enter(ctx, podNamespace, true)
	container, err := c.find(ctx, id, true)
	if err != nil {
		return "", err
	}
	conn, ok := c.client.Conn().(grpc.ClientConnInterface)
	if !ok {
		return "", fmt.Errorf("asking for its log: no connection to containerd: %w", server.ErrNotReady)
	}
	answer, err := runtime.NewRuntimeServiceClient(conn).ContainerStatus(ctx, &runtime.ContainerStatusRequest{
		ContainerId: container.ID(),
	})
	if err != nil {
		return "", fmt.Errorf("asking for its log: %w", err)
	}
	path := answer.GetStatus().GetLogPath()
	if path == "" {
		return "", errors.Join(errors.New("it has no log"), server.ErrUnknown)
	}
	return path, nil
}
