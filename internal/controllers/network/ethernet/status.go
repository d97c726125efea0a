package ethernet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/ethtool"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resources/network"
)

// Status shows the settings of the physical links.
func Status(kernel Kernel) reconcile.Controller {
	inputs := []reconcile.Input{reconcile.In[network.LinkStatus]()}

	return derive.Watched(derive.All("network.EthernetStatusController", inputs,
		func(ctx context.Context, rt *reconcile.Runtime) (map[string]network.EthernetStatus, error) {
			present, err := links(ctx, rt)
			if err != nil {
				return nil, err
			}

			return statuses(kernel, present)
		}), kernel.Watch)
}

func statuses(kernel Kernel, present map[string]network.LinkStatus) (out map[string]network.EthernetStatus, err error) {
	adapters, err := kernel.Open()

	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil // a kernel without such settings
	case err != nil:
		return nil, err
	}

	defer func() { err = errors.Join(err, adapters.Close()) }()

	out = map[string]network.EthernetStatus{}

	for name, link := range present {
		if !link.Physical() {
			continue
		}

		status, err := look(adapters, name)

		switch {
		case errors.Is(err, ethtool.ErrUnsupported): // or it has gone since
		case err != nil:
			return nil, fmt.Errorf("looking at adapter %s: %w", name, err)
		default:
			out[name] = status
		}
	}

	return out, nil
}

// look reads all that an adapter says of itself.
func look(adapters Adapters, link string) (network.EthernetStatus, error) {
	mode, err := adapters.Mode(link)
	if err != nil {
		return network.EthernetStatus{}, err
	}

	status := network.EthernetStatus{
		LinkState: &mode.Link, SpeedMegabits: mode.Speed, Port: network.Port(mode.Port), Duplex: network.Duplex(mode.Duplex),
		OurModes: mode.Ours, PeerModes: mode.Peer,
	}

	rings, err := optional(adapters.Rings(link))
	if err != nil {
		return status, err
	}

	status.Rings = ringsStatus(rings)

	channels, err := optional(adapters.Channels(link))
	if err != nil {
		return status, err
	}

	if channels != nil {
		status.Channels = new(network.EthernetChannelsStatus(*channels))
	}

	features, err := optional(adapters.Features(link))
	if err != nil {
		return status, err
	}

	if features != nil {
		status.Features = featureStatuses(*features)
	}

	wake, err := optional(adapters.WakeOnLAN(link))
	if err == nil && wake != nil {
		status.WakeOnLAN = modes(*wake)
	}

	return status, err
}

// optional is nothing where an adapter has none.
func optional[T any](value T, err error) (*T, error) {
	switch {
	case errors.Is(err, ethtool.ErrUnsupported):
		return nil, nil
	case err != nil:
		return nil, err
	}

	return &value, nil
}

func ringsStatus(r *ethtool.Rings) *network.EthernetRingsStatus {
	if r == nil {
		return nil
	}

	return &network.EthernetRingsStatus{
		RXMax: r.RXMax, RXMiniMax: r.RXMiniMax, RXJumboMax: r.RXJumboMax, TXMax: r.TXMax, TXPushBufLenMax: r.TXPushBufLenMax,
		RX: r.RX, RXMini: r.RXMini, RXJumbo: r.RXJumbo, TX: r.TX, RXBufLen: r.RXBufLen, CQESize: r.CQESize,
		TXPush: r.TXPush, RXPush: r.RXPush, TXPushBufLen: r.TXPushBufLen, TCPDataSplit: r.TCPDataSplit,
	}
}

func featureStatuses(features []ethtool.Feature) network.EthernetFeatureStatusList {
	text := map[bool]string{true: "on", false: "off"}
	out := make(network.EthernetFeatureStatusList, len(features))

	for i, f := range features {
		out[i] = network.EthernetFeatureStatus{Name: f.Name, Status: text[f.On]}

		switch {
		case f.Fixed:
			out[i].Status += " [fixed]"
		case f.On != f.Wanted:
			out[i].Status += " [requested " + text[f.Wanted] + "]"
		}
	}

	return out
}

// modes are the events of which each is a bit.
func modes(bits uint32) []network.WOLMode {
	var out []network.WOLMode

	for bit := uint32(1); bit != 0; bit <<= 1 {
		if bits&bit != 0 {
			out = append(out, network.WOLMode(bit))
		}
	}

	return out
}
