package server

import (
	"context"
	"fmt"
	"time"

	"github.com/basalt-os/basalt/api/common"
	"github.com/basalt-os/basalt/api/machine"
)

// Namespaces of containerd: one for what the system runs, one for pods.
const (
	systemNamespace = "system"
	podNamespace    = "k8s.io"
)

// Containers is the container runtime's view of containers. Its errors wrap
// ErrUnknown for an id it does not know, and ErrNotReady while the runtime does
// not answer.
type Containers interface {
	// List returns the containers of a containerd namespace. With pods, they
	// are named after pods and pod sandboxes are among them.
	List(ctx context.Context, namespace string, pods bool) ([]Container, error)
	// Stats returns the use of resources by running containers.
	Stats(ctx context.Context, namespace string, pods bool) ([]ContainerStats, error)
	// Restart kills the process of a container; its owner starts it again.
	Restart(ctx context.Context, namespace, id string, pods bool) error
	// LogPath returns the log file of a pod's container.
	LogPath(ctx context.Context, id string) (string, error)
	// Debug runs a container until its process ends, and returns the exit
	// code. Nothing is left of the container afterwards. The image must be
	// there. When the context ends, the container is killed.
	Debug(ctx context.Context, spec DebugSpec, session DebugSession) (int32, error)
}

// Container is a container as seen at one moment.
type Container struct {
	Namespace        string
	ID               string // what List, Logs and Restart take
	InternalID       string // of containerd
	UID              string // of the pod
	PodID            string // "namespace/name" of the pod
	Name             string
	Image            string
	PID              uint32 // 0 when it does not run
	Status           string
	NetworkNamespace string // path; empty for the host's
}

// ContainerStats is what a container uses.
type ContainerStats struct {
	Namespace, ID, PodID, Name string
	MemoryBytes                uint64
	CPUTime                    time.Duration
}

// Containers lists the containers of a containerd namespace.
func (s machineService) Containers(ctx context.Context, request *machine.ContainersRequest) (*machine.ContainersResponse, error) {
	list, err := s.Options.Containers.List(ctx, request.GetNamespace(), isCRI(request.GetDriver()))
	if err != nil {
		return nil, fmt.Errorf("listing containers: %w", err)
	}
	reply := &machine.Container{}
	for _, container := range list {
		reply.Containers = append(reply.Containers, &machine.ContainerInfo{
			Namespace:        container.Namespace,
			Id:               container.ID,
			Uid:              container.UID,
			InternalId:       container.InternalID,
			Image:            container.Image,
			Pid:              container.PID,
			Status:           container.Status,
			PodId:            container.PodID,
			Name:             container.Name,
			NetworkNamespace: container.NetworkNamespace,
		})
	}
	return &machine.ContainersResponse{Messages: []*machine.Container{reply}}, nil
}

func isCRI(driver common.ContainerDriver) bool {
	return driver == common.ContainerDriver_CRI
}

// Stats returns what the containers of a containerd namespace use.
func (s machineService) Stats(ctx context.Context, request *machine.StatsRequest) (*machine.StatsResponse, error) {
	list, err := s.Options.Containers.Stats(ctx, request.GetNamespace(), isCRI(request.GetDriver()))
	if err != nil {
		return nil, fmt.Errorf("reading container stats: %w", err)
	}
	reply := &machine.Stats{}
	for _, stats := range list {
		reply.Stats = append(reply.Stats, &machine.Stat{
			Namespace:   stats.Namespace,
			Id:          stats.ID,
			PodId:       stats.PodID,
			Name:        stats.Name,
			MemoryUsage: stats.MemoryBytes,
			CpuUsage:    uint64(stats.CPUTime.Nanoseconds()),
		})
	}
	return &machine.StatsResponse{Messages: []*machine.Stats{reply}}, nil
}

// Restart kills the process of a container.
func (s machineService) Restart(ctx context.Context, request *machine.RestartRequest) (*machine.RestartResponse, error) {
	err := s.Options.Containers.Restart(ctx, request.GetNamespace(), request.GetId(), isCRI(request.GetDriver()))
	if err != nil {
		return nil, fmt.Errorf("restarting container %q: %w", request.GetId(), err)
	}
	return &machine.RestartResponse{Messages: []*machine.Restart{{}}}, nil
}
