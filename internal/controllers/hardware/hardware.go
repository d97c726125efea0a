// Package hardware has the controllers that show the machine's processors and
// devices.
package hardware

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/prometheus/procfs"

	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/pciids"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resources/hardware"
	"github.com/basalt-os/basalt/internal/resources/runtime"
)

// Controllers are those of every node. Proc and sys are where the kernel's file
// systems are mounted.
func Controllers(proc, sys string) []reconcile.Controller {
	return []reconcile.Controller{CPUCores(proc), PCIDevices(sys, pciids.Path)}
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

// PCIDevices shows the devices of the PCI bus, with their names where there is
// a list of names. Drivers that come once the devices have settled show too.
func PCIDevices(sys, names string) reconcile.Controller {
	return derive.All("hardware.PCIDevicesController", []reconcile.Input{derive.In[runtime.DevicesStatus](runtime.DevicesID)},
		func(context.Context, *reconcile.Runtime) (map[string]hardware.PCIDevice, error) {
			devices, err := pciDevices(os.DirFS(sys))
			if err != nil || len(devices) == 0 {
				return nil, err
			}

			list, err := os.Open(names)
			if errors.Is(err, fs.ErrNotExist) {
				return devices, nil
			}

			if err != nil {
				return nil, fmt.Errorf("reading the names of PCI devices: %w", err)
			}
			defer list.Close() //nolint:errcheck // read side only

			return devices, name(devices, list)
		})
}

// name gives devices their names.
func name(devices map[string]hardware.PCIDevice, list io.Reader) error {
	key := func(d hardware.PCIDevice) pciids.Device {
		return pciids.Device{Vendor: d.VendorID, Product: d.ProductID, Class: d.ClassID, Subclass: d.SubclassID}
	}

	var keys []pciids.Device
	for _, d := range devices {
		keys = append(keys, key(d))
	}

	names, err := pciids.Find(list, keys)
	if err != nil {
		return err
	}

	for id, d := range devices {
		n := names[key(d)]
		d.Vendor, d.Product, d.Class, d.Subclass = n.Vendor, n.Product, n.Class, n.Subclass
		devices[id] = d
	}

	return nil
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
