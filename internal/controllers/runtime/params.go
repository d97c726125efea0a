package runtime

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/runtime"
	"github.com/basalt-os/basalt/internal/sysctl"
	"github.com/basalt-os/basalt/pkg/machineconfig"
)

// KernelParamDefaults says which parameters a node has by itself, by name.
func KernelParamDefaults(values map[string]string) reconcile.Controller {
	return derive.All("runtime.KernelParamDefaultsController", nil,
		func(context.Context, *reconcile.Runtime) (map[string]runtime.KernelParamDefaultSpec, error) {
			out := map[string]runtime.KernelParamDefaultSpec{}
			for name, value := range values {
				// The kernel may be without the feature.
				out[name] = runtime.KernelParamDefaultSpec{Value: value, IgnoreErrors: true}
			}

			return out, nil
		})
}

// KernelParams takes parameters from the configuration.
func KernelParams(reader *configured.Reader) reconcile.Controller {
	return configured.All(reader, "runtime.KernelParamConfigController",
		func(cfg *machineconfig.Config) (map[string]runtime.KernelParamSpec, error) {
			out := map[string]runtime.KernelParamSpec{}

			for name, value := range cfg.Machine().Sysctls {
				out[sysctl.ProcPrefix+name] = runtime.KernelParamSpec{Value: value}
			}

			for name, value := range cfg.Machine().Sysfs {
				out[sysctl.SysPrefix+name] = runtime.KernelParamSpec{Value: value}
			}

			return out, nil
		})
}

// ParamFiles are the files of the kernel's parameters.
type ParamFiles struct {
	// Proc and Sys are where the kernel's file systems are mounted.
	Proc, Sys string
	// Shared says that the kernel is a host's too. Then only what namespaces
	// have for themselves is the node's to set.
	Shared bool
}

// own are the beginnings of the parameters that namespaces have for themselves.
func own() []string {
	return []string{
		"proc/sys/net/", "proc/sys/fs/mqueue/", "proc/sys/kernel/domainname", "proc/sys/kernel/msg", "proc/sys/kernel/sem",
		"proc/sys/kernel/shm",
	}
}

// path is the file of a parameter that the node may set.
func (f ParamFiles) path(name string) (string, bool) {
	file, ok := sysctl.File(name)
	if !ok || (f.Shared && !slices.ContainsFunc(own(), func(p string) bool { return strings.HasPrefix(file, p) })) {
		return "", false
	}

	if rest, ok := strings.CutPrefix(file, "proc/"); ok {
		return filepath.Join(f.Proc, rest), true
	}

	return filepath.Join(f.Sys, strings.TrimPrefix(file, "sys/")), true
}

// KernelParamStatus sets the parameters that a node may set and shows the
// values of all. One that nothing asks for any more gets the value back that it
// had before.
func KernelParamStatus(files ParamFiles) reconcile.Controller {
	return derive.Act("runtime.KernelParamSpecController",
		[]reconcile.Input{
			reconcile.In[runtime.KernelParamSpec](), reconcile.In[runtime.KernelParamDefaultSpec](),
			// A module may bring the parameter.
			reconcile.In[runtime.LoadedKernelModule](),
		},
		[]reconcile.Output{reconcile.Out[runtime.KernelParamStatus]()},
		func(ctx context.Context, rt *reconcile.Runtime) error {
			wanted, err := wantedParams(ctx, rt)
			if err != nil {
				return err
			}

			previous, err := resource.List[runtime.KernelParamStatus](ctx, rt)
			if err != nil {
				return err
			}

			before := map[string]runtime.KernelParamStatus{}
			for _, p := range previous {
				before[p.Meta.ID] = p.Spec
			}

			var errs []error

			for _, name := range slices.Sorted(maps.Keys(before)) {
				if _, ok := wanted[name]; !ok && !before[name].Unsupported {
					errs = append(errs, files.restore(name, before[name]))
				}
			}

			for _, name := range slices.Sorted(maps.Keys(wanted)) {
				// The others shall not suffer from one that is wrong.
				status, err := files.set(name, wanted[name], before)
				errs = append(errs, err, reconcile.Modify(ctx, rt, name, func(r *resource.Resource[runtime.KernelParamStatus]) error {
					r.Spec = status

					return nil
				}))
			}

			return errors.Join(append(errs, reconcile.Keep[runtime.KernelParamStatus](ctx, rt, func(id string) bool {
				_, ok := wanted[id]

				return ok
			}))...)
		})
}

// wantedParams is the values by name: the configuration's before the node's own.
func wantedParams(ctx context.Context, rt *reconcile.Runtime) (map[string]runtime.KernelParamSpec, error) {
	defaults, err := resource.List[runtime.KernelParamDefaultSpec](ctx, rt)
	if err != nil {
		return nil, err
	}

	specs, err := resource.List[runtime.KernelParamSpec](ctx, rt)
	if err != nil {
		return nil, err
	}

	wanted := map[string]runtime.KernelParamSpec{}
	for _, d := range defaults {
		wanted[d.Meta.ID] = runtime.KernelParamSpec(d.Spec)
	}

	for _, s := range specs {
		wanted[s.Meta.ID] = s.Spec
	}

	return wanted, nil
}

// set gives a parameter its value and tells what it has then, and what it had
// before anybody set it.
func (f ParamFiles) set(
	name string, spec runtime.KernelParamSpec, before map[string]runtime.KernelParamStatus,
) (runtime.KernelParamStatus, error) {
	unsupported := runtime.KernelParamStatus{Unsupported: true}

	file, ok := f.path(name)
	if !ok {
		return unsupported, nil
	}

	text, err := os.ReadFile(file)
	if err != nil {
		if spec.IgnoreErrors && errors.Is(err, fs.ErrNotExist) {
			return unsupported, nil
		}

		return unsupported, fmt.Errorf("reading kernel parameter %s: %w", name, err)
	}

	status := runtime.KernelParamStatus{Current: normalParam(string(text))}
	status.Default = status.Current

	if known, ok := before[name]; ok && !known.Unsupported {
		status.Default = known.Default
	}

	if status.Current == normalParam(spec.Value) {
		return status, nil
	}

	err = sysctl.Write(file, spec.Value)

	switch {
	case err == nil:
		status.Current = spec.Value
	case spec.IgnoreErrors, f.Shared && errors.Is(err, fs.ErrPermission):
		// The host's to set: the status says that it is not as wanted.
		status.Unsupported = true
	default:
		return status, fmt.Errorf("setting kernel parameter %s: %w", name, err)
	}

	return status, nil
}

func (f ParamFiles) restore(name string, status runtime.KernelParamStatus) error {
	file, ok := f.path(name)
	if !ok || status.Current == status.Default {
		return nil
	}

	if err := sysctl.Write(file, status.Default); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("restoring kernel parameter %s: %w", name, err)
	}

	return nil
}

// normalParam is a value without the kernel's way of spacing: lists of numbers
// have tabs between them.
func normalParam(value string) string { return strings.Join(strings.Fields(value), " ") }
