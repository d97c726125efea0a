package firewall

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/controllers/network/netnstest"
	"github.com/basalt-os/basalt/internal/resources/network"
	"github.com/basalt-os/basalt/pkg/machineconfig"
	"github.com/basalt-os/basalt/pkg/machineconfig/document"
)

func TestMain(m *testing.M) { os.Exit(netnstest.Main(m)) }

func prefixes(texts ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, text := range texts {
		out = append(out, netip.MustParsePrefix(text))
	}

	return out
}

func config(t *testing.T, docs ...any) *machineconfig.Config {
	t.Helper()

	cfg, err := machineconfig.New(append(docs, &document.HostnameConfig{Hostname: "one"})...)
	if err != nil {
		t.Fatal(err)
	}

	return cfg
}

// rule lets a subnet use a port.
func rule(port uint16, subnet string) *document.NetworkRuleConfig {
	return &document.NetworkRuleConfig{
		Name:         fmt.Sprint(port),
		PortSelector: document.PortSelector{Ports: []document.PortRange{{Low: port, High: port}}, Protocol: "tcp"},
		Ingress:      []document.IngressRule{{Subnet: netip.MustParsePrefix(subnet)}},
	}
}

func TestChains(t *testing.T) {
	t.Parallel()

	own := prefixes("10.5.0.2/32")

	none, err := chains(config(t), own, nil)
	if err != nil || len(none) != 0 {
		t.Errorf("without a document: %v, %v", none, err)
	}

	got, err := chains(config(t, rule(22, "10.0.0.0/8")), own, nil)
	if err != nil {
		t.Fatal(err)
	}

	last := got[ingressChain].Rules[len(got[ingressChain].Rules)-1]
	if got[ingressChain].Policy != network.NfTablesVerdictAccept || !last.MatchSourceAddress.Invert || *last.Verdict != network.NfTablesVerdictDrop {
		t.Errorf("accepting: %+v", got[ingressChain])
	}

	got, err = chains(config(t, &document.NetworkDefaultActionConfig{Ingress: "block"}, rule(22, "10.0.0.0/8")), own, prefixes("169.254.116.108/32"))
	if err != nil {
		t.Fatal(err)
	}

	last = got[ingressChain].Rules[len(got[ingressChain].Rules)-1]
	if got[ingressChain].Policy != network.NfTablesVerdictDrop || last.MatchSourceAddress.Invert || *last.Verdict != network.NfTablesVerdictAccept {
		t.Errorf("blocking: %+v", got[ingressChain])
	}

	if p := got[preroutingChain]; p.Priority != -110 || p.Policy != network.NfTablesVerdictAccept || !p.Rules[0].MatchDestinationAddress.Invert {
		t.Errorf("blocking, before routing: %+v", p)
	}

	// Before the node has an address, nothing can be sent on from it.
	if got, err = chains(config(t, rule(22, "10.0.0.0/8")), nil, nil); err != nil || len(got) != 1 {
		t.Errorf("without addresses: %+v, %v", got, err)
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()

	v4, v6 := families()[0], families()[1]

	for _, test := range []struct {
		name   string
		match  network.NfTablesAddressMatch
		v4, v6 string
	}{
		{"all", network.NfTablesAddressMatch{}, "[0.0.0.0/0]", "[::/0]"},
		{"of one family", network.NfTablesAddressMatch{IncludeSubnets: prefixes("10.0.0.0/8")}, "[10.0.0.0/8]", "[]"},
		{
			"with an exception",
			network.NfTablesAddressMatch{IncludeSubnets: prefixes("10.0.0.0/31", "fd00::/8"), ExcludeSubnets: prefixes("10.0.0.1/32")},
			"[10.0.0.0/32]", "[fd00::/8]",
		},
		{"all but", network.NfTablesAddressMatch{IncludeSubnets: prefixes("0.0.0.0/1"), Invert: true}, "[128.0.0.0/1]", "[::/0]"},
	} {
		for _, f := range []struct {
			family family
			want   string
		}{{v4, test.v4}, {v6, test.v6}} {
			got, err := addresses(test.match, f.family)
			if err != nil || fmt.Sprint(got.Prefixes()) != f.want {
				t.Errorf("%s: %v, %v, want %s", test.name, got.Prefixes(), err, f.want)
			}
		}
	}
}

func TestPortElements(t *testing.T) {
	t.Parallel()

	text := func(ranges ...network.PortRange) string {
		out := ""
		for _, e := range portElements(ranges) {
			out += fmt.Sprintf("%d:%v ", int(e.Key[0])<<8|int(e.Key[1]), e.IntervalEnd)
		}

		return out
	}

	for want, ranges := range map[string][]network.PortRange{
		"22:false 23:true ":                  {{Lo: 22, Hi: 22}},
		"1:false 11:true ":                   {{Lo: 5, Hi: 10}, {Lo: 1, Hi: 7}},
		"80:false 81:true 65000:false ":      {{Lo: 65000, Hi: 65535}, {Lo: 80, Hi: 80}},
		"0:false 1:true 443:false 445:true ": {{}, {Lo: 443, Hi: 444}},
	} {
		if got := text(ranges...); got != want {
			t.Errorf("%v: %s, want %s", ranges, got, want)
		}
	}
}

// peers gives this namespace the link "node" with 10.5.0.2 and fd00::2, and
// returns another one with 10.5.0.1 and fd00::1.
func peers(t *testing.T) *netnstest.Namespace {
	t.Helper()

	there := netnstest.New(t)
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "node"
	veth := netlink.NewVeth(attrs)
	veth.PeerName, veth.PeerNamespace = "peer", netlink.NsFd(there.FD())

	if err := netlink.LinkAdd(veth); err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { _ = netlink.LinkDel(veth) })

	set := func(name string, addresses ...string) error {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}

		for _, text := range addresses {
			a, err := netlink.ParseAddr(text)
			if err != nil {
				return err
			}

			a.Flags = unix.IFA_F_NODAD
			if err := netlink.AddrAdd(link, a); err != nil {
				return err
			}
		}

		return netlink.LinkSetUp(link)
	}

	if err := set("node", "10.5.0.2/24", "fd00::2/64"); err != nil {
		t.Fatal(err)
	}

	there.Do(t, func() error { return set("peer", "10.5.0.1/24", "fd00::1/64") })

	return there
}

