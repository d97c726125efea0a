package hardware

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/hardware"
	"github.com/basalt-os/basalt/internal/resources/runtime"
	"github.com/basalt-os/basalt/internal/sysctl"
	"github.com/basalt-os/basalt/pkg/machineconfig"
	"github.com/basalt-os/basalt/pkg/machineconfig/document"
)

// Rebinds takes from the configuration which devices of the PCI bus get another
// driver. A document's name is the address of the device.
func Rebinds(reader *configured.Reader) reconcile.Controller {
	return configured.All(reader, "hardware.PCIDriverRebindConfigController",
		func(cfg *machineconfig.Config) (map[string]hardware.PCIDriverRebindConfig, error) {
			out := map[string]hardware.PCIDriverRebindConfig{}
			for _, doc := range machineconfig.All[document.PCIDriverRebindConfig](cfg) {
				out[doc.Name] = hardware.PCIDriverRebindConfig{PCIID: doc.Name, TargetDriver: doc.TargetDriver}
			}

			return out, nil
		})
}

// Modules loads the module of a driver.
type Modules interface {
	LoadAlias(alias string) ([]string, error)
}

// Rebind gives devices of the PCI bus the drivers that are wanted, and back those
// that they had when nothing is wanted any more.
func Rebind(sys string, modules Modules) reconcile.Controller {
	return derive.Act("hardware.PCIDriverRebindController",
		[]reconcile.Input{
			reconcile.In[hardware.PCIDriverRebindConfig](),
			// Before that, devices come by their ordinary drivers.
			derive.In[runtime.DevicesStatus](runtime.DevicesID),
		},
		[]reconcile.Output{reconcile.Out[hardware.PCIDriverRebindStatus]()},
		func(ctx context.Context, rt *reconcile.Runtime) error {
			devices, err := derive.Find[runtime.DevicesStatus](ctx, rt, runtime.DevicesID)
			if err != nil || devices == nil || !devices.Spec.Ready {
				return err
			}

			configs, err := resource.List[hardware.PCIDriverRebindConfig](ctx, rt)
			if err != nil {
				return err
			}

			statuses, err := resource.List[hardware.PCIDriverRebindStatus](ctx, rt)
			if err != nil {
				return err
			}

			bus := pciBus(filepath.Join(sys, "bus/pci"))
			wanted := map[string]bool{}

			var errs []error

			for _, c := range configs {
				if _, err := modules.LoadAlias(c.Spec.TargetDriver); err != nil {
					errs = append(errs, err)
				}

				if err := bus.rebind(c.Spec.PCIID, c.Spec.TargetDriver); err != nil {
					errs = append(errs, err)

					continue
				}

				wanted[c.Meta.ID] = true

				errs = append(errs, reconcile.Modify(ctx, rt, c.Meta.ID, func(r *resource.Resource[hardware.PCIDriverRebindStatus]) error {
					r.Spec = hardware.PCIDriverRebindStatus(c.Spec)

					return nil
				}))
			}

			for _, s := range statuses {
				if !wanted[s.Meta.ID] {
					errs = append(errs, bus.rebind(s.Spec.PCIID, ""))
				}
			}

			return errors.Join(append(errs,
				reconcile.Keep[hardware.PCIDriverRebindStatus](ctx, rt, func(id string) bool { return wanted[id] }))...)
		})
}

// pciBus is the folder of the PCI bus in sysfs.
type pciBus string

// rebind gives a device a driver; "" is the one that it has by itself.
func (b pciBus) rebind(device, driver string) error {
	if device == "" || strings.Contains(device, "/") {
		return fmt.Errorf("finding PCI device: %q is not an address", device)
	}

	folder := filepath.Join(string(b), "devices", device)

	current, err := os.Readlink(filepath.Join(folder, "driver"))

	switch {
	case err == nil && driver != "" && filepath.Base(current) == driver:
		return nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("reading the driver of PCI device %s: %w", device, err)
	}

	// A line break takes the wish for a driver back.
	wish := driver
	if wish == "" {
		wish = "\n"
	}

	if err := sysctl.Write(filepath.Join(folder, "driver_override"), wish); err != nil {
		return fmt.Errorf("choosing driver %q for PCI device %s: %w", driver, device, err)
	}

	if current != "" {
		if err := sysctl.Write(filepath.Join(folder, "driver/unbind"), device); err != nil {
			return fmt.Errorf("taking the driver %s from PCI device %s: %w", filepath.Base(current), device, err)
		}
	}

	if err := sysctl.Write(filepath.Join(string(b), "drivers_probe"), device); err != nil {
		return fmt.Errorf("giving PCI device %s its driver: %w", device, err)
	}

	return nil
}
