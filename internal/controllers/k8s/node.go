package k8s

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/controllers/k8s/kubelet"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resources/k8s"
	"github.com/basalt-os/basalt/internal/resources/network"
	"github.com/basalt-os/basalt/pkg/machineconfig"
)

// Nodename decides the name of the Node object.
func Nodename(reader *configured.Reader) reconcile.Controller {
	return derive.One("k8s.NodenameController", k8s.NodenameID,
		[]reconcile.Input{configured.Input(), derive.In[network.HostnameStatus](network.HostnameID)},
		func(ctx context.Context, rt *reconcile.Runtime, _ k8s.Nodename) (k8s.Nodename, error) {
			cfg, err := reader.Read(ctx, rt)
			if err != nil {
				return k8s.Nodename{}, err
			}

			if cfg == nil {
				return derive.None[k8s.Nodename]()
			}

			host, err := derive.Need[network.HostnameStatus](ctx, rt, network.HostnameID)
			if err != nil {
				return k8s.Nodename{}, err
			}

			node := cfg.Machine().Node

			name, err := nodename(host.Spec, node.RegisterWithFQDN)
			if err != nil {
				return k8s.Nodename{}, err
			}

			return k8s.Nodename{
				Nodename: name, HostnameVersion: fmt.Sprint(host.Meta.Version), SkipNodeRegistration: node.SkipRegistration,
			}, nil
		})
}

// nodename makes a name that Kubernetes takes: lower case letters, digits,
// dashes and dots, with a letter or digit at both ends.
func nodename(host network.HostnameStatus, fqdn bool) (string, error) {
	name := host.Hostname
	if fqdn && host.Domainname != "" {
		name += "." + host.Domainname
	}

	clean := strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '.':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		case r == '_':
			return '-'
		default:
			return -1
		}
	}, name), "-.")

	if clean == "" {
		return "", fmt.Errorf("making a node name of the hostname %q: nothing is left of it", name)
	}

	return clean, nil
}

// NodeAddressFilters tell the network's controllers which addresses belong to
// pods and services.
func NodeAddressFilters(reader *configured.Reader) reconcile.Controller {
	return configured.All(reader, "k8s.AddressFilterController",
		func(cfg *machineconfig.Config) (map[string]network.NodeAddressFilter, error) {
			subnets := slices.Concat(cfg.Cluster().Network.PodSubnets, cfg.Cluster().Network.ServiceSubnets)

			return map[string]network.NodeAddressFilter{
				network.FilterNoKubernetesID:   {ExcludeSubnets: subnets},
				network.FilterOnlyKubernetesID: {IncludeSubnets: subnets},
			}, nil
		})
}

// NodeIPConfig says which of the node's addresses the kubelet may have: none
// of pods and services, and those that the configuration allows.
func NodeIPConfig(reader *configured.Reader) reconcile.Controller {
	return configured.One(reader, "k8s.NodeIPConfigController", k8s.KubeletID,
		func(cfg *machineconfig.Config) (k8s.NodeIPConfig, error) {
			spec := k8s.NodeIPConfig{ExcludeSubnets: []string{}}

			for _, subnet := range cfg.Machine().Node.ValidSubnets {
				if excluded, ok := strings.CutPrefix(subnet, "!"); ok {
					spec.ExcludeSubnets = append(spec.ExcludeSubnets, excluded)
				} else {
					spec.ValidSubnets = append(spec.ValidSubnets, subnet)
				}
			}

			if len(spec.ValidSubnets) == 0 {
				spec.ValidSubnets = families(cfg.Cluster().Network)
			}

			spec.ExcludeSubnets = append(spec.ExcludeSubnets, prefixes(cfg.Cluster().Network.PodSubnets)...)
			spec.ExcludeSubnets = append(spec.ExcludeSubnets, prefixes(cfg.Cluster().Network.ServiceSubnets)...)

			return spec, nil
		})
}

// families are the address families that both pods and services have.
func families(n machineconfig.KubeNetwork) []string {
	has := func(list []netip.Prefix, is4 bool) bool {
		return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Addr().Is4() == is4 })
	}

	var out []string

	if has(n.PodSubnets, true) && has(n.ServiceSubnets, true) {
		out = append(out, "0.0.0.0/0")
	}

	if has(n.PodSubnets, false) && has(n.ServiceSubnets, false) {
		out = append(out, "::/0")
	}

	return out
}

