package apply

import (
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	kernelnetwork "github.com/basalt-os/basalt/internal/controllers/network"
	"github.com/basalt-os/basalt/internal/controllers/network/netnstest"
	"github.com/basalt-os/basalt/internal/reconcile/reconciletest"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/network"
)

func TestAlias(t *testing.T) {
	netnstest.Need(t)

	kernel := &counting{}
	l, a := links{kernel}, aliases{kernel}
	specs := pair("g0", "g1")

	t.Cleanup(func() { undo(t, l, specs) })
	settle(t, kernel, l.apply, specs...)

	// An alias names no link that is to have one.
	settle(t, kernel, a.apply, alias{"g0", "net0"}, alias{"net0", "net1"}, alias{"absent", "net2"})

	if l, err := netlink.LinkByAlias("net0"); err != nil || l.Attrs().Name != "g0" {
		t.Errorf("link %v has the alias, %v", l, err)
	}

	for _, test := range []struct {
		undone alias
		want   string
	}{{alias{"g0", "net9"}, "net0"}, {alias{"absent", "net0"}, "net0"}, {alias{"g0", "net0"}, ""}} {
		if err := a.undo(test.undone, nil); err != nil {
			t.Error(err)
		}

		if got := link(t, "g0").Attrs().Alias; got != test.want {
			t.Errorf("alias %q after %v is undone, want %q", got, test.undone, test.want)
		}
	}
}

// What is said of a link under two names holds together.
func TestTwoNames(t *testing.T) {
	netnstest.Need(t)

	kernel := &counting{}
	l, a, r := links{kernel}, aliases{kernel}, rules{kernel}
	specs := pair("h0", "h1")

	t.Cleanup(func() { undo(t, l, specs) })
	settle(t, kernel, l.apply, specs...)
	settle(t, kernel, a.apply, alias{"h0", "net0"})

	both := []network.LinkSpec{
		{Name: "h0", Up: true, MTU: 1300, ConfigLayer: network.ConfigLayerOperator},
		{Name: "net0", Up: true, MTU: 1400, ConfigLayer: network.ConfigLayerConfiguration},
	}
	settle(t, kernel, l.apply, both...)

	if got := link(t, "h0").Attrs().MTU; got != 1400 {
		t.Errorf("MTU %d, want that of the higher layer", got)
	}

	// Undone under one name, it stays as it is under the other.
	kernel.changes = nil

	if err := l.undo(both[0], both[1:]); err != nil || len(kernel.changes) > 0 {
		t.Errorf("changes %v, %v", kernel.changes, err)
	}

	rule := network.RoutingRuleSpec{Family: network.FamilyInet4, IIFName: "net0", Table: 100, Priority: 503, Action: network.RoutingRuleActionUnicast}
	settle(t, kernel, r.apply, rule)

	if found := rulesOf(t, 503); len(found) != 1 || found[0].IifName != "h0" {
		t.Errorf("rules %v", found)
	}

	if err := a.undo(alias{"h0", "net0"}, nil); err != nil {
		t.Error(err)
	}

	if err := r.undo(rule, nil); err != nil {
		t.Error(err)
	}

	if found := rulesOf(t, 503); len(found) > 0 {
		t.Errorf("rules left: %v", found)
	}
}

func rulesOf(t *testing.T, priority int) []netlink.Rule {
	t.Helper()

	all, err := Netlink{}.Rules()
	if err != nil {
		t.Fatal(err)
	}

	return slices.DeleteFunc(all, func(r netlink.Rule) bool { return r.Priority != priority })
}

// telling tells what is changed.
type telling struct {
	Netlink

	changes chan string
}

func (k telling) SetAlias(l netlink.Link, alias string) error {
	k.changes <- l.Attrs().Name + " is called " + alias

	return k.Netlink.SetAlias(l, alias)
}

func (k telling) AddAddress(l netlink.Link, a *netlink.Addr) error {
	k.changes <- l.Attrs().Name + " has " + a.IPNet.String()

	return k.Netlink.AddAddress(l, a)
}

func (k telling) DeleteAddress(l netlink.Link, a *netlink.Addr) error {
	k.changes <- l.Attrs().Name + " loses " + a.IPNet.String()

	return k.Netlink.DeleteAddress(l, a)
}

// What a link has under an alias goes with the alias: to the link that has it
// next, or altogether.
func TestAliasMoves(t *testing.T) {
	netnstest.Need(t)

	l, specs := links{&counting{}}, pair("i0", "i1")

	t.Cleanup(func() { undo(t, l, specs) })
	settle(t, &counting{}, l.apply, specs...)

	kernel := telling{changes: make(chan string, 100)}
	store := resource.NewStore()

	defer reconciletest.Run(t, store, Controllers(kernel, kernelnetwork.Netlink{}.Watch)...)()

	ctx := t.Context()

	for _, step := range []struct {
		change func() error
		want   []string
	}{
		{func() error {
			spec := network.AddressSpec{Address: prefix("10.7.0.2/24"), LinkName: "net0", Family: network.FamilyInet4}

			return store.Create(ctx, resource.New("net0/10.7.0.2/24", spec), "test")
		}, nil},
		{call(ctx, store, "i0"), []string{"i0 is called net0", "i0 has 10.7.0.2/24"}},
		{release[network.LinkAliasSpec](ctx, store, "i0"), []string{"i0 is called ", "i0 loses 10.7.0.2/24"}},
		{call(ctx, store, "i1"), []string{"i1 is called net0", "i1 has 10.7.0.2/24"}},
		{release[network.AddressSpec](ctx, store, "net0/10.7.0.2/24"), []string{"i1 loses 10.7.0.2/24"}},
	} {
		if err := step.change(); err != nil {
			t.Fatal(err)
		}

		var got []string
		for range step.want {
			got = append(got, <-kernel.changes)
		}

		if diff := cmp.Diff(step.want, got); diff != "" {
			t.Fatalf("changes (-want +got):\n%s", diff)
		}
	}
}

// call gives a link the alias net0.
func call(ctx context.Context, store *resource.Store, link string) func() error {
	return func() error {
		return store.Create(ctx, resource.New(link, network.LinkAliasSpec{Alias: "net0"}), "test")
	}
}

// release removes a resource once what was done about it is undone.
func release[T resource.Spec](ctx context.Context, store *resource.Store, id string) func() error {
	return func() error {
		if _, err := store.Teardown(ctx, resource.PointerOf[T](id), "test"); err != nil {
			return err
		}

		_, err := resource.WaitFor(ctx, store, id, func(r *resource.Resource[T]) bool { return len(r.Meta.Finalizers) == 0 })

		return err
	}
}
