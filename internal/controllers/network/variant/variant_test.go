package variant

import (
	"context"
	"log/slog"
	"slices"
	"testing"

	"github.com/basalt-os/basalt/internal/controllers/configured"
	commonnetwork "github.com/basalt-os/basalt/internal/controllers/network"
	"github.com/basalt-os/basalt/internal/controllers/network/alias"
	"github.com/basalt-os/basalt/internal/controllers/network/apply"
	"github.com/basalt-os/basalt/internal/controllers/network/cmdline"
	"github.com/basalt-os/basalt/internal/controllers/network/ethernet"
	"github.com/basalt-os/basalt/internal/controllers/network/layer"
	"github.com/basalt-os/basalt/internal/controllers/network/platform"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/reconcile/reconciletest"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/config"
	"github.com/basalt-os/basalt/internal/resources/network"
)

func TestDefaults(t *testing.T) {
	t.Parallel()

	ether := network.LinkStatus{Type: network.LinkTypeEther}
	bridge, aliased := ether, ether
	bridge.Kind, aliased.Alias = "bridge", "net0"

	got := defaults(map[string]network.LinkStatus{
		"lo": {Type: network.LinkTypeLoopback}, "eth0": ether, "eth1": ether, "eth2": aliased, "br0": bridge,
	}, []string{"eth1", "net0"})

	if len(got.Operators) != 1 || got.Operators[0].LinkName != "eth0" {
		t.Errorf("operators %+v", got.Operators)
	}

	if len(got.Links) != 2 || got.Links[0].Name != "lo" {
		t.Errorf("links %+v", got.Links)
	}
}

// The layers come together: the command line takes a link from the defaults.
func TestLayers(t *testing.T) {
	t.Parallel()

	settings, err := cmdline.Parse("ip=10.5.0.2::10.5.0.1:24::eth1:none talos.network.interface.ignore=eth2")
	if err != nil {
		t.Fatal(err)
	}

	store := resource.NewStore()

	defer reconciletest.Run(t, store, slices.Concat([]reconcile.Controller{Defaults(settings.Ignored), Cmdline(settings)}, layer.Merges())...)()

	ctx := t.Context()

	for _, name := range []string{"eth0", "eth1", "eth2"} {
		if err := store.Create(ctx, resource.New(name, network.LinkStatus{Type: network.LinkTypeEther}), "test"); err != nil {
			t.Fatal(err)
		}
	}

	for id, want := range map[string]bool{"dhcp4/eth0": true, "dhcp4/eth1": false, "dhcp4/eth2": false} {
		_, err := resource.WaitFor(ctx, store, id, func(r *resource.Resource[network.OperatorSpec]) bool { return (r != nil) == want })
		if err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}

	for _, id := range []string{"lo/127.0.0.1/8", "eth1/10.5.0.2/24"} {
		if _, err := resource.WaitFor(ctx, store, id, func(r *resource.Resource[network.AddressSpec]) bool { return r != nil }); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
}

// A link that is configured by its alias is not configured by default, once it
// has the alias.
func TestAlias(t *testing.T) {
	t.Parallel()

	store := resource.NewStore()
	reader := &configured.Reader{}

	defer reconciletest.Run(t, store, slices.Concat([]reconcile.Controller{Defaults(nil), Documents(reader), alias.Config(reader)}, layer.Merges())...)()

	ctx := t.Context()

	text := `version: v1alpha1
machine:
  type: worker
  network:
    interfaces:
      - {deviceSelector: {hardwareAddr: "02:00:00:00:00:0A"}, addresses: [10.5.0.2/24]}
      - {interface: bond0, bond: {deviceSelectors: [{driver: mlx*}], mode: active-backup}}
cluster: {}
`
	link := resource.New("eth0", network.LinkStatus{Type: network.LinkTypeEther, HardwareAddr: network.MAC{2, 0, 0, 0, 0, 10}})
	one := resource.New("eth1", network.LinkStatus{Type: network.LinkTypeEther, Driver: "mlx5_core"})
	two := resource.New("eth2", network.LinkStatus{Type: network.LinkTypeEther, Driver: "mlx5_core"})

	for _, object := range []resource.Object{link, one, two, resource.New(config.ActiveID, config.MachineConfig{Text: text})} {
		if err := store.Create(ctx, object, "test"); err != nil {
			t.Fatal(err)
		}
	}

	await(ctx, t, store, "eth0", func(r *resource.Resource[network.LinkAliasSpec]) bool { return r != nil && r.Spec.Alias == "selected0" })
	await(ctx, t, store, "selected0/10.5.0.2/24", func(r *resource.Resource[network.AddressSpec]) bool { return r != nil })
	await(ctx, t, store, "dhcp4/eth0", func(r *resource.Resource[network.OperatorSpec]) bool { return r != nil })

	for _, id := range []string{"bond0member0n0", "bond0member0n1"} {
		await(ctx, t, store, id, func(r *resource.Resource[network.LinkSpec]) bool {
			return r != nil && r.Spec.BondSlave.MasterName == "bond0"
		})
	}

	link = link.Copy()
	link.Spec.Alias = "selected0"

	if err := store.Update(ctx, link, "test"); err != nil {
		t.Fatal(err)
	}

	await(ctx, t, store, "dhcp4/eth0", func(r *resource.Resource[network.OperatorSpec]) bool { return r == nil })
	await(ctx, t, store, "eth0", func(r *resource.Resource[network.LinkSpec]) bool { return r == nil })
}

func await[T resource.Spec](ctx context.Context, t *testing.T, store *resource.Store, id string, ok func(*resource.Resource[T]) bool) {
	t.Helper()

	if _, err := resource.WaitFor(ctx, store, id, ok); err != nil {
		t.Fatalf("waiting for %s: %v", id, err)
	}
}

// All controllers fit together: names are unique, and nobody writes what is
// another's.
func TestRegister(t *testing.T) {
	t.Parallel()

	common := node(slog.New(slog.DiscardHandler))

	for kind, controllers := range map[string][]reconcile.Controller{
		"container": Container(common),
		"machine":   Machine(Dependencies{Dependencies: common, Apply: apply.Netlink{}, Ethernet: ethernet.Ethtool{}, PlatformCache: platform.File{}}),
	} {
		engine := reconcile.NewEngine(resource.NewStore(), slog.New(slog.DiscardHandler))

		for _, c := range controllers {
			if err := engine.Register(c); err != nil {
				t.Errorf("%s: %v", kind, err)
			}
		}
	}
}

func node(logger *slog.Logger) commonnetwork.Dependencies {
	return commonnetwork.Dependencies{
		Config: &configured.Reader{}, Kernel: commonnetwork.Netlink{}, Hostname: &name{}, Logger: logger,
	}
}

// name is the name of a host.
type name struct{ now string }

func (n *name) Hostname() (string, error)       { return n.now, nil }
func (n *name) SetHostname(wanted string) error { n.now = wanted; return nil }

func TestDefaultNames(t *testing.T) {
	t.Parallel()

	got := defaultNames("x")
	if len(got.Hostnames) != 1 || got.Hostnames[0].Hostname != "talos-2d7-116" || len(got.Resolvers[0].DNSServers) != 2 ||
		got.TimeServers[0].NTPServers[0] != "time.cloudflare.com" {
		t.Errorf("names %+v", got)
	}

	if got := defaultNames(""); len(got.Hostnames) != 0 {
		t.Errorf("without an identity, the hostname is %+v", got.Hostnames)
	}
}
