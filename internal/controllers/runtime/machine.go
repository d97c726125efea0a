package runtime

import (
	"bytes"
	"context"
	"crypto/fips140"
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/basalt-os/basalt/internal/cgroup"
	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/extension"
	"github.com/basalt-os/basalt/internal/kmod/loader"
	"github.com/basalt-os/basalt/internal/oom"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resources/runtime"
	"github.com/basalt-os/basalt/internal/sysctl"
	"github.com/basalt-os/basalt/internal/watchdog"
)

// Machine is what the controllers need of a machine with a kernel of its own.
type Machine struct {
	Modules *loader.Loader
}

// ofKernel are the controllers of the kernel, which a container shares with its
// host.
func ofKernel(d Dependencies) []reconcile.Controller {
	files := ParamFiles{Proc: d.Proc, Sys: d.Sys, Shared: d.Machine == nil}

	if d.Machine == nil {
		return []reconcile.Controller{
			KernelParamDefaults(sysctl.Shared()), KernelParamStatus(files),
			KernelModuleStatus(d.Proc), LoadedModules(d.Proc), SecurityState(d.Sys),
		}
	}

	return []reconcile.Controller{
		KernelParamDefaults(sysctl.Defaults()), KernelParamStatus(files),
		derive.Watched(KernelModuleStatus(d.Proc), WatchModules),
		derive.Watched(LoadedModules(d.Proc), WatchModules),
		SecurityState(d.Sys),
		LoadModules(d.Machine.Modules),
		OOM(d.Config, oom.Machine{Proc: d.Proc, Cgroup: cgroup.Mountpoint}, time.Now),
		Extensions(extension.RuntimeFile),
		WatchdogTimer(watchdog.Machine{Load: func(name string) error { return d.Machine.Modules.Load(name) }}),
	}
}

// Variables of EFI, below the folder of the kernel's file system for them. Their
// content comes after four bytes of flags.
const (
	efiVariables = "firmware/efi/efivars"
	efiSecure    = "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
	efiStub      = "StubInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f" // what the UKI's stub says about itself
	efiFlags     = 4
)

// SecurityState tells how the machine is protected. A node that shares its
// kernel with a host was not booted by firmware.
func SecurityState(sys string) reconcile.Controller {
	return derive.One("runtime.SecurityStateController", runtime.SecurityStateID, nil,
		func(context.Context, *reconcile.Runtime, runtime.SecurityState) (runtime.SecurityState, error) {
			return securityState(os.DirFS(sys)), nil
		})
}

func securityState(sys fs.FS) runtime.SecurityState {
	spec := runtime.SecurityState{SELinuxState: runtime.SELinuxStateDisabled}

	if text, ok := readable(sys, "fs/selinux/enforce"); ok {
		spec.SELinuxState = runtime.SELinuxStateEnabledPermissive
		if text == "1" {
			spec.SELinuxState = runtime.SELinuxStateEnabledEnforcing
		}
	}

	if enforced, ok := readable(sys, "module/module/parameters/sig_enforce"); ok {
		spec.ModuleSignatureEnforced = strings.EqualFold(enforced, "Y")
	}

	if secure, err := fs.ReadFile(sys, path.Join(efiVariables, efiSecure)); err == nil {
		spec.SecureBoot = len(secure) > efiFlags && bytes.Equal(secure[efiFlags:], []byte{1})
	}

	if _, err := fs.Stat(sys, path.Join(efiVariables, efiStub)); !errors.Is(err, fs.ErrNotExist) {
		spec.BootedWithUKI = err == nil
	}

	if fips140.Enabled() {
		spec.FIPSState = runtime.FIPSStateEnabled
		if fips140.Enforced() {
			spec.FIPSState = runtime.FIPSStateEnabledStrict
		}
	}

	return spec
}
