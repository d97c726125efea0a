package alias

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/cel-go/cel"
	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/network"
	"github.com/basalt-os/basalt/pkg/machineconfig/document"
)

var first = network.LinkStatus{
	Type: network.LinkTypeEther, HardwareAddr: network.MAC{2, 0, 0, 0, 0, 1}, PermanentAddr: network.MAC{2, 0, 0, 0, 0, 1},
	Driver: "virtio_net", BusPath: "0000:00:03.0", PCIID: "1AF4:1000", MTU: 1500, AltNames: []string{"enp0s3"}, SpeedMegabits: 1000,
}

// changed is a link that differs from the first one.
func changed(change func(*network.LinkStatus)) network.LinkStatus {
	s := first
	change(&s)

	return s
}

func TestExpressions(t *testing.T) {
	t.Parallel()

	member := changed(func(s *network.LinkStatus) { s.SlaveKind, s.HardwareAddr = "bond", network.MAC{2, 0, 0, 0, 0, 9} })

	for _, test := range []struct {
		expression string
		link       network.LinkStatus
		want       bool
	}{
		{`link.driver == "virtio_net" && link.type == 1`, first, true},
		{`mac(link.permanent_addr) == "02:00:00:00:00:01"`, first, true},
		{`link.hardware_addr == b"\x02\x00\x00\x00\x00\x01"`, first, true},
		{`glob("02:*", mac(link.hardware_addr)) && glob("0000:00:*.0", link.bus_path) && link.physical`, first, true},
		{`glob("04:*", mac(link.hardware_addr))`, first, false},
		{`link.pciid.startsWith("1AF4") && link.mtu == 1500u && link.speed_megabits > 100`, first, true},
		{`"enp0s3" in link.alt_names && link.alias == ""`, first, true},
		{`mac(link.hardware_addr) == ""`, network.LinkStatus{}, true},
		{`link.physical`, changed(func(s *network.LinkStatus) { s.Kind = "bridge" }), false},
		{`mac(link.hardware_addr) == "02:00:00:00:00:01"`, member, true},
	} {
		program, err := compile(test.expression)
		if err != nil {
			t.Error(err)

			continue
		}

		if got, err := selects(program, test.link); err != nil || got != test.want {
			t.Errorf("%s is %v, %v", test.expression, got, err)
		}
	}

	for _, expression := range []string{``, `link.mtu`, `link.color == "red"`, `disk.size > 1u`, `mac("x") == ""`, `glob("x")`} {
		if _, err := compile(expression); err == nil {
			t.Errorf("%q was taken", expression)
		}
	}
}

func TestAssign(t *testing.T) {
	t.Parallel()

	// Their names are not in the order of their addresses.
	var links []*resource.Resource[network.LinkStatus]

	for i, name := range []string{"eth2", "eth0", "eth1"} {
		links = append(links, resource.New(name, changed(func(s *network.LinkStatus) {
			s.PermanentAddr = network.MAC{2, 0, 0, 0, 0, byte(i)}
			s.HardwareAddr = s.PermanentAddr
		})))
	}

	links = append(links, resource.New("br0", changed(func(s *network.LinkStatus) { s.Kind = "bridge" })))

	const second = `mac(link.hardware_addr) == "02:00:00:00:00:01"`

	doc := func(name, match string) *document.LinkAliasConfig {
		return &document.LinkAliasConfig{Name: name, Selector: document.Match{Match: match}}
	}

	for _, test := range []struct {
		name string
		docs []*document.LinkAliasConfig
		want map[string]string
		errs []string
	}{
		{"one", []*document.LinkAliasConfig{doc("net0", second)}, map[string]string{"eth0": "net0"}, nil},
		{
			"a pattern", []*document.LinkAliasConfig{doc("net%d", `link.driver == "virtio_net"`)},
			map[string]string{"eth2": "net0", "eth0": "net1", "eth1": "net2"}, nil,
		},
		{
			"a pattern for those that are left", []*document.LinkAliasConfig{doc("one", second), doc("net%d", "true")},
			map[string]string{"eth0": "one", "eth2": "net0", "eth1": "net1"}, nil,
		},
		{
			"several, and another that goes on", []*document.LinkAliasConfig{doc("net0", "true"), doc("net1", second)},
			map[string]string{"eth0": "net1"}, []string{"giving alias net0: found the links eth2, eth0, eth1, expected"},
		},
		{
			"none", []*document.LinkAliasConfig{doc("net0", "false")}, map[string]string{},
			[]string{"giving alias net0: waiting for network/LinkStatuses.net.talos.dev/net0: no free link is selected"},
		},
		{
			"the name of a link", []*document.LinkAliasConfig{doc("eth1", second)}, map[string]string{},
			[]string{"giving link eth0 the alias eth1: another one has that name"},
		},
		{
			"a name that is given", []*document.LinkAliasConfig{doc("net0", second), doc("net%d", "true")},
			map[string]string{"eth0": "net0", "eth1": "net1"}, []string{"giving link eth2 the alias net0"},
		},
		{
			"no expression", []*document.LinkAliasConfig{doc("net0", "link.colour == 1")}, map[string]string{},
			[]string{"giving alias net0: compiling expression"},
		},
		{"nothing", nil, map[string]string{}, nil},
	} {
		a := &assigner{programs: map[string]cel.Program{}}

		got, err := a.assign(test.docs, slices.Clone(links))
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}

		if (err != nil) != (test.errs != nil) {
			t.Errorf("%s: %v", test.name, err)
		}

		for _, want := range test.errs {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", test.name, err, want)
			}
		}
	}
}
