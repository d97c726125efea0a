package network

import (
	"context"
	"strconv"

	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/files"
	"github.com/basalt-os/basalt/internal/resources/network"
)

// Status tells which parts of the network are ready; services wait for it.
func Status() reconcile.Controller {
	return derive.One("network.StatusController", network.StatusID,
		[]reconcile.Input{
			reconcile.In[network.NodeAddress]().WithID(network.NodeAddressCurrentID),
			reconcile.In[network.RouteStatus](),
			reconcile.In[network.ProbeStatus](),
			reconcile.In[network.HostnameStatus]().WithID(network.HostnameID),
			reconcile.In[files.EtcFileSpec](),
			reconcile.In[files.EtcFileStatus](),
		},
		func(ctx context.Context, rt *reconcile.Runtime, _ network.Status) (network.Status, error) {
			address, err := derive.Find[network.NodeAddress](ctx, rt, network.NodeAddressCurrentID)
			if err != nil {
				return network.Status{}, err
			}

			routes, err := resource.List[network.RouteStatus](ctx, rt)
			if err != nil {
				return network.Status{}, err
			}

			probes, err := resource.List[network.ProbeStatus](ctx, rt)
			if err != nil {
				return network.Status{}, err
			}

			host, err := derive.Find[network.HostnameStatus](ctx, rt, network.HostnameID)
			if err != nil {
				return network.Status{}, err
			}

			ready, err := rendered(ctx, rt)
			if err != nil {
				return network.Status{}, err
			}

			return network.Status{
				AddressReady:      address != nil && len(address.Spec.Addresses) > 0,
				ConnectivityReady: connected(routes, probes),
				HostnameReady:     host != nil,
				EtcFilesReady:     ready,
			}, nil
		})
}

// connected reports whether the world can be reached: all probes succeed, or,
// where none is configured, there is a default route.
func connected(routes []*resource.Resource[network.RouteStatus], probes []*resource.Resource[network.ProbeStatus]) bool {
	for _, p := range probes {
		if !p.Spec.Success {
			return false
		}
	}

	if len(probes) > 0 {
		return true
	}

	for _, r := range routes {
		hasHop := r.Spec.Gateway.IsValid() || len(r.Spec.NextHops) > 0
		if !r.Spec.Destination.IsValid() && hasHop && r.Spec.Table == network.RoutingTableMain {
			return true
		}
	}

	return false
}

// rendered reports whether every file that is specified is on disk, those that
// programs need to use the network among them.
func rendered(ctx context.Context, rt *reconcile.Runtime) (bool, error) {
	specs, err := resource.List[files.EtcFileSpec](ctx, rt)
	if err != nil {
		return false, err
	}

	missing := map[string]bool{"hosts": true, "resolv.conf": true}

	for _, s := range specs {
		delete(missing, s.Meta.ID)

		status, err := derive.Find[files.EtcFileStatus](ctx, rt, s.Meta.ID)
		if err != nil {
			return false, err
		}

		if status == nil || status.Spec.SpecVersion != strconv.FormatUint(s.Meta.Version, 10) {
			return false, nil
		}
	}

	return len(missing) == 0, nil
}
