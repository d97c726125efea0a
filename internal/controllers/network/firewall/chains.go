// Package firewall has the packet filter of a node: the chains that follow from
// the configuration's rules on incoming traffic, and what brings chains to the
// kernel, into a table of their own.
package firewall

import (
	"context"
	"net/netip"
	"slices"

	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resources/network"
	"github.com/basalt-os/basalt/pkg/machineconfig"
	"github.com/basalt-os/basalt/pkg/machineconfig/document"
)

// Names of the chains.
const (
	ingressChain    = "ingress"
	preroutingChain = "prerouting"
)

// Priorities of the chains: ingress comes after packets were marked, and
// prerouting just before destinations are translated.
const (
	ingressPriority    network.NfTablesChainPriority = -150 + 10
	preroutingPriority network.NfTablesChainPriority = -100 - 10
)

// icmpRate is how many ICMP packets a second get in where the default is to
// block.
const icmpRate = 5

// dhcp6Client is the port of DHCP clients for IPv6. Answers come from an
// address that the client did not send to.
const dhcp6Client = 546

// neighborDiscovery are the types of ICMP for IPv6 without which a link does not
// work: solicitations and advertisements of routers and neighbors.
var neighborDiscovery = []network.ICMPType{133, 134, 135, 136}

// Chains are the chains that follow from the configuration.
func Chains(reader *configured.Reader) reconcile.Controller {
	return derive.All("network.NfTablesChainConfigController",
		[]reconcile.Input{
			configured.Input(), derive.In[network.NodeAddress](network.NodeAddressCurrentID),
			derive.In[network.HostDNSConfig](network.HostDNSConfigID),
		},
		func(ctx context.Context, rt *reconcile.Runtime) (map[string]network.NfTablesChain, error) {
			cfg, err := reader.Read(ctx, rt)
			if err != nil || cfg == nil {
				return nil, err
			}

			addresses, err := derive.Find[network.NodeAddress](ctx, rt, network.NodeAddressCurrentID)
			if err != nil {
				return nil, err
			}

			dns, err := derive.Find[network.HostDNSConfig](ctx, rt, network.HostDNSConfigID)
			if err != nil {
				return nil, err
			}

			var own []netip.Prefix

			if addresses != nil {
				for _, a := range addresses.Spec.Addresses {
					own = append(own, netip.PrefixFrom(a.Addr(), a.Addr().BitLen()))
				}
			}

			var resolver []netip.Prefix
			if dns != nil && dns.Spec.ServiceHostDNSAddress.IsValid() {
				resolver = append(resolver, netip.PrefixFrom(dns.Spec.ServiceHostDNSAddress, dns.Spec.ServiceHostDNSAddress.BitLen()))
			}

			return chains(cfg, own, resolver)
		})
}

// chains are the chains of a configuration, for a node with the given addresses
// and the address at which pods ask it for names. There are none without a
// document about them.
func chains(cfg *machineconfig.Config, own, resolver []netip.Prefix) (map[string]network.NfTablesChain, error) {
	action := machineconfig.Find[document.NetworkDefaultActionConfig](cfg)
	docs := machineconfig.All[document.NetworkRuleConfig](cfg)

	if action == nil && len(docs) == 0 {
		return nil, nil
	}

	block := action != nil && action.Ingress == "block"

	configured, err := rules(docs, block)
	if err != nil {
		return nil, err
	}

	ingress := network.NfTablesChain{
		Type: "filter", Hook: network.NfTablesChainHookInput, Priority: ingressPriority, Policy: network.NfTablesVerdictAccept,
		Rules: always(),
	}

	if block {
		ingress.Policy = network.NfTablesVerdictDrop
		ingress.Rules = append(ingress.Rules, allowed(cfg, resolver)...)
	}

	ingress.Rules = append(ingress.Rules, configured...)
	out := map[string]network.NfTablesChain{ingressChain: ingress}

	if len(own) > 0 {
		out[preroutingChain] = prerouting(cfg, own, configured, block)
	}

	return out, nil
}

// prerouting is the chain for what goes to ports of the node and is sent on to
// pods: it never comes to the other chain. What goes to other addresses is not
// the node's.
func prerouting(cfg *machineconfig.Config, own []netip.Prefix, configured []network.NfTablesRule, block bool) network.NfTablesChain {
	chain := network.NfTablesChain{
		Type: "filter", Hook: network.NfTablesChainHookPrerouting, Priority: preroutingPriority, Policy: network.NfTablesVerdictAccept,
		Rules: []network.NfTablesRule{{
			MatchDestinationAddress: &network.NfTablesAddressMatch{IncludeSubnets: own, Invert: true}, Verdict: accept(),
		}},
	}

	chain.Rules = append(chain.Rules, always()...)

	if block {
		chain.Rules = append(chain.Rules, dhcp6())
		chain.Rules = append(chain.Rules, trusted(cfg)...)
	}

	chain.Rules = append(chain.Rules, configured...)

	if block {
		for _, p := range []network.Protocol{network.ProtocolTCP, network.ProtocolUDP} {
			chain.Rules = append(chain.Rules, network.NfTablesRule{
				MatchLayer4: &network.NfTablesLayer4Match{Protocol: p}, AnonCounter: true, Verdict: drop(),
			})
		}
	}

	return chain
}

