// Package configured gives controllers the machine configuration, and has the
// form of those that do nothing but turn a part of it into resources.
package configured

import (
	"context"
	"sync"

	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/config"
	"github.com/basalt-os/basalt/pkg/machineconfig"
)

// Reader reads the machine configuration that the node runs with. It decodes
// each text once, for all controllers that share it. It is safe for concurrent
// use.
type Reader struct {
	mu   sync.Mutex
	text string
	last *machineconfig.Config
}

// Input is what a controller declares to use Read.
func Input() reconcile.Input { return reconcile.In[config.MachineConfig]().WithID(config.ActiveID) }

// Read returns the active configuration, nil while there is none.
func (r *Reader) Read(ctx context.Context, from resource.Reader) (*machineconfig.Config, error) {
	found, err := derive.Find[config.MachineConfig](ctx, from, config.ActiveID)
	if err != nil || found == nil {
		return nil, err
	}

	r.mu.Lock()
	defer r.mu.Unlock()

	if r.last == nil || r.text != found.Spec.Text {
		decoded, err := machineconfig.Load([]byte(found.Spec.Text), machineconfig.Options{})
		if err != nil {
			return nil, err
		}

		r.text, r.last = found.Spec.Text, decoded
	}

	return r.last, nil
}

// One is a controller of a single resource that follows from the configuration
// alone. Build returns derive.None where the configuration asks for none.
func One[T resource.Spec](r *Reader, name, id string, build func(*machineconfig.Config) (T, error)) reconcile.Controller {
	return derive.One(name, id, []reconcile.Input{Input()},
		func(ctx context.Context, rt *reconcile.Runtime, _ T) (T, error) {
			cfg, err := r.Read(ctx, rt)
			if err != nil {
				var zero T

				return zero, err
			}

			if cfg == nil {
				return derive.None[T]()
			}

			return build(cfg)
		})
}

// All is a controller of several resources that follow from the configuration
// alone.
func All[T resource.Spec](r *Reader, name string, build func(*machineconfig.Config) (map[string]T, error)) reconcile.Controller {
	return derive.All(name, []reconcile.Input{Input()},
		func(ctx context.Context, rt *reconcile.Runtime) (map[string]T, error) {
			cfg, err := r.Read(ctx, rt)
			if err != nil || cfg == nil {
				return nil, err
			}

			return build(cfg)
		})
}
