// Package hardware has the controllers that show the machine's processors and
// devices.
package hardware

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/prometheus/procfs"

	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resources/hardware"
)

// Controllers are all controllers of this package. Proc and sys are where the
// kernel's file systems are mounted.
func Controllers(proc, sys string) []reconcile.Controller {
	return []reconcile.Controller{CPUCores(proc), PCIDevices(sys)}
}

// CPUCores shows the cores of the processors.
func CPUCores(proc string) reconcile.Controller {
	return derive.All("hardware.CPUInfoController", nil,
		func(context.Context, *reconcile.Runtime) (map[string]hardware.CPUCore, error) {
			fs, err := procfs.NewFS(proc)
			if err != nil {
				return nil, fmt.Errorf("opening %s: %w", proc, err)
			}

			cpus, err := fs.CPUInfo()
			if err != nil {
				return nil, fmt.Errorf("reading the processors: %w", err)
			}

			return cores(cpus), nil
		})
}

// cores joins the logical processors of each core.
func cores(cpus []procfs.CPUInfo) map[string]hardware.CPUCore {
	out := map[string]hardware.CPUCore{}

	for _, c := range cpus {
		id := "socket" + c.PhysicalID + "-core" + c.CoreID
		core, ok := out[id]

		if !ok {
			core = hardware.CPUCore{
				Socket: c.PhysicalID, CoreID: c.CoreID, VendorID: c.VendorID, CPUFamily: c.CPUFamily, Model: c.Model,
				ModelName: c.ModelName, Stepping: c.Stepping, Microcode: c.Microcode, CacheSize: c.CacheSize,
				CoresPerSocket: uint32(c.CPUCores), ThreadsPerSocket: uint32(c.Siblings), Flags: c.Flags, Bugs: c.Bugs,
				BogoMips: c.BogoMips, AddressSizes: c.AddressSizes,
			}
		}

		core.LogicalCPUs = append(core.LogicalCPUs, uint32(c.Processor))
		slices.Sort(core.LogicalCPUs)
		out[id] = core
	}

	return out
}

// PCIDevices shows the devices of the PCI bus by their numbers.
func PCIDevices(sys string) reconcile.Controller {
	return derive.All("hardware.PCIDevicesController", nil,
		func(context.Context, *reconcile.Runtime) (map[string]hardware.PCIDevice, error) {
			return pciDevices(os.DirFS(sys))
		})
}

func pciDevices(sys fs.FS) (map[string]hardware.PCIDevice, error) {
	const bus = "bus/pci/devices"

	entries, err := fs.ReadDir(sys, bus)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}

	if err != nil {
		return nil, fmt.Errorf("listing the devices of the PCI bus: %w", err)
	}

	out := map[string]hardware.PCIDevice{}

	for _, entry := range entries {
		read := func(name string) string {
			text, err := fs.ReadFile(sys, bus+"/"+entry.Name()+"/"+name)
			if err != nil {
				return ""
			}

			return strings.TrimPrefix(strings.TrimSpace(string(text)), "0x")
		}

		device := hardware.PCIDevice{VendorID: read("vendor"), ProductID: read("device")}

		if class := read("class"); len(class) >= 4 {
			device.ClassID, device.SubclassID = class[:2], class[2:4]
		}

		if driver, err := fs.ReadLink(sys, bus+"/"+entry.Name()+"/driver"); err == nil {
			device.Driver = filepath.Base(driver)
		}

		out[entry.Name()] = device
	}

	return out, nil
}
