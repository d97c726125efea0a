package runtime

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/runtime"
	"github.com/basalt-os/basalt/pkg/machineconfig"
)

// Prefixes of the names of kernel parameters.
const (
	sysctlPrefix = "proc.sys."
	sysfsPrefix  = "sys."
)

// paramDefaults are the parameters that every node has unless it is configured
// otherwise. They are those that a network namespace has for itself: the others
// belong to the host.
var paramDefaults = map[string]string{
	"proc.sys.net.ipv4.ip_forward":                        "1",
	"proc.sys.net.ipv4.conf.all.send_redirects":           "0",
	"proc.sys.net.ipv4.icmp_echo_ignore_broadcasts":       "1",
	"proc.sys.net.ipv4.icmp_ignore_bogus_error_responses": "1",
	"proc.sys.net.ipv4.ip_local_reserved_ports":           "50000,50001",
	"proc.sys.net.ipv6.conf.default.forwarding":           "1",
	"proc.sys.net.ipv6.conf.default.accept_ra":            "2",
}

// KernelParamDefaults says which parameters a node has by itself.
func KernelParamDefaults() reconcile.Controller {
	return derive.All("runtime.KernelParamDefaultsController", nil,
		func(context.Context, *reconcile.Runtime) (map[string]runtime.KernelParamDefaultSpec, error) {
			out := map[string]runtime.KernelParamDefaultSpec{}
			for name, value := range paramDefaults {
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
				out[sysctlPrefix+name] = runtime.KernelParamSpec{Value: value}
			}

			for name, value := range cfg.Machine().Sysfs {
				out[sysfsPrefix+name] = runtime.KernelParamSpec{Value: value}
			}

			return out, nil
		})
}

// KernelParamStatus sets the parameters that a node may set and shows the
// values of all. Proc is where the kernel's process file system is mounted.
func KernelParamStatus(proc string) reconcile.Controller {
	return derive.All("runtime.KernelParamSpecController",
		[]reconcile.Input{reconcile.In[runtime.KernelParamSpec](), reconcile.In[runtime.KernelParamDefaultSpec]()},
		func(ctx context.Context, rt *reconcile.Runtime) (map[string]runtime.KernelParamStatus, error) {
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

			previous, err := resource.List[runtime.KernelParamStatus](ctx, rt)
			if err != nil {
				return nil, err
			}

			before := map[string]runtime.KernelParamStatus{}
			for _, p := range previous {
				before[p.Meta.ID] = p.Spec
			}

			out := map[string]runtime.KernelParamStatus{}

			for name, spec := range wanted {
				if out[name], err = setParam(proc, name, spec, before); err != nil {
					return nil, err
				}
			}

			return out, nil
		})
}

// setParam gives a parameter its value and tells what it has then, and what it
// had before anybody set it.
func setParam(proc, name string, spec runtime.KernelParamSpec, before map[string]runtime.KernelParamStatus) (runtime.KernelParamStatus, error) {
	file, ok := paramPath(proc, name)
	if !ok {
		return runtime.KernelParamStatus{Unsupported: true}, nil
	}

	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) && spec.IgnoreErrors {
		return runtime.KernelParamStatus{Unsupported: true}, nil
	}

	if err != nil {
		return runtime.KernelParamStatus{}, fmt.Errorf("reading kernel parameter %s: %w", name, err)
	}

	status := runtime.KernelParamStatus{Current: strings.TrimSpace(string(text))}
	status.Default = status.Current

	if known, ok := before[name]; ok && !known.Unsupported {
		status.Default = known.Default
	}

	if status.Current == spec.Value {
		return status, nil
	}

	err = os.WriteFile(file, []byte(spec.Value), 0o644)

	switch {
	case err == nil:
		status.Current = spec.Value
	case errors.Is(err, fs.ErrPermission), spec.IgnoreErrors:
		// The host's to set: the status says that it is not as wanted.
		status.Unsupported = true
	default:
		return runtime.KernelParamStatus{}, fmt.Errorf("setting kernel parameter %s: %w", name, err)
	}

	return status, nil
}

// own are the beginnings of the parameters that namespaces have for themselves.
// All others are the host's, and a node must not change those.
var own = []string{"net/", "fs/mqueue/", "kernel/domainname", "kernel/msg", "kernel/sem", "kernel/shm"}

// paramPath is the file of a parameter of the node's own. Where a name has
// slashes, its dots are part of the names between them.
func paramPath(proc, name string) (string, bool) {
	rest, ok := strings.CutPrefix(name, sysctlPrefix)
	if !ok {
		return "", false
	}

	if !strings.Contains(rest, "/") {
		rest = strings.ReplaceAll(rest, ".", "/")
	}

	rest = path.Clean(rest)
	if !filepath.IsLocal(rest) || !slices.ContainsFunc(own, func(p string) bool { return strings.HasPrefix(rest, p) }) {
		return "", false
	}

	return filepath.Join(proc, "sys", rest), true
}

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