func TestFilter(t *testing.T) {
	there := peers(t)

	filter := Netfilter{}
	if err := filter.Replace(nil); errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EPROTONOSUPPORT) {
		t.Skip("the kernel has no packet filter: ", err)
	}

	listener, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()

	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatal("no TCP address")
	}

	port := uint16(address.Port)

	// reach says whether the other namespace gets a connection.
	reach := func(host string) bool {
		var connected bool

		there.Do(t, func() error {
			conn, err := net.DialTimeout("tcp", net.JoinHostPort(host, fmt.Sprint(port)), 500*time.Millisecond)
			if err == nil {
				connected = true

				return conn.Close()
			}

			return nil
		})

		return connected
	}

	own := prefixes("10.5.0.2/32", "fd00::2/128")
	block := &document.NetworkDefaultActionConfig{Ingress: "block"}

	for _, test := range []struct {
		name   string
		docs   []any
		v4, v6 bool
	}{
		{"no firewall", nil, true, true},
		{"accept, but one family alone on this port", []any{rule(port, "10.5.0.0/24")}, true, false},
		{"accept, but others alone on this port", []any{rule(port, "10.6.0.0/24")}, false, false},
		{"accept, a rule about another port", []any{rule(port-1, "10.6.0.0/24")}, true, true},
		{"block", []any{block}, false, false},
		{"block, but one subnet", []any{block, rule(port, "fd00::/64")}, false, true},
	} {
		wanted, err := chains(config(t, test.docs...), own, prefixes("169.254.116.108/32"))
		if err != nil {
			t.Fatal(err)
		}

		if err := filter.Replace(wanted); err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}

		if has, err := filter.Has(); err != nil || has != (len(wanted) > 0) {
			t.Errorf("%s: there is a table: %v, %v", test.name, has, err)
		}

		if got := reach("10.5.0.2"); got != test.v4 {
			t.Errorf("%s: IPv4 gets through: %v", test.name, got)
		}

		if got := reach("fd00::2"); got != test.v6 {
			t.Errorf("%s: IPv6 gets through: %v", test.name, got)
		}
	}

	if err := filter.Replace(nil); err != nil {
		t.Error(err)
	}
}

// The kernel takes every kind of expression.
func TestExpressions(t *testing.T) {
	netnstest.Need(t)

	all := network.NfTablesRule{
		MatchOIfName:        &network.NfTablesIfNameMatch{InterfaceNames: []string{"eth0"}, Operator: network.MatchOperatorNotEqual},
		MatchMark:           &network.NfTablesMark{Mask: 0x60, Value: 0x20},
		MatchConntrackState: &network.NfTablesConntrackStateMatch{States: []network.ConntrackState{network.ConntrackStateNew}},
		MatchSourceAddress:  &network.NfTablesAddressMatch{IncludeSubnets: prefixes("10.0.0.0/8", "fd00::/8", "255.0.0.0/8")},
		MatchLayer4: &network.NfTablesLayer4Match{
			Protocol: network.ProtocolTCP, MatchSourcePort: ports(1, 2), MatchDestinationPort: ports(60000, 65535),
		},
		MatchLimit: &network.NfTablesLimitMatch{PacketRatePerSecond: 5}, ClampMSS: &network.NfTablesClampMSS{MTU: 1420},
		SetMark: &network.NfTablesMark{Mask: 0xffffff9f, Xor: 0x40}, AnonCounter: true, Verdict: accept(),
	}

	err := Netfilter{}.Replace(map[string]network.NfTablesChain{"out": {
		Type: "route", Hook: network.NfTablesChainHookOutput, Priority: network.NfTablesChainPriorityFilter,
		Policy: network.NfTablesVerdictAccept, Rules: []network.NfTablesRule{all},
	}})
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EPROTONOSUPPORT) {
		t.Skip("the kernel has no packet filter: ", err)
	}

	if err != nil {
		t.Fatal(err)
	}

	conn, err := nftables.New()
	if err != nil {
		t.Fatal(err)
	}

	rules, err := conn.GetRules(&nftables.Table{Name: Table, Family: nftables.TableFamilyINet}, &nftables.Chain{Name: "out"})
	if err != nil || len(rules) != 2 {
		t.Errorf("%d rules, %v; want one for each family", len(rules), err)
	}

	if !slices.ContainsFunc(rules, func(r *nftables.Rule) bool { return len(r.Exprs) > 20 }) {
		t.Errorf("expressions got lost: %+v", rules)
	}

	if err := (Netfilter{}).Replace(nil); err != nil {
		t.Error(err)
	}
}