// NodeIP chooses the kubelet's addresses: one of each family.
func NodeIP() reconcile.Controller {
	return derive.One("k8s.NodeIPController", k8s.KubeletID,
		[]reconcile.Input{
			derive.In[k8s.NodeIPConfig](k8s.KubeletID),
			derive.In[network.NodeAddress](routedAddresses),
		},
		func(ctx context.Context, rt *reconcile.Runtime, _ k8s.NodeIP) (k8s.NodeIP, error) {
			config, err := derive.Need[k8s.NodeIPConfig](ctx, rt, k8s.KubeletID)
			if err != nil {
				return k8s.NodeIP{}, err
			}

			addresses, err := derive.Need[network.NodeAddress](ctx, rt, routedAddresses)
			if err != nil {
				return k8s.NodeIP{}, err
			}

			ips, err := FilterAddresses(addresses.Spec.Addresses, config.Spec.ValidSubnets, config.Spec.ExcludeSubnets)
			if err != nil {
				return k8s.NodeIP{}, err
			}

			chosen := onePerFamily(ips)
			if len(chosen) == 0 {
				return k8s.NodeIP{}, fmt.Errorf("choosing the kubelet's address: no address of %v is in %v without %v",
					addresses.Spec.Addresses, config.Spec.ValidSubnets, config.Spec.ExcludeSubnets)
			}

			return k8s.NodeIP{Addresses: chosen}, nil
		})
}

// routedAddresses are the node's addresses without those of pods and services.
const routedAddresses = network.NodeAddressRoutedID + "-" + network.FilterNoKubernetesID

// FilterAddresses keeps the addresses that are in a valid subnet, or all when
// none is given, and in no excluded one.
func FilterAddresses(addresses []netip.Prefix, valid, excluded []string) ([]netip.Addr, error) {
	parse := func(texts []string) ([]netip.Prefix, error) {
		var out []netip.Prefix

		for _, text := range texts {
			p, err := netip.ParsePrefix(text)
			if err != nil {
				return nil, fmt.Errorf("parsing subnet %q: %w", text, err)
			}

			out = append(out, p)
		}

		return out, nil
	}

	in, err := parse(valid)
	if err != nil {
		return nil, err
	}

	out, err := parse(excluded)
	if err != nil {
		return nil, err
	}

	within := func(subnets []netip.Prefix, a netip.Addr) bool {
		return slices.ContainsFunc(subnets, func(p netip.Prefix) bool { return p.Contains(a) })
	}

	var kept []netip.Addr

	for _, p := range addresses {
		if a := p.Addr(); (len(in) == 0 || within(in, a)) && !within(out, a) {
			kept = append(kept, a)
		}
	}

	return kept, nil
}

// onePerFamily keeps the first address of each family.
func onePerFamily(addresses []netip.Addr) []netip.Addr {
	var out []netip.Addr

	for _, a := range addresses {
		if !slices.ContainsFunc(out, func(b netip.Addr) bool { return a.Is4() == b.Is4() }) {
			out = append(out, a)
		}
	}

	return out
}

// NodeLabels takes the labels of the Node object from the configuration.
func NodeLabels(reader *configured.Reader) reconcile.Controller {
	return configured.All(reader, "k8s.NodeLabelSpecController",
		func(cfg *machineconfig.Config) (map[string]k8s.NodeLabelSpec, error) {
			labels := map[string]string{}
			maps.Copy(labels, cfg.Machine().Node.Labels)

			// The role is on every control plane, whatever form its
			// configuration has.
			if cfg.Machine().IsControlPlane() {
				labels[labelControlPlane] = ""
			}

			out := map[string]k8s.NodeLabelSpec{}
			for key, value := range labels {
				out[key] = k8s.NodeLabelSpec{Key: key, Value: value}
			}

			return out, nil
		})
}

const labelControlPlane = "node-role.kubernetes.io/control-plane"

// NodeAnnotations takes the annotations of the Node object from the
// configuration.
func NodeAnnotations(reader *configured.Reader) reconcile.Controller {
	return configured.All(reader, "k8s.NodeAnnotationSpecController",
		func(cfg *machineconfig.Config) (map[string]k8s.NodeAnnotationSpec, error) {
			out := map[string]k8s.NodeAnnotationSpec{}
			for key, value := range cfg.Machine().Node.Annotations {
				out[key] = k8s.NodeAnnotationSpec{Key: key, Value: value}
			}

			return out, nil
		})
}

// NodeTaints takes the taints of the Node object from the configuration.
func NodeTaints(reader *configured.Reader) reconcile.Controller {
	return configured.All(reader, "k8s.NodeTaintSpecController",
		func(cfg *machineconfig.Config) (map[string]k8s.NodeTaintSpec, error) {
			out := map[string]k8s.NodeTaintSpec{}

			for key, text := range cfg.Machine().Node.Taints {
				value, effect := kubelet.SplitTaint(text)
				out[key] = k8s.NodeTaintSpec{Key: key, Value: value, Effect: effect}
			}

			return out, nil
		})
}

// ConfiguredStaticPods takes static pods from the configuration.
func ConfiguredStaticPods(reader *configured.Reader) reconcile.Controller {
	return configured.All(reader, "k8s.ExtraStaticPodController",
		func(cfg *machineconfig.Config) (map[string]k8s.StaticPod, error) {
			out := map[string]k8s.StaticPod{}
			for _, doc := range cfg.Machine().StaticPods {
				out[doc.Name] = k8s.StaticPod{Pod: doc.Pod}
			}

			return out, nil
		})
}
