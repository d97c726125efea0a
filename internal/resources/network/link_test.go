package network_test

import (
	"testing"

	"github.com/basalt-os/basalt/internal/resources/network"
)

func TestLinkNamed(t *testing.T) {
	links := map[string]network.LinkStatus{
		"eth0": {Alias: "net0", AltNames: []string{"enp0s3"}}, "eth1": {Alias: "eth0", AltNames: []string{"net0"}}, "eth2": {},
	}

	for _, test := range []struct {
		name, want string
		ok         bool
	}{
		{"eth0", "eth0", true}, {"eth2", "eth2", true}, {"net0", "eth0", true}, {"enp0s3", "eth0", true},
		{"net1", "", false}, {"", "", false},
	} {
		if got, ok := network.LinkNamed(links, test.name); got != test.want || ok != test.ok {
			t.Errorf("%q is %q, %v, want %q, %v", test.name, got, ok, test.want, test.ok)
		}
	}
}
