package pciids_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/pciids"
)

const list = `# a comment
#	set in
1af4  Red Hat, Inc.
	1000  Virtio network device
		1af4 0001  a subsystem
	1041  Virtio 1.0 network device
8086  Intel Corporation
	1000  something else
	29c0  82G33/G31/P35/P31 Express DRAM Controller

C 02  Network controller
	00  Ethernet controller
		01  an interface
C 06  Bridge
	00  Host bridge
`

func TestFind(t *testing.T) {
	t.Parallel()

	net := pciids.Device{Vendor: "1af4", Product: "1000", Class: "02", Subclass: "00"}
	bridge := pciids.Device{Vendor: "8086", Product: "29c0", Class: "06", Subclass: "00"}
	unknown := pciids.Device{Vendor: "8086", Product: "ffff", Class: "ff", Subclass: "00"}
	nothing := pciids.Device{}

	got, err := pciids.Find(strings.NewReader(list), []pciids.Device{net, bridge, unknown, nothing})
	want := map[pciids.Device]pciids.Names{
		net:     {Vendor: "Red Hat, Inc.", Product: "Virtio network device", Class: "Network controller", Subclass: "Ethernet controller"},
		bridge:  {Vendor: "Intel Corporation", Product: "82G33/G31/P35/P31 Express DRAM Controller", Class: "Bridge", Subclass: "Host bridge"},
		unknown: {Vendor: "Intel Corporation"},
		nothing: {},
	}

	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("names (-want +got):\n%s%v", diff, err)
	}
}

func TestFindFails(t *testing.T) {
	t.Parallel()

	if _, err := pciids.Find(strings.NewReader(strings.Repeat("x", 1<<20)), nil); err == nil {
		t.Error("a line of a mebibyte is no error")
	}
}

func FuzzFind(f *testing.F) {
	f.Add(list)
	f.Fuzz(func(t *testing.T, list string) {
		device := pciids.Device{Vendor: "8086", Product: "29c0", Class: "06", Subclass: "00"}
		if names, err := pciids.Find(strings.NewReader(list), []pciids.Device{device}); err == nil && len(names) != 1 {
			t.Errorf("%d devices", len(names))
		}
	})
}
