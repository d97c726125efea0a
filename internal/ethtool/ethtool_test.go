package ethtool_test

import (
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/basalt-os/basalt/internal/controllers/network/netnstest"
	"github.com/basalt-os/basalt/internal/ethtool"
)

func TestMain(m *testing.M) { os.Exit(netnstest.Main(m)) }

// client is one in the test's namespace, with a pair of links of several
// queues.
func client(t *testing.T) *ethtool.Client {
	t.Helper()
	netnstest.Need(t)

	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.NumTxQueues, attrs.NumRxQueues = "ve0", 4, 4
	link := netlink.NewVeth(attrs)
	link.PeerName = "ve1"

	if err := netlink.LinkAdd(link); err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() {
		if err := netlink.LinkDel(link); err != nil {
			t.Error(err)
		}
	})

	c, err := ethtool.New()
	if err != nil {
		t.Skip("the kernel has no ethtool family: ", err)
	}

	t.Cleanup(func() { _ = c.Close() })

	return c
}

func TestFeatures(t *testing.T) {
	c := client(t)

	const name = "tx-tcp-segmentation"

	find := func() ethtool.Feature {
		features, err := c.Features("ve0")
		if err != nil {
			t.Fatal(err)
		}

		i := slices.IndexFunc(features, func(f ethtool.Feature) bool { return f.Name == name })
		if i < 0 {
			t.Fatalf("%s is not among the features: %+v", name, features)
		}

		return features[i]
	}

	before := find()
	if !before.On || before.Fixed {
		t.Fatalf("%+v, want it on and changeable", before)
	}

	for _, on := range []bool{false, true} {
		if err := c.SetFeatures("ve0", map[string]bool{name: on}); err != nil {
			t.Fatal(err)
		}

		if got := find(); got.On != on || got.Wanted != on {
			t.Errorf("%+v, want %v", got, on)
		}
	}

	if err := c.SetFeatures("ve0", map[string]bool{"no-such-feature": true}); err == nil {
		t.Error("a feature that does not exist was set")
	}
}

func TestChannels(t *testing.T) {
	c := client(t)

	channels, err := c.Channels("ve0")
	if err != nil {
		t.Fatal(err)
	}

	if channels.RXMax == nil || *channels.RXMax != 4 || channels.RX == nil {
		t.Fatalf("channels %+v, want up to 4", channels)
	}

	if err := c.SetChannels("ve0", ethtool.Channels{RX: new(uint32(2)), TX: new(uint32(3))}); err != nil {
		t.Fatal(err)
	}

	channels, err = c.Channels("ve0")
	if err != nil || *channels.RX != 2 || *channels.TX != 3 {
		t.Errorf("channels %+v, %v", channels, err)
	}

	if err := c.SetChannels("ve0", ethtool.Channels{RX: new(uint32(9))}); err == nil {
		t.Error("more queues than there are were set")
	}
}

func TestDescription(t *testing.T) {
	c := client(t)

	driver, err := c.Driver("ve0")
	if err != nil || driver.Name != "veth" {
		t.Errorf("driver %+v, %v", driver, err)
	}

	mode, err := c.Mode("ve0")
	if err != nil || mode.Speed != 10000 || mode.Duplex != 1 || mode.Link {
		t.Errorf("mode %+v, %v", mode, err)
	}

	// A pair has no rings, and wakes nobody up.
	if rings, err := c.Rings("ve0"); err != nil && !errors.Is(err, ethtool.ErrUnsupported) {
		t.Errorf("rings %+v, %v", rings, err)
	}

	if _, err := c.WakeOnLAN("ve0"); !errors.Is(err, ethtool.ErrUnsupported) {
		t.Errorf("wake on LAN: %v", err)
	}

	if _, err := c.Driver("none"); !errors.Is(err, ethtool.ErrUnsupported) {
		t.Errorf("a link that does not exist: %v", err)
	}
}
