package ethernet

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/basalt-os/basalt/internal/ethtool"
	"github.com/basalt-os/basalt/internal/resources/network"
	"github.com/basalt-os/basalt/pkg/machineconfig/document"
)

// adapter is one that has rings whose sizes are powers of two, and features of
// which one cannot be on.
type adapter struct {
	ring     uint32
	features map[string]bool
	wake     uint32
	changes  []string
	opened   int
}

func (a *adapter) Open() (Adapters, error)                   { a.opened++; return a, nil }
func (a *adapter) Watch(ctx context.Context, _ func()) error { <-ctx.Done(); return nil }
func (a *adapter) Close() error                              { a.opened--; return nil }
func (a *adapter) Channels(string) (ethtool.Channels, error) {
	return ethtool.Channels{}, ethtool.ErrUnsupported
}
func (a *adapter) SetChannels(string, ethtool.Channels) error { return ethtool.ErrUnsupported }
func (a *adapter) WakeOnLAN(string) (uint32, error)           { return a.wake, nil }
func (a *adapter) Rings(string) (ethtool.Rings, error) {
	return ethtool.Rings{RXMax: new(uint32(4096)), RX: new(a.ring)}, nil
}
func (a *adapter) told(link, format string, args ...any) {
	a.changes = append(a.changes, link+": "+fmt.Sprintf(format, args...))
}
func (a *adapter) SetWakeOnLAN(link string, modes uint32) error {
	a.told(link, "wake %#x", modes)
	a.wake = modes
	return nil
}

func (a *adapter) Mode(link string) (ethtool.Mode, error) {
	if link != "eth0" {
		return ethtool.Mode{}, ethtool.ErrUnsupported
	}

	return ethtool.Mode{Link: true, Speed: 1000, Port: ethtool.Unknown, Duplex: 1, Ours: []string{"1000baseT/Full"}}, nil
}

func (a *adapter) SetRings(link string, rings ethtool.Rings) error {
	a.told(link, "rx %d", *rings.RX)

	for a.ring = 64; a.ring < *rings.RX; {
		a.ring *= 2
	}

	return nil
}

func (a *adapter) Features(string) ([]ethtool.Feature, error) {
	var out []ethtool.Feature
	for _, name := range slices.Sorted(maps.Keys(a.features)) {
		out = append(out, ethtool.Feature{Name: name, On: a.features[name], Wanted: a.features[name] || name == "never", Fixed: name == "fixed"})
	}

	return out, nil
}

func (a *adapter) SetFeatures(link string, features map[string]bool) error {
	a.told(link, "features %v", features)

	for name, on := range features {
		a.features[name] = on && name != "never"
	}

	return nil
}

