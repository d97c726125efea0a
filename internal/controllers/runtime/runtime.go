// Package runtime has the controllers that tell of the running system: what it
// is, what its kernel is told, and what is mounted.
package runtime

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/sys/mountinfo"

	"github.com/basalt-os/basalt/internal/cmdline"
	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/events"
	"github.com/basalt-os/basalt/internal/logs"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/network"
	"github.com/basalt-os/basalt/internal/resources/runtime"
	"github.com/basalt-os/basalt/pkg/machineconfig"
	"github.com/basalt-os/basalt/pkg/machineconfig/document"
)

// Dependencies are what the controllers of this package need.
type Dependencies struct {
	Config *configured.Reader
	// Name and Version are what the system calls itself.
	Name, Version string
	// Platform is what the machine runs on, such as "container".
	Platform string
	// Proc, Sys and Dev are where the kernel's file systems are mounted.
	Proc, Sys, Dev string
	// Arguments are the kernel's, if it is the node's own kernel.
	Arguments cmdline.Line
	// Events and Logs are what can be sent to servers elsewhere.
	Events *events.Ring
	Logs   *logs.Book
	Logger *slog.Logger
	// Machine is what only a machine has: nil for a node that shares its kernel
	// with a host.
	Machine *Machine
}

// Controllers are all controllers of this package.
func Controllers(d Dependencies) []reconcile.Controller {
	return slices.Concat(common(d), ofKernel(d))
}

// common are the controllers that do not care whose the kernel is.
func common(d Dependencies) []reconcile.Controller {
	return []reconcile.Controller{
		Version(d.Name, d.Version),
		BootID(d.Proc),
		KernelCmdline(d.Proc),
		Platform(d.Platform),
		Environment(d.Config),
		KernelParams(d.Config),
		KernelModules(d.Config),
		MountStatus(d.Proc),
		SBOM(),
		EventSink(d.Config, d.Arguments),
		EventSender(d.Events, d.Logger),
		AddressEvents(d.Events),
		KmsgLog(d.Config, d.Arguments),
		KernelLogSender(d.Proc, d.Dev, d.Logger),
		ServiceLogSender(d.Config, d.Logs, d.Logger),
		Watchdog(d.Config),
		ExtensionServices(d.Config),
		MachineToken(d.Config),
	}
}

// constant is a controller of one resource that never changes.
func constant[T resource.Spec](name, id string, read func() (T, error)) reconcile.Controller {
	return derive.One(name, id, nil, func(context.Context, *reconcile.Runtime, T) (T, error) { return read() })
}

// Version tells which system this is.
func Version(name, version string) reconcile.Controller {
	return constant("runtime.VersionController", runtime.VersionID, func() (runtime.Version, error) {
		return runtime.Version{Name: name, Version: version}, nil
	})
}

// BootID tells the kernel's identity of this boot.
func BootID(proc string) reconcile.Controller {
	return constant("runtime.BootIDController", runtime.BootIDID, func() (runtime.BootID, error) {
		text, err := os.ReadFile(filepath.Join(proc, "sys/kernel/random/boot_id"))
		if err != nil {
			return runtime.BootID{}, fmt.Errorf("reading the boot ID: %w", err)
		}

		return runtime.BootID{BootID: strings.TrimSpace(string(text))}, nil
	})
}

// KernelCmdline tells what the kernel was started with.
func KernelCmdline(proc string) reconcile.Controller {
	return constant("runtime.KernelCmdlineController", runtime.KernelCmdlineID, func() (runtime.KernelCmdline, error) {
		text, err := os.ReadFile(filepath.Join(proc, "cmdline"))
		if err != nil {
			return runtime.KernelCmdline{}, fmt.Errorf("reading the kernel's command line: %w", err)
		}

		return runtime.KernelCmdline{Cmdline: strings.TrimSpace(string(text))}, nil
	})
}

// Platform tells what the machine runs on.
func Platform(platform string) reconcile.Controller {
	return derive.One("network.PlatformConfigController", runtime.PlatformMetadataID,
		[]reconcile.Input{derive.In[network.HostnameStatus](network.HostnameID)},
		func(ctx context.Context, rt *reconcile.Runtime, _ runtime.PlatformMetadata) (runtime.PlatformMetadata, error) {
			host, err := derive.Find[network.HostnameStatus](ctx, rt, network.HostnameID)
			if err != nil {
				return runtime.PlatformMetadata{}, err
			}

			spec := runtime.PlatformMetadata{Platform: platform}
			if host != nil {
				spec.Hostname, spec.InstanceID = host.Spec.Hostname, host.Spec.Hostname
			}

			return spec, nil
		})
}

