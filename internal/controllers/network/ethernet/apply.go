package ethernet

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"reflect"
	"slices"

	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/ethtool"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/network"
)

// Spec brings specs to the adapters of the links that they name, by their own
// names or by aliases. It changes only what differs. A link that is not there
// may come.
func Spec(kernel Kernel, logger *slog.Logger) reconcile.Controller {
	a := &applier{kernel: kernel, logger: logger}
	inputs := []reconcile.Input{reconcile.In[network.EthernetSpec](), reconcile.In[network.LinkStatus]()}

	return derive.Watched(derive.Act("network.EthernetSpecController", inputs, nil,
		func(ctx context.Context, rt *reconcile.Runtime) error {
			found, err := resource.List[network.EthernetSpec](ctx, rt)
			if err != nil {
				return err
			}

			present, err := links(ctx, rt)
			if err != nil {
				return err
			}

			specs := map[string]network.EthernetSpec{}

			for _, r := range found {
				if own, ok := network.LinkNamed(present, r.Meta.ID); ok && r.Meta.Phase == resource.Running {
					specs[own] = r.Copy().Spec
				}
			}

			return a.apply(specs)
		}), kernel.Watch)
}

// applier changes adapters.
type applier struct {
	kernel Kernel
	logger *slog.Logger
	// settled is what adapters made of what was wanted of them, where that is
	// something else: a ring of 1000 can have become one of 1024. To set it
	// again would change nothing, and call the controller again.
	settled map[place]outcome
}

// place is a kind of settings of a link.
type place struct{ link, kind string }

type outcome struct{ wanted, have any }

// apply changes the adapters of links, by their own names.
func (a *applier) apply(specs map[string]network.EthernetSpec) (err error) {
	maps.DeleteFunc(a.settled, func(p place, _ outcome) bool {
		_, ok := specs[p.link]

		return !ok
	})

	if len(specs) == 0 {
		return nil
	}

	adapters, err := a.kernel.Open()
	if err != nil {
		return err
	}

	defer func() { err = errors.Join(err, adapters.Close()) }()

	var errs []error

	for _, link := range slices.Sorted(maps.Keys(specs)) {
		spec := specs[link]
		rings, channels := ringsOf(spec.Rings), ethtool.Channels{
			RX: spec.Channels.RX, TX: spec.Channels.TX, Other: spec.Channels.Other, Combined: spec.Channels.Combined,
		}

		errs = append(errs,
			change(a, place{link, "rings"}, rings, adapters.Rings, missingRings, adapters.SetRings),
			change(a, place{link, "channels"}, channels, adapters.Channels, missingChannels, adapters.SetChannels),
			change(a, place{link, "features"}, spec.Features, adapters.Features, missingFeatures, adapters.SetFeatures),
			change(a, place{link, "wake on LAN"}, bits(spec.WakeOnLAN), adapters.WakeOnLAN, missingModes, adapters.SetWakeOnLAN))
	}

	return errors.Join(errs...)
}

// change sees to it that an adapter has the settings of one kind. Missing tells
// what of the wanted ones it does not have; the zero value is nothing.
func change[W, H any](
	a *applier, at place, wanted W, read func(string) (H, error), missing func(wanted W, have H) W, write func(string, W) error,
) error {
	nothing := func(w W) bool { return reflect.ValueOf(&w).Elem().IsZero() }
	if nothing(wanted) {
		delete(a.settled, at)

		return nil
	}

	have, err := read(at.link)
	if err != nil {
		return err
	}

	differs := missing(wanted, have)
	if nothing(differs) || reflect.DeepEqual(a.settled[at], outcome{wanted, have}) {
		return nil
	}

	if err := write(at.link, differs); err != nil {
		return err
	}

	a.logger.Info("changed an adapter", "link", at.link, "settings", at.kind)

	if have, err = read(at.link); err != nil {
		return err
	}

	delete(a.settled, at)

	if !nothing(missing(wanted, have)) {
		a.logger.Warn("an adapter has other settings than it was given", "link", at.link, "settings", at.kind)

		if a.settled == nil {
			a.settled = map[place]outcome{}
		}

		a.settled[at] = outcome{wanted, have}
	}

	return nil
}

func ringsOf(s network.EthernetRingsSpec) ethtool.Rings {
	return ethtool.Rings{
		RX: s.RX, RXMini: s.RXMini, RXJumbo: s.RXJumbo, TX: s.TX, RXBufLen: s.RXBufLen, CQESize: s.CQESize,
		TXPushBufLen: s.TXPushBufLen, TXPush: s.TXPush, RXPush: s.RXPush, TCPDataSplit: s.TCPDataSplit,
	}
}

// other is what is wanted, unless it is what there is.
func other[T comparable](wanted, have *T) *T {
	if wanted != nil && have != nil && *wanted == *have {
		return nil
	}

	return wanted
}

func missingRings(wanted, have ethtool.Rings) ethtool.Rings {
	return ethtool.Rings{
		RX: other(wanted.RX, have.RX), RXMini: other(wanted.RXMini, have.RXMini), RXJumbo: other(wanted.RXJumbo, have.RXJumbo),
		TX: other(wanted.TX, have.TX), RXBufLen: other(wanted.RXBufLen, have.RXBufLen), CQESize: other(wanted.CQESize, have.CQESize),
		TXPushBufLen: other(wanted.TXPushBufLen, have.TXPushBufLen), TXPush: other(wanted.TXPush, have.TXPush),
		RXPush: other(wanted.RXPush, have.RXPush), TCPDataSplit: other(wanted.TCPDataSplit, have.TCPDataSplit),
	}
}

func missingChannels(wanted, have ethtool.Channels) ethtool.Channels {
	return ethtool.Channels{
		RX: other(wanted.RX, have.RX), TX: other(wanted.TX, have.TX),
		Other: other(wanted.Other, have.Other), Combined: other(wanted.Combined, have.Combined),
	}
}

// missingFeatures has features that the adapter does not know too: the kernel
// tells of them.
func missingFeatures(wanted map[string]bool, have []ethtool.Feature) map[string]bool {
	var out map[string]bool

	for name, on := range wanted {
		i := slices.IndexFunc(have, func(f ethtool.Feature) bool { return f.Name == name })
		if i >= 0 && have[i].On == on {
			continue
		}

		if out == nil {
			out = map[string]bool{}
		}

		out[name] = on
	}

	return out
}

// missingModes are all of them where one differs: they are set together.
func missingModes(wanted, have uint32) uint32 {
	if wanted == have {
		return 0
	}

	return wanted
}

// bits are events of which each is a bit.
func bits(modes []network.WOLMode) uint32 {
	var out uint32
	for _, m := range modes {
		out |= uint32(m)
	}

	return out
}