// An adapter is changed where it differs, and once where it does not do as told.
func TestApply(t *testing.T) {
	t.Parallel()

	kernel := &adapter{ring: 256, features: map[string]bool{"gro": true, "never": false, "tso": true}}
	a := &applier{kernel: kernel, logger: slog.New(slog.DiscardHandler)}
	ring := func(n uint32) network.EthernetSpec {
		return network.EthernetSpec{Rings: network.EthernetRingsSpec{RX: &n}}
	}

	for _, step := range []struct {
		name string
		spec network.EthernetSpec
		do   func()
		want string
	}{
		{"what it has", ring(256), nil, ""},
		{"another size", ring(512), nil, "eth0: rx 512"},
		{"a size that it makes another of", ring(1000), nil, "eth0: rx 1000"},
		{"the same again", ring(1000), nil, ""},
		{"somebody changes it", ring(1000), func() { kernel.ring = 64 }, "eth0: rx 1000"},
		{"nothing", network.EthernetSpec{}, nil, ""},
		{"the size once more", ring(1000), nil, "eth0: rx 1000"},
		{"features", network.EthernetSpec{Features: map[string]bool{"gro": true, "tso": false}}, nil, "eth0: features map[tso:false]"},
		{"a feature that cannot be", network.EthernetSpec{Features: map[string]bool{"never": true}}, nil, "eth0: features map[never:true]"},
		{"that feature again", network.EthernetSpec{Features: map[string]bool{"never": true}}, nil, ""},
		{"waking", network.EthernetSpec{WakeOnLAN: []network.WOLMode{network.WOLModeMagic, network.WOLModePHY}}, nil, "eth0: wake 0x21"},
		{"waking by the same", network.EthernetSpec{WakeOnLAN: []network.WOLMode{network.WOLModePHY, network.WOLModeMagic}}, nil, ""},
	} {
		kernel.changes = nil

		if step.do != nil {
			step.do()
		}

		if err := a.apply(map[string]network.EthernetSpec{"eth0": step.spec}); err != nil {
			t.Errorf("%s: %v", step.name, err)
		}

		if got := strings.Join(kernel.changes, ", "); got != step.want {
			t.Errorf("%s: changes %q, want %q", step.name, got, step.want)
		}
	}

	// What it cannot is an error, and keeps nothing else from it.
	spec := ring(128)
	spec.Channels.RX = new(uint32(2))
	kernel.changes = nil

	if err := a.apply(map[string]network.EthernetSpec{"eth0": spec}); err == nil || len(kernel.changes) != 1 {
		t.Errorf("changes %q, %v", kernel.changes, err)
	}

	if err := a.apply(nil); err != nil || kernel.opened != 0 || len(a.settled) != 0 {
		t.Errorf("%d are open, %v is remembered, %v", kernel.opened, a.settled, err)
	}
}

func TestStatuses(t *testing.T) {
	t.Parallel()

	kernel := &adapter{ring: 256, wake: 0x30, features: map[string]bool{"fixed": false, "gro": true, "never": false}}

	got, err := statuses(kernel, map[string]network.LinkStatus{
		"eth0": {Type: network.LinkTypeEther}, "gone": {Type: network.LinkTypeEther},
		"br0": {Type: network.LinkTypeEther, Kind: "bridge"}, "lo": {Type: network.LinkTypeLoopback},
	})
	if err != nil {
		t.Fatal(err)
	}

	want := map[string]network.EthernetStatus{"eth0": {
		LinkState: new(true), SpeedMegabits: 1000, Port: network.PortOther, Duplex: network.DuplexFull, OurModes: []string{"1000baseT/Full"},
		Rings: &network.EthernetRingsStatus{RXMax: new(uint32(4096)), RX: new(uint32(256))},
		Features: network.EthernetFeatureStatusList{
			{Name: "fixed", Status: "off [fixed]"}, {Name: "gro", Status: "on"}, {Name: "never", Status: "off [requested on]"},
		},
		WakeOnLAN: []network.WOLMode{wakeARP, network.WOLModeMagic},
	}}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
}

func TestWanted(t *testing.T) {
	t.Parallel()

	for _, test := range []struct {
		name  string
		doc   document.EthernetConfig
		want  network.EthernetSpec
		fails bool
	}{
		{"nothing", document.EthernetConfig{}, network.EthernetSpec{}, false},
		{
			"all",
			document.EthernetConfig{
				Features: map[string]bool{"gro": true}, WakeOnLAN: []string{"arp", "magic"},
				Rings:    &document.EthernetRings{RX: new(uint32(7)), TXPush: new(true)},
				Channels: &document.EthernetChannels{Combined: new(uint32(8))},
			},
			network.EthernetSpec{
				Features: map[string]bool{"gro": true}, WakeOnLAN: []network.WOLMode{16, network.WOLModeMagic},
				Rings:    network.EthernetRingsSpec{RX: new(uint32(7)), TXPush: new(true)},
				Channels: network.EthernetChannelsSpec{Combined: new(uint32(8))},
			}, false,
		},
		{"an event that there is not", document.EthernetConfig{WakeOnLAN: []string{"knock"}}, network.EthernetSpec{}, true},
	} {
		got, err := wanted(&test.doc)
		if (err != nil) != test.fails {
			t.Errorf("%s: %v", test.name, err)
		}

		if diff := cmp.Diff(test.want, got); err == nil && diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}
