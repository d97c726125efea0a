package cluster

import (
	"cmp"
	"context"
	"net/netip"
	"slices"

	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/cluster"
	"github.com/basalt-os/basalt/internal/resources/config"
	"github.com/basalt-os/basalt/internal/resources/k8s"
	"github.com/basalt-os/basalt/internal/resources/machinetype"
	"github.com/basalt-os/basalt/internal/resources/network"
)

// ownAddresses are the node's addresses without those of pods and services.
const ownAddresses = network.NodeAddressRoutedID + "-" + network.FilterNoKubernetesID

// raw is the prefix of affiliates as one source tells of them.
const (
	rawLocal   = "local/"
	rawService = "service/"
)

// LocalAffiliate is what the node tells the others about itself.
func LocalAffiliate(reader *configured.Reader, operatingSystem string) reconcile.Controller {
	return derive.AllIn("cluster.LocalAffiliateController", cluster.RawNamespaceName,
		[]reconcile.Input{
			configured.Input(),
			derive.In[cluster.Identity](cluster.LocalIdentityID),
			derive.In[config.MachineType](config.MachineTypeID),
			derive.In[network.HostnameStatus](network.HostnameID),
			derive.In[network.NodeAddress](ownAddresses),
			derive.In[k8s.Nodename](k8s.NodenameID),
		},
		func(ctx context.Context, rt *reconcile.Runtime) (map[string]cluster.Affiliate, error) {
			cfg, err := reader.Read(ctx, rt)
			if err != nil || cfg == nil {
				return nil, err
			}

			identity, err := derive.Need[cluster.Identity](ctx, rt, cluster.LocalIdentityID)
			if err != nil {
				return nil, err
			}

			machine, err := derive.Need[config.MachineType](ctx, rt, config.MachineTypeID)
			if err != nil {
				return nil, err
			}

			host, err := derive.Need[network.HostnameStatus](ctx, rt, network.HostnameID)
			if err != nil {
				return nil, err
			}

			addresses, err := derive.Need[network.NodeAddress](ctx, rt, ownAddresses)
			if err != nil {
				return nil, err
			}

			nodename, err := derive.Need[k8s.Nodename](ctx, rt, k8s.NodenameID)
			if err != nil {
				return nil, err
			}

			spec := cluster.Affiliate{
				NodeID:          identity.Spec.NodeID,
				Hostname:        fullName(host.Spec),
				Nodename:        nodename.Spec.Nodename,
				MachineType:     machine.Spec.Type,
				OperatingSystem: operatingSystem,
			}

			for _, p := range addresses.Spec.Addresses {
				spec.Addresses = append(spec.Addresses, p.Addr())
			}

			if machine.Spec.Type.IsControlPlane() {
				spec.ControlPlane = &cluster.ControlPlane{APIServerPort: cfg.Cluster().APIServer.Port}
			}

			return map[string]cluster.Affiliate{rawLocal + spec.NodeID: spec}, nil
		})
}

func fullName(host network.HostnameStatus) string {
	if host.Domainname == "" {
		return host.Hostname
	}

	return host.Hostname + "." + host.Domainname
}

// Affiliates merges what all sources tell of each node.
func Affiliates() reconcile.Controller {
	return derive.All("cluster.AffiliateMergeController",
		[]reconcile.Input{reconcile.InIn[cluster.Affiliate](cluster.RawNamespaceName)},
		func(ctx context.Context, rt *reconcile.Runtime) (map[string]cluster.Affiliate, error) {
			raw, err := resource.ListIn[cluster.Affiliate](ctx, rt, cluster.RawNamespaceName)
			if err != nil {
				return nil, err
			}

			return mergeAffiliates(raw), nil
		})
}

// mergeAffiliates joins affiliates of the same node: the first that says
// something counts, and lists are joined. What the node says of itself is
// first.
func mergeAffiliates(raw []*resource.Resource[cluster.Affiliate]) map[string]cluster.Affiliate {
	out := map[string]cluster.Affiliate{}

	for _, r := range raw {
		next := r.Spec
		have, ok := out[next.NodeID]

		if ok {
			have.Hostname = cmp.Or(have.Hostname, next.Hostname)
			have.Nodename = cmp.Or(have.Nodename, next.Nodename)
			have.OperatingSystem = cmp.Or(have.OperatingSystem, next.OperatingSystem)
			have.MachineType = cmp.Or(have.MachineType, next.MachineType)
			have.ControlPlane = cmp.Or(have.ControlPlane, next.ControlPlane)
			have.Addresses = joined(have.Addresses, next.Addresses)
			next = have
		}

		out[next.NodeID] = next
	}

	return out
}

func joined(a, b []netip.Addr) []netip.Addr {
	out := slices.Clone(a)

	for _, address := range b {
		if !slices.Contains(out, address) {
			out = append(out, address)
		}
	}

	return out
}

// Members are the affiliates of which enough is known to work with them.
func Members() reconcile.Controller {
	return derive.All("cluster.MemberController", []reconcile.Input{reconcile.In[cluster.Affiliate]()},
		func(ctx context.Context, rt *reconcile.Runtime) (map[string]cluster.Member, error) {
			affiliates, err := resource.List[cluster.Affiliate](ctx, rt)
			if err != nil {
				return nil, err
			}

			return members(affiliates), nil
		})
}

func members(affiliates []*resource.Resource[cluster.Affiliate]) map[string]cluster.Member {
	out := map[string]cluster.Member{}

	for _, r := range affiliates {
		a := r.Spec
		if a.Nodename == "" || a.MachineType == machinetype.Unknown || len(a.Addresses) == 0 {
			continue
		}

		out[a.Nodename] = cluster.Member{
			NodeID: a.NodeID, Addresses: a.Addresses, Hostname: a.Hostname,
			MachineType: a.MachineType, OperatingSystem: a.OperatingSystem, ControlPlane: a.ControlPlane,
		}
	}

	return out
}

// Endpoints are the addresses of the control planes that discovery knows.
func Endpoints() reconcile.Controller {
	return derive.One("cluster.EndpointController", k8s.ControlPlaneDiscoveredEndpointsID,
		[]reconcile.Input{reconcile.In[cluster.Member]()},
		func(ctx context.Context, rt *reconcile.Runtime, _ k8s.Endpoint) (k8s.Endpoint, error) {
			list, err := resource.List[cluster.Member](ctx, rt)
			if err != nil {
				return k8s.Endpoint{}, err
			}

			var spec k8s.Endpoint

			for _, m := range list {
				if m.Spec.MachineType.IsControlPlane() {
					spec.Addresses = joined(spec.Addresses, m.Spec.Addresses)
				}
			}

			if len(spec.Addresses) == 0 {
				return derive.None[k8s.Endpoint]()
			}

			slices.SortFunc(spec.Addresses, netip.Addr.Compare)

			return spec, nil
		})
}
