package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/basalt-os/basalt/pkg/provision"
	"github.com/basalt-os/basalt/pkg/provision/container"
	"github.com/basalt-os/basalt/pkg/provision/host"
	"github.com/basalt-os/basalt/pkg/provision/qemu"
)

// provisioners are the kinds of nodes there are, by the name that a cluster's
// description has.
func provisioners() map[string]host.Provisioner {
	return map[string]host.Provisioner{
		containers: container.Provisioner{},
		machines:   qemu.Provisioner{},
	}
}

// Host is the host process of the cluster in a folder; see host.Run.
func Host(ctx context.Context, folder provision.Folder, logger *slog.Logger) error {
	return host.Run(ctx, folder, all{}, logger)
}

// all is a provisioner that takes the one that the cluster's description names.
type all struct{}

func (all) of(spec *provision.Spec) (host.Provisioner, error) {
	if p, ok := provisioners()[spec.Provisioner]; ok {
		return p, nil
	}

	return nil, fmt.Errorf("this program knows no provisioner %q", spec.Provisioner)
}

func (a all) Serve(ctx context.Context, cluster *host.Cluster, wg *sync.WaitGroup, failed chan<- error) error {
	p, err := a.of(cluster.Spec)
	if err != nil {
		return err
	}

	return p.Serve(ctx, cluster, wg, failed)
}

func (a all) Launch(cluster *host.Cluster, node provision.Node) (host.Machine, error) {
	p, err := a.of(cluster.Spec)
	if err != nil {
		return nil, err
	}

	return p.Launch(cluster, node)
}

// Cleanup cleans up after all of them: an interrupted create may have left no
// description.
func (all) Cleanup(ctx context.Context, cluster string) error {
	var errs []error
	for _, p := range provisioners() {
		errs = append(errs, p.Cleanup(ctx, cluster))
	}

	return errors.Join(errs...)
}