func accept() *network.NfTablesVerdict { return new(network.NfTablesVerdictAccept) }
func drop() *network.NfTablesVerdict   { return new(network.NfTablesVerdictDrop) }

// always are the rules that every chain begins with.
func always() []network.NfTablesRule {
	return []network.NfTablesRule{
		{
			MatchIIfName: &network.NfTablesIfNameMatch{InterfaceNames: []string{"lo", "siderolink", "kubespan"}},
			AnonCounter:  true, Verdict: accept(),
		},
		{
			MatchConntrackState: &network.NfTablesConntrackStateMatch{
				States: []network.ConntrackState{network.ConntrackStateEstablished, network.ConntrackStateRelated},
			},
			AnonCounter: true, Verdict: accept(),
		},
		{
			MatchConntrackState: &network.NfTablesConntrackStateMatch{States: []network.ConntrackState{network.ConntrackStateInvalid}},
			AnonCounter:         true, Verdict: drop(),
		},
	}
}

// trusted is what the cluster's own networks send.
func trusted(cfg *machineconfig.Config) []network.NfTablesRule {
	cluster := cfg.Cluster().Network

	var out []network.NfTablesRule

	if subnets := slices.Concat(cluster.PodSubnets, cluster.ServiceSubnets); len(subnets) > 0 {
		out = append(out, network.NfTablesRule{
			MatchSourceAddress: &network.NfTablesAddressMatch{IncludeSubnets: subnets}, AnonCounter: true, Verdict: accept(),
		})
	}

	return out
}

// allowed is what gets in though the default is to block.
func allowed(cfg *machineconfig.Config, resolver []netip.Prefix) []network.NfTablesRule {
	out := []network.NfTablesRule{
		{
			MatchLayer4: &network.NfTablesLayer4Match{
				Protocol: network.ProtocolICMPv6, MatchICMPType: &network.NfTablesICMPTypeMatch{Types: neighborDiscovery},
			},
			AnonCounter: true, Verdict: accept(),
		},
		dhcp6(),
	}

	for _, p := range []network.Protocol{network.ProtocolICMP, network.ProtocolICMPv6} {
		out = append(out, network.NfTablesRule{
			MatchLayer4: &network.NfTablesLayer4Match{Protocol: p},
			MatchLimit:  &network.NfTablesLimitMatch{PacketRatePerSecond: icmpRate},
			AnonCounter: true, Verdict: accept(),
		})
	}

	out = append(out, trusted(cfg)...)

	if len(resolver) > 0 {
		for _, p := range []network.Protocol{network.ProtocolTCP, network.ProtocolUDP} {
			out = append(out, network.NfTablesRule{
				MatchDestinationAddress: &network.NfTablesAddressMatch{IncludeSubnets: resolver},
				MatchLayer4:             &network.NfTablesLayer4Match{Protocol: p, MatchDestinationPort: ports(53, 53)},
				AnonCounter:             true, Verdict: accept(),
			})
		}
	}

	return out
}

func dhcp6() network.NfTablesRule {
	return network.NfTablesRule{
		MatchSourceAddress: &network.NfTablesAddressMatch{IncludeSubnets: []netip.Prefix{netip.MustParsePrefix("fe80::/10")}},
		MatchLayer4:        &network.NfTablesLayer4Match{Protocol: network.ProtocolUDP, MatchDestinationPort: ports(dhcp6Client, dhcp6Client)},
		AnonCounter:        true, Verdict: accept(),
	}
}

func ports(low, high uint16) *network.NfTablesPortMatch {
	return &network.NfTablesPortMatch{Ranges: []network.PortRange{{Lo: low, Hi: high}}}
}

// rules are those of the configuration. Where the default is to block they say
// what gets in; else they say who is alone let in.
func rules(docs []*document.NetworkRuleConfig, block bool) ([]network.NfTablesRule, error) {
	var out []network.NfTablesRule

	for _, doc := range docs {
		match := &network.NfTablesLayer4Match{Protocol: network.ProtocolTCP}
		if doc.PortSelector.Protocol != "" {
			if err := match.Protocol.UnmarshalText([]byte(doc.PortSelector.Protocol)); err != nil {
				return nil, err
			}
		}

		if len(doc.PortSelector.Ports) > 0 {
			match.MatchDestinationPort = &network.NfTablesPortMatch{}

			for _, p := range doc.PortSelector.Ports {
				match.MatchDestinationPort.Ranges = append(match.MatchDestinationPort.Ranges, network.PortRange{Lo: p.Low, Hi: p.High})
			}
		}

		from := &network.NfTablesAddressMatch{Invert: !block}

		for _, rule := range doc.Ingress {
			from.IncludeSubnets = append(from.IncludeSubnets, rule.Subnet)

			if rule.Except.IsValid() {
				from.ExcludeSubnets = append(from.ExcludeSubnets, rule.Except)
			}
		}

		verdict := drop()
		if block {
			verdict = accept()
		}

		out = append(out, network.NfTablesRule{MatchSourceAddress: from, MatchLayer4: match, AnonCounter: true, Verdict: verdict})
	}

	return out, nil
}
