package hardware

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resources/hardware"
	"github.com/basalt-os/basalt/internal/resources/runtime"
	"github.com/basalt-os/basalt/internal/smbios"
)

// dmiTable is where the kernel shows the firmware's table, below sysfs.
const dmiTable = "firmware/dmi/tables/DMI"

// metaUUID is the key of META with the machine's UUID, for machines whose
// firmware has the same one as others.
const metaUUID = "0x0f"

// Machine are the controllers of what the firmware of a machine says about it.
// Sys is where sysfs is mounted. A machine without such firmware has none of the
// resources.
func Machine(sys string) []reconcile.Controller {
	return []reconcile.Controller{SystemInformation(sys), Processors(sys), MemoryModules(sys)}
}

// table reads the firmware's table; ok is false when there is none.
func table(sys string) (t smbios.Table, ok bool, err error) {
	data, err := os.ReadFile(filepath.Join(sys, dmiTable))
	if errors.Is(err, fs.ErrNotExist) {
		return t, false, nil
	}

	if err != nil {
		return t, false, fmt.Errorf("reading the firmware's tables: %w", err)
	}

	// What comes before damage counts.
	t, err = smbios.Parse(data)

	return t, err == nil || t.System != smbios.System{}, nil
}

// SystemInformation shows the maker and the numbers of the machine.
func SystemInformation(sys string) reconcile.Controller {
	return derive.One("hardware.SystemInfoController", hardware.SystemInformationID,
		[]reconcile.Input{derive.In[runtime.MetaKey](metaUUID)},
		func(ctx context.Context, rt *reconcile.Runtime, _ hardware.SystemInformation) (hardware.SystemInformation, error) {
			override, err := derive.Find[runtime.MetaKey](ctx, rt, metaUUID)
			if err != nil {
				return hardware.SystemInformation{}, err
			}

			t, ok, err := table(sys)
			if err != nil {
				return hardware.SystemInformation{}, err
			}

			if !ok && override == nil {
				return derive.None[hardware.SystemInformation]()
			}

			spec := hardware.SystemInformation{
				Manufacturer: t.System.Manufacturer, ProductName: t.System.ProductName, Version: t.System.Version,
				BIOSVersion: t.BIOS.Version, SerialNumber: t.System.SerialNumber, UUID: t.System.UUID,
				WakeUpType: t.System.WakeUpType, SKUNumber: t.System.SKUNumber,
			}
			if override != nil {
				spec.UUID = override.Spec.Value
			}

			return spec, nil
		})
}

// Processors shows the processors.
func Processors(sys string) reconcile.Controller {
	return derive.All("hardware.ProcessorController", nil,
		func(context.Context, *reconcile.Runtime) (map[string]hardware.Processor, error) {
			t, _, err := table(sys)
			if err != nil {
				return nil, err
			}

			out := map[string]hardware.Processor{}

			for _, p := range t.Processors {
				out[free(out, p.Socket, "CPU")] = hardware.Processor{
					Socket: p.Socket, Manufacturer: p.Manufacturer, ProductName: p.Version, MaxSpeed: p.MaxSpeed,
					BootSpeed: p.CurrentSpeed, Status: p.Status, SerialNumber: p.SerialNumber, AssetTag: p.AssetTag,
					PartNumber: p.PartNumber, CoreCount: p.CoreCount, CoreEnabled: p.CoreEnabled, ThreadCount: p.ThreadCount,
				}
			}

			return out, nil
		})
}

// MemoryModules shows the memory modules.
func MemoryModules(sys string) reconcile.Controller {
	return derive.All("hardware.MemoryModuleController", nil,
		func(context.Context, *reconcile.Runtime) (map[string]hardware.MemoryModule, error) {
			t, _, err := table(sys)
			if err != nil {
				return nil, err
			}

			out := map[string]hardware.MemoryModule{}

			for _, m := range t.Memory {
				out[free(out, m.DeviceLocator, "DIMM")] = hardware.MemoryModule{
					Size: m.Size, DeviceLocator: m.DeviceLocator, BankLocator: m.BankLocator, Speed: m.Speed,
					Manufacturer: m.Manufacturer, SerialNumber: m.SerialNumber, AssetTag: m.AssetTag, ProductName: m.PartNumber,
				}
			}

			return out, nil
		})
}

// free makes an ID of what the firmware calls a part. Some firmware calls all
// parts the same, or has no name for them.
func free[T any](taken map[string]T, name, kind string) string {
	id := strings.Join(strings.Fields(name), "-")
	if id == "" {
		id = kind
	}

	next := id
	for n := 1; ; n++ {
		if _, ok := taken[next]; !ok {
			return next
		}

		next = fmt.Sprintf("%s-%d", id, n)
	}
}
