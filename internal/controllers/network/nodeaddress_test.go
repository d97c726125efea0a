package network

import (
	"maps"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/network"
)

var comparePrefix = cmpopts.EquateComparable(netip.Prefix{}, netip.Addr{}, netip.AddrPort{})

func prefixes(texts ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, text := range texts {
		out = append(out, netip.MustParsePrefix(text))
	}

	return out
}

func TestCurrentAddresses(t *testing.T) {
	t.Parallel()

	var statuses []*resource.Resource[network.AddressStatus]

	for _, a := range []network.AddressStatus{
		{LinkName: "eth0", Address: netip.MustParsePrefix("10.5.0.2/24")},
		{LinkName: "eth0", Address: netip.MustParsePrefix("fe80::1/64"), Scope: network.ScopeLink},
		{LinkName: "lo", Address: netip.MustParsePrefix("127.0.0.1/8"), Scope: network.ScopeHost},
		{LinkName: "lo", Address: netip.MustParsePrefix("169.254.116.108/32")},
		{LinkName: "eth1", Address: netip.MustParsePrefix("10.6.0.2/24")},
		{LinkName: "eth0", Address: netip.MustParsePrefix("2001:db8::2/64")},
		{LinkName: "eth0", Address: netip.MustParsePrefix("2001:db8::3/64"), Flags: network.AddressFlagDeprecated},
	} {
		statuses = append(statuses, resource.New(a.LinkName+"/"+a.Address.String(), a))
	}

	got := currentAddresses(statuses, map[string]bool{"eth0": true, "lo": true}, network.AddressSortAlgorithmV1)
	if diff := cmp.Diff(prefixes("10.5.0.2/24", "2001:db8::2/64"), got, comparePrefix); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
}

func TestAddressSets(t *testing.T) {
	t.Parallel()

	first := addressSets(prefixes("10.5.0.5/24"), prefixes("10.5.0.5/24"), nil, network.AddressSortAlgorithmV1)
	second := addressSets(prefixes("10.5.0.2/24", "10.5.0.5/24"), prefixes("10.5.0.2/24", "10.5.0.5/24"), first, network.AddressSortAlgorithmV1)
	third := addressSets(prefixes("10.5.0.2/24"), prefixes("10.5.0.2/24"), second, network.AddressSortAlgorithmV1)

	for _, test := range []struct {
		name string
		sets map[string][]netip.Prefix
		id   string
		want []netip.Prefix
	}{
		{"the default address stays", second, network.NodeAddressDefaultID, prefixes("10.5.0.5/24")},
		{"until it goes", third, network.NodeAddressDefaultID, prefixes("10.5.0.2/24")},
		{"nothing accumulated is lost", third, network.NodeAddressAccumulativeID, prefixes("10.5.0.2/24", "10.5.0.5/24")},
		{"what is current goes", third, network.NodeAddressCurrentID, prefixes("10.5.0.2/24")},
	} {
		if diff := cmp.Diff(test.want, test.sets[test.id], comparePrefix); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestFilter(t *testing.T) {
	t.Parallel()

	all := prefixes("10.5.0.2/24", "10.244.0.1/24", "fd00::2/64")

	for _, test := range []struct {
		name   string
		filter network.NodeAddressFilter
		want   []netip.Prefix
	}{
		{"none", network.NodeAddressFilter{}, all},
		{"without pods", network.NodeAddressFilter{ExcludeSubnets: prefixes("10.244.0.0/16")}, prefixes("10.5.0.2/24", "fd00::2/64")},
		{"pods only", network.NodeAddressFilter{IncludeSubnets: prefixes("10.244.0.0/16")}, prefixes("10.244.0.1/24")},
		{
			"both", network.NodeAddressFilter{IncludeSubnets: prefixes("10.0.0.0/8"), ExcludeSubnets: prefixes("10.244.0.0/16")},
			prefixes("10.5.0.2/24"),
		},
		{"nothing is left", network.NodeAddressFilter{IncludeSubnets: prefixes("192.0.2.0/24")}, []netip.Prefix{}},
	} {
		if diff := cmp.Diff(test.want, filter(all, test.filter), comparePrefix); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestSortPrefixes(t *testing.T) {
	t.Parallel()

	unsorted := prefixes("fd00::2/64", "10.5.0.2/32", "2001:db8::2/64", "10.6.0.2/24", "10.5.0.2/24")

	for _, test := range []struct {
		order network.AddressSortAlgorithm
		want  []netip.Prefix
	}{
		{network.AddressSortAlgorithmV1, prefixes("10.5.0.2/24", "10.6.0.2/24", "2001:db8::2/64", "fd00::2/64")},
		{network.AddressSortAlgorithmV2, prefixes("10.6.0.2/24", "2001:db8::2/64", "fd00::2/64")},
	} {
		in := unsorted
		if test.order == network.AddressSortAlgorithmV2 {
			in = prefixes("fd00::2/64", "2001:db8::2/64", "10.6.0.2/24", "10.6.0.2/24")
		}

		if diff := cmp.Diff(test.want, sortPrefixes(in, test.order), comparePrefix); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.order, diff)
		}
	}
}

func TestForeignAddresses(t *testing.T) {
	t.Parallel()

	vip := netip.MustParseAddr("10.5.0.100")
	got := foreignAddresses(
		[]*resource.Resource[network.AddressStatus]{
			resource.New("a", network.AddressStatus{LinkName: "eth0", Address: netip.MustParsePrefix("10.5.0.2/24")}),
			resource.New("b", network.AddressStatus{LinkName: network.ExternalLinkName, Address: netip.MustParsePrefix("203.0.113.7/32")}),
		},
		[]*resource.Resource[network.OperatorSpec]{
			resource.New("c", network.OperatorSpec{Operator: network.OperatorVIP, VIP: network.VIPOperatorSpec{IP: vip}}),
			resource.New("d", network.OperatorSpec{Operator: network.OperatorDHCP4}),
		})

	if want := map[netip.Addr]bool{vip: true, netip.MustParseAddr("203.0.113.7"): true}; !maps.Equal(got, want) {
		t.Errorf("foreign addresses %v, want %v", got, want)
	}

	sets := addressSets(prefixes("10.5.0.2/24", "10.5.0.100/32"), prefixes("10.5.0.2/24"), nil, network.AddressSortAlgorithmV1)
	if len(sets[network.NodeAddressCurrentID]) != 2 || len(sets[network.NodeAddressRoutedID]) != 1 {
		t.Errorf("sets %v", sets)
	}
}
