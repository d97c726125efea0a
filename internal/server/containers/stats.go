package containers

import (
	"context"
	"fmt"
	"time"

	cgroup1 "github.com/containerd/cgroups/v3/cgroup1/stats"
	cgroup2 "github.com/containerd/cgroups/v3/cgroup2/stats"
	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/errdefs"
	"github.com/containerd/typeurl/v2"

	"github.com/basalt-os/basalt/internal/server"
)

// Stats implements server.Containers. Containers that do not run are left out.
func (c *Containers) Stats(ctx context.Context, namespace string, pods bool) ([]server.ContainerStats, error) {
	ctx, namespace = enter(ctx, namespace, pods)
	list, err := c.client.Containers(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing containers of namespace %s: %w", namespace, err)
	}
	var all []server.ContainerStats
	for _, container := range list {
		stats, err := measure(ctx, container, pods)
		if errdefs.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("measuring container %s: %w", container.ID(), err)
		}
		stats.Namespace = namespace
		all = append(all, stats)
	}
	return all, nil
}

func measure(ctx context.Context, container containerd.Container, pods bool) (server.ContainerStats, error) {
	info, err := container.Info(ctx, containerd.WithoutRefreshedMetadata)
	if err != nil {
		return server.ContainerStats{}, err
	}
	task, err := container.Task(ctx, nil)
	if err != nil {
		return server.ContainerStats{}, err
	}
	metric, err := task.Metrics(ctx)
	if err != nil {
		return server.ContainerStats{}, err
	}
	numbers, err := typeurl.UnmarshalAny(metric.GetData())
	if err != nil {
		return server.ContainerStats{}, fmt.Errorf("decoding metrics: %w", err)
	}
	name := nameOf(info, pods)
	stats := server.ContainerStats{ID: name.ID, PodID: name.PodID, Name: name.Name}
	stats.MemoryBytes, stats.CPUTime, err = use(numbers)
	return stats, err
}

// use reads memory and processor time out of the metrics of either version of
// control groups. Memory is what cannot be taken back at once: without the
// page cache that nobody has touched lately.
func use(numbers any) (memory uint64, cpu time.Duration, err error) {
	switch metrics := numbers.(type) {
	case *cgroup1.Metrics:
		used, reclaimable := metrics.GetMemory().GetUsage().GetUsage(), metrics.GetMemory().GetTotalInactiveFile()
		return used - min(used, reclaimable), time.Duration(metrics.GetCPU().GetUsage().GetTotal()), nil
	case *cgroup2.Metrics:
		used, reclaimable := metrics.GetMemory().GetUsage(), metrics.GetMemory().GetInactiveFile()
		return used - min(used, reclaimable), time.Duration(metrics.GetCPU().GetUsageUsec()) * time.Microsecond, nil
	default:
		return 0, 0, fmt.Errorf("metrics of type %T are unknown", numbers)
	}
}
