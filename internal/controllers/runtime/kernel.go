package runtime

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/kmod"
	"github.com/basalt-os/basalt/internal/kmod/loader"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/runtime"
	"github.com/basalt-os/basalt/internal/uevent"
	"github.com/basalt-os/basalt/pkg/machineconfig"
)

// KernelModules takes the modules to load from the configuration.
func KernelModules(reader *configured.Reader) reconcile.Controller {
	return configured.All(reader, "runtime.KernelModuleConfigController",
		func(cfg *machineconfig.Config) (map[string]runtime.KernelModuleSpec, error) {
			out := map[string]runtime.KernelModuleSpec{}
			for _, m := range cfg.Machine().Modules {
				out[m.Name] = runtime.KernelModuleSpec{Name: m.Name, Parameters: m.Parameters}
			}

			return out, nil
		})
}

// usualModules are what Kubernetes, its storage and its networks expect of a
// machine, and what the kernel does not ask for by itself when it is needed. A
// kernel may be without some of them.
func usualModules() []string {
	return []string{"br_netfilter", "dm_mod", "fuse", "loop", "overlay", "tun"}
}

// LoadModules loads the modules of the specs, and those that every machine has.
// A module stays loaded when nothing asks for it any more: something may use it.
func LoadModules(modules *loader.Loader) reconcile.Controller {
	return derive.Act("runtime.KernelModuleSpecController", []reconcile.Input{reconcile.In[runtime.KernelModuleSpec]()}, nil,
		func(ctx context.Context, rt *reconcile.Runtime) error {
			specs, err := resource.List[runtime.KernelModuleSpec](ctx, rt)
			if err != nil {
				return err
			}

			var errs []error

			// The configured ones first: they may have parameters.
			for _, spec := range specs {
				errs = append(errs, modules.Load(spec.Spec.Name, spec.Spec.Parameters...))
			}

			for _, name := range usualModules() {
				if err := modules.Load(name); err != nil && !errors.Is(err, kmod.ErrUnknown) {
					errs = append(errs, err)
				}
			}

			return errors.Join(errs...)
		})
}

// WatchModules calls notify whenever the kernel gets or loses a module, until
// ctx ends.
func WatchModules(ctx context.Context, notify func()) error {
	conn, err := uevent.Listen()
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // read side only

	for {
		event, err := conn.Receive(ctx)

		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, uevent.ErrLost), err == nil && event.Subsystem == "module":
			notify()
		case err != nil:
			return err
		}
	}
}

// moduleInterval is how often the list of modules is read.
const moduleInterval = time.Minute

// KernelModuleStatus shows the modules of the kernel.
func KernelModuleStatus(proc string) reconcile.Controller {
	return derive.All("runtime.KernelModuleStatusController", nil,
		func(_ context.Context, rt *reconcile.Runtime) (map[string]runtime.KernelModuleStatus, error) {
			rt.RequeueAfter(moduleInterval)

			out := map[string]runtime.KernelModuleStatus{}
			for name, m := range modules(os.DirFS(proc)) {
				status := runtime.KernelModuleStatus{
					Type: runtime.KernelModuleTypeDynamic, Size: m.Size, ReferenceCount: m.ReferenceCount,
					Dependencies: m.Dependencies, Address: m.Address,
				}
				if err := status.State.UnmarshalText([]byte(strings.ToLower(m.State))); err != nil {
					return nil, fmt.Errorf("reading the state of module %s: %w", name, err)
				}

				out[name] = status
			}

			return out, nil
		})
}

// LoadedModules shows the modules of the kernel in the older form.
func LoadedModules(proc string) reconcile.Controller {
	return derive.All("runtime.LoadedKernelModuleController", nil,
		func(_ context.Context, rt *reconcile.Runtime) (map[string]runtime.LoadedKernelModule, error) {
			rt.RequeueAfter(moduleInterval)

			return modules(os.DirFS(proc)), nil
		})
}

// modules parses the kernel's list: name, size, users, who uses it, state and
// address. A kernel without modules has no list.
func modules(proc fs.FS) map[string]runtime.LoadedKernelModule {
	text, ok := readable(proc, path.Join("modules"))
	if !ok {
		return nil
	}

	out := map[string]runtime.LoadedKernelModule{}

	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 6 {
			continue
		}

		m := runtime.LoadedKernelModule{
			Size: number(fields[1]), ReferenceCount: number(fields[2]), State: fields[4], Address: fields[5],
		}

		for _, d := range strings.Split(fields[3], ",") {
			if d != "" && d != "-" {
				m.Dependencies = append(m.Dependencies, d)
			}
		}

		out[fields[0]] = m
	}

	return out
}
