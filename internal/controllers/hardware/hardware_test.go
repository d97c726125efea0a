package hardware

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/procfs"

	"github.com/basalt-os/basalt/internal/resources/hardware"
)

func TestCores(t *testing.T) {
	t.Parallel()

	got := cores([]procfs.CPUInfo{
		{Processor: 2, PhysicalID: "0", CoreID: "0", CPUCores: 2, Siblings: 4},
		{Processor: 0, PhysicalID: "0", CoreID: "0", CPUCores: 2, Siblings: 4},
		{Processor: 1, PhysicalID: "0", CoreID: "1", CPUCores: 2, Siblings: 4},
	})
	want := map[string]hardware.CPUCore{
		"socket0-core0": {Socket: "0", CoreID: "0", CoresPerSocket: 2, ThreadsPerSocket: 4, LogicalCPUs: []uint32{0, 2}},
		"socket0-core1": {Socket: "0", CoreID: "1", CoresPerSocket: 2, ThreadsPerSocket: 4, LogicalCPUs: []uint32{1}},
	}

	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("cores (-want +got):\n%s", diff)
	}
}

func TestPCIDevices(t *testing.T) {
	t.Parallel()

	const dir = "bus/pci/devices/0000:00:02.0/"

	got, err := pciDevices(fstest.MapFS{
		dir + "vendor": {Data: []byte("0x8086\n")},
		dir + "device": {Data: []byte("0x1237\n")},
		dir + "class":  {Data: []byte("0x020000\n")},
		dir + "driver": {Data: []byte("../../../bus/pci/drivers/e1000"), Mode: fs.ModeSymlink},
	})
	if err != nil {
		t.Fatal(err)
	}

	want := map[string]hardware.PCIDevice{
		"0000:00:02.0": {VendorID: "8086", ProductID: "1237", ClassID: "02", SubclassID: "00", Driver: "e1000"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("devices (-want +got):\n%s", diff)
	}

	if none, err := pciDevices(fstest.MapFS{}); err != nil || none != nil {
		t.Errorf("without a bus: %v, %v", none, err)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()

	devices := map[string]hardware.PCIDevice{"0000:00:02.0": {VendorID: "8086", ProductID: "1237", ClassID: "06", SubclassID: "00"}}
	if err := name(devices, strings.NewReader("8086  Intel\n\t1237  Bridge\nC 06  Bridge\n\t00  Host bridge\n")); err != nil {
		t.Fatal(err)
	}

	want := map[string]hardware.PCIDevice{"0000:00:02.0": {
		Vendor: "Intel", Product: "Bridge", Class: "Bridge", Subclass: "Host bridge",
		VendorID: "8086", ProductID: "1237", ClassID: "06", SubclassID: "00",
	}}
	if diff := cmp.Diff(want, devices); diff != "" {
		t.Errorf("devices (-want +got):\n%s", diff)
	}
}
