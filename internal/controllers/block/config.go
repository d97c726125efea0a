package block

import (
	"context"
	"errors"

	"github.com/basalt-os/basalt/internal/controllers/block/volumes"
	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/block"
	"github.com/basalt-os/basalt/pkg/machineconfig"
)

// SystemVolumes says which volumes the system has.
func SystemVolumes(reader *configured.Reader) reconcile.Controller {
	return volumeConfigs(reader, "block.VolumeConfigController", volumes.System)
}

// UserVolumes says which volumes documents of the configuration ask for.
func UserVolumes(reader *configured.Reader) reconcile.Controller {
	return volumeConfigs(reader, "block.UserVolumeConfigController", func(cfg *machineconfig.Config) map[string]block.VolumeConfig {
		if cfg == nil {
			return nil
		}

		return volumes.User(cfg)
	})
}

// volumeConfigs writes volumes in the order in which they are made: the volume
// manager may act as soon as it sees one.
func volumeConfigs(
	reader *configured.Reader, name string, build func(*machineconfig.Config) map[string]block.VolumeConfig,
) reconcile.Controller {
	return derive.Act(name, []reconcile.Input{configured.Input()}, []reconcile.Output{reconcile.Out[block.VolumeConfig]().AsShared()},
		func(ctx context.Context, rt *reconcile.Runtime) error {
			cfg, err := reader.Read(ctx, rt)
			if err != nil {
				return err
			}

			configs := build(cfg)

			for _, id := range volumes.Order(configs) {
				err := reconcile.Modify(ctx, rt, id, func(r *resource.Resource[block.VolumeConfig]) error {
					r.Spec = configs[id]

					return nil
				})
				if err != nil {
					return err
				}
			}

			return reconcile.Keep[block.VolumeConfig](ctx, rt, func(id string) bool {
				_, ok := configs[id]

				return ok
			})
		})
}

// userRequester is who asks for the volumes of users to be mounted.
const userRequester = "user-volumes"

// UserMounts asks for the volumes of users to be mounted, while volumes may be
// used.
func UserMounts(reader *configured.Reader) reconcile.Controller {
	return derive.All("block.UserVolumeMountController",
		[]reconcile.Input{configured.Input(), derive.In[block.VolumeLifecycle](block.VolumeLifecycleID)},
		func(ctx context.Context, rt *reconcile.Runtime) (map[string]block.VolumeMountRequest, error) {
			cfg, err := reader.Read(ctx, rt)
			if err != nil || cfg == nil {
				return nil, err
			}

			lifecycle, err := derive.Find[block.VolumeLifecycle](ctx, rt, block.VolumeLifecycleID)
			if err != nil || lifecycle == nil {
				return nil, err
			}

			out := map[string]block.VolumeMountRequest{}

			for id, request := range volumes.Mounted(cfg) {
				request.Requester = userRequester
				out[userRequester+"-"+id] = request
			}

			return out, nil
		})
}

// UserDisks says whether the disks that the older form of the configuration
// lists are set up, and whether they are gone again.
func UserDisks(reader *configured.Reader) reconcile.Controller {
	return derive.One("block.UserDiskConfigController", block.UserDiskConfigStatusID,
		[]reconcile.Input{configured.Input(), reconcile.In[block.VolumeStatus](), reconcile.In[block.VolumeLifecycle]()},
		func(ctx context.Context, rt *reconcile.Runtime, current block.UserDiskConfigStatus) (block.UserDiskConfigStatus, error) {
			cfg, err := reader.Read(ctx, rt)
			if err != nil || cfg == nil {
				return current, errors.Join(err, noConfig(cfg))
			}

			statuses, err := resource.List[block.VolumeStatus](ctx, rt)
			if err != nil {
				return current, err
			}

			byID := map[string]*resource.Resource[block.VolumeStatus]{}
			for _, s := range statuses {
				byID[s.Meta.ID] = s
			}

			next := block.UserDiskConfigStatus{Ready: true, TornDown: true}

			for _, p := range volumes.Legacy(cfg) {
				s := byID[p.ID]
				next.Ready = next.Ready && s != nil && s.Spec.Phase == block.VolumePhaseReady
				next.TornDown = next.TornDown && s == nil
			}

			lifecycle, err := derive.Find[block.VolumeLifecycle](ctx, rt, block.VolumeLifecycleID)
			if err != nil {
				return current, err
			}

			next.TornDown = next.TornDown && lifecycle == nil

			return next, nil
		})
}

// noConfig is that there is no status without a configuration.
func noConfig(cfg *machineconfig.Config) error {
	if cfg != nil {
		return nil
	}

	_, err := derive.None[block.UserDiskConfigStatus]()

	return err
}
