package ethernet

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/controllers/network/netnstest"
	"github.com/basalt-os/basalt/internal/reconcile/reconciletest"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/config"
	"github.com/basalt-os/basalt/internal/resources/network"
)

func TestMain(m *testing.M) { os.Exit(netnstest.Main(m)) }

// The controllers bring a document to the kernel, by the alias of a link, and
// show what came of it. A pair of links has features and channels.
func TestControllers(t *testing.T) {
	netnstest.Need(t)

	if adapters, err := (Ethtool{}).Open(); errors.Is(err, fs.ErrNotExist) {
		t.Skip("the kernel has no ethtool family: ", err)
	} else if err != nil {
		t.Fatal(err)
	} else if err := adapters.Close(); err != nil {
		t.Fatal(err)
	}

	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.NumTxQueues, attrs.NumRxQueues = "ve0", 4, 4
	link := netlink.NewVeth(attrs)
	link.PeerName = "ve1"

	if err := netlink.LinkAdd(link); err != nil {
		t.Fatal(err)
	}

	defer func() {
		if err := netlink.LinkDel(link); err != nil {
			t.Error(err)
		}
	}()

	store := resource.NewStore()

	defer reconciletest.Run(t, store, Controllers(&configured.Reader{}, Ethtool{}, slog.New(slog.DiscardHandler))...)()

	ctx := t.Context()

	const (
		feature = "tx-tcp-segmentation"
		text    = "apiVersion: v1alpha1\nkind: EthernetConfig\nname: net0\nfeatures: {" + feature + ": false}\nchannels: {rx: 3}\n"
	)

	status := resource.New("ve0", network.LinkStatus{Type: network.LinkTypeEther})
	if err := store.Create(ctx, status, "test"); err != nil {
		t.Fatal(err)
	}

	await(ctx, t, store, feature, "on", 0)

	if err := store.Create(ctx, resource.New(config.ActiveID, config.MachineConfig{Text: text}), "test"); err != nil {
		t.Fatal(err)
	}

	status = status.Copy()
	status.Spec.Alias = "net0"

	if err := store.Update(ctx, status, "test"); err != nil {
		t.Fatal(err)
	}

	await(ctx, t, store, feature, "off", 3)
}

// await waits for the state of a feature, and for a number of queues that is not
// zero.
func await(ctx context.Context, t *testing.T, store *resource.Store, feature, state string, queues uint32) {
	t.Helper()

	_, err := resource.WaitFor(ctx, store, "ve0", func(r *resource.Resource[network.EthernetStatus]) bool {
		return r != nil && r.Spec.Channels != nil && r.Spec.Channels.RX != nil && (queues == 0 || *r.Spec.Channels.RX == queues) &&
			slices.Contains(r.Spec.Features, network.EthernetFeatureStatus{Name: feature, Status: state})
	})
	if err != nil {
		t.Fatal(err)
	}
}