// Environment takes the environment of the system's services from the
// configuration.
func Environment(reader *configured.Reader) reconcile.Controller {
	return configured.One(reader, "runtime.EnvironmentController", runtime.EnvironmentID,
		func(cfg *machineconfig.Config) (runtime.Environment, error) {
			env := cfg.Machine().Env

			var spec runtime.Environment
			for _, name := range slices.Sorted(maps.Keys(env)) {
				spec.Variables = append(spec.Variables, name+"="+env[name])
			}

			return spec, nil
		})
}

// mountInterval is how often the mounts are read.
const mountInterval = 30 * time.Second

// nodeMounts are the mount points that belong to the node itself, by the name
// that people know them under.
var nodeMounts = map[string]string{"/var": "EPHEMERAL", "/system/state": "STATE"}

// MountStatus shows the mounts of the node's own volumes.
func MountStatus(proc string) reconcile.Controller {
	return derive.All("runtime.MountStatusController", nil,
		func(_ context.Context, rt *reconcile.Runtime) (map[string]runtime.MountStatus, error) {
			rt.RequeueAfter(mountInterval)

			file, err := os.Open(filepath.Join(proc, "self/mountinfo"))
			if err != nil {
				return nil, fmt.Errorf("reading the mounts: %w", err)
			}
			defer file.Close() //nolint:errcheck // read side only

			mounts, err := mountinfo.GetMountsFromReader(file, func(m *mountinfo.Info) (skip, stop bool) {
				return nodeMounts[m.Mountpoint] == "", false
			})
			if err != nil {
				return nil, fmt.Errorf("reading the mounts: %w", err)
			}

			out := map[string]runtime.MountStatus{}
			for _, m := range mounts {
				out[nodeMounts[m.Mountpoint]] = runtime.MountStatus{
					Source: m.Source, Target: m.Mountpoint, FilesystemType: m.FSType, Options: strings.Split(m.Options, ","),
				}
			}

			return out, nil
		})
}

// SBOM lists the modules that this program is made of.
func SBOM() reconcile.Controller {
	return derive.All("runtime.SBOMItemController", nil,
		func(context.Context, *reconcile.Runtime) (map[string]runtime.SBOMItem, error) {
			info, ok := debug.ReadBuildInfo()
			if !ok {
				return nil, nil
			}

			return sbom(info), nil
		})
}

func sbom(info *debug.BuildInfo) map[string]runtime.SBOMItem {
	out := map[string]runtime.SBOMItem{
		"go": {Name: "go", Version: info.GoVersion, PURLs: []string{"pkg:golang/stdlib@" + strings.TrimPrefix(info.GoVersion, "go")}},
	}

	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}

		id := strings.ReplaceAll(m.Path, "/", "-")
		out[id] = runtime.SBOMItem{Name: m.Path, Version: m.Version, PURLs: []string{"pkg:golang/" + m.Path + "@" + m.Version}}
	}

	return out
}

// DevicesStatus says that the devices are there: they are the host's.
func DevicesStatus() reconcile.Controller {
	return constant("runtime.DevicesStatusController", runtime.DevicesID, func() (runtime.DevicesStatus, error) {
		return runtime.DevicesStatus{Ready: true}, nil
	})
}

// Watchdog takes the settings of the watchdog from the configuration.
func Watchdog(reader *configured.Reader) reconcile.Controller {
	return configured.One(reader, "runtime.WatchdogTimerConfigController", runtime.WatchdogTimerID,
		func(cfg *machineconfig.Config) (runtime.WatchdogTimerConfig, error) {
			doc := machineconfig.Find[document.WatchdogTimerConfig](cfg)
			if doc == nil {
				return derive.None[runtime.WatchdogTimerConfig]()
			}

			return runtime.WatchdogTimerConfig{Device: doc.Device, Timeout: doc.Timeout}, nil
		})
}

// ExtensionServices takes the settings of extension services from the
// configuration.
func ExtensionServices(reader *configured.Reader) reconcile.Controller {
	return configured.All(reader, "runtime.ExtensionServiceConfigController",
		func(cfg *machineconfig.Config) (map[string]runtime.ExtensionServiceConfig, error) {
			out := map[string]runtime.ExtensionServiceConfig{}

			for _, doc := range machineconfig.All[document.ExtensionServiceConfig](cfg) {
				spec := runtime.ExtensionServiceConfig{Environment: doc.Environment}
				for _, f := range doc.ConfigFiles {
					spec.Files = append(spec.Files, runtime.ExtensionServiceConfigFile{Content: f.Content, MountPath: f.MountPath})
				}

				out[doc.Name] = spec
			}

			return out, nil
		})
}

// readable reads a small file of the kernel; ok is false when there is none.
func readable(fsys fs.FS, name string) (text string, ok bool) {
	data, err := fs.ReadFile(fsys, name)

	return strings.TrimSpace(string(data)), err == nil
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}

	return n
}
