package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/flannel-io/flannel/pkg/ip"
	"github.com/flannel-io/flannel/pkg/lease"
	"github.com/flannel-io/flannel/pkg/subnet"
)

func TestConflist(t *testing.T) {
	config, err := subnet.ParseConfig(`{"Network": "10.244.0.0/16", "EnableIPv6": true, "IPv6Network": "fd00::/48",
		"EnableNFTables": true, "Backend": {"Type": "vxlan"}}`)
	if err != nil {
		t.Fatal(err)
	}

	l := &lease.Lease{
		Subnet:     ip.IP4Net{IP: ip.MustParseIP4("10.244.3.0"), PrefixLen: 24},
		IPv6Subnet: ip.IP6Net{IP: ip.MustParseIP6("fd00:0:0:3::"), PrefixLen: 64},
	}
	path := filepath.Join(t.TempDir(), "10-flannel.conflist")

	for range 2 { // the second time replaces the first
		if err := writeConflist(path, newConflist(config, l, 1450)); err != nil {
			t.Fatal(err)
		}
	}

	const want = `{
		"name": "cbr0", "cniVersion": "1.0.0",
		"plugins": [
			{"type": "bridge", "bridge": "cni0", "isDefaultGateway": true, "hairpinMode": true, "ipMasq": false, "mtu": 1450,
			 "ipam": {"type": "host-local",
				"ranges": [[{"subnet": "10.244.3.0/24"}], [{"subnet": "fd00:0:0:3::/64"}]],
				"routes": [{"dst": "10.244.0.0/16"}, {"dst": "fd00::/48"}]}},
			{"type": "portmap", "backend": "nftables", "capabilities": {"portMappings": true}}
		]
	}`

	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}

	if got, want := decode(t, data), decode(t, []byte(want)); !reflect.DeepEqual(got, want) {
		t.Errorf("configuration\n%v, want\n%v", got, want)
	}

	if files, err := os.ReadDir(filepath.Dir(path)); err != nil || len(files) != 1 {
		t.Errorf("files %v, %v", files, err)
	}
}

func decode(t *testing.T, data []byte) (value any) {
	t.Helper()

	if err := json.Unmarshal(data, &value); err != nil {
		t.Fatal(err)
	}

	return value
}

func TestOptions(t *testing.T) {
	opts, err := parseOptions([]string{"--ip-masq", "--kube-subnet-mgr", "--iface=eth0", "--iface=eth1", "--v=2"})
	if err != nil {
		t.Fatal(err)
	}

	if !opts.ipMasq || !reflect.DeepEqual(opts.interfaces, list{"eth0", "eth1"}) || opts.cniConf != "/etc/cni/net.d/10-flannel.conflist" {
		t.Errorf("options %+v", opts)
	}
}

func TestRefusedOptions(t *testing.T) {
	for _, args := range [][]string{{"--kube-subnet-mgr=false"}, {"--etcd-endpoints=http://127.0.0.1:2379"}, {"extra"}} {
		if _, err := parseOptions(args); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
}

func TestReadSubnetFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "subnet.env")

	if got := readSubnetFile(path); got.subnet.PrefixLen != 0 || got.network6.IP == nil {
		t.Errorf("no file: %+v", got)
	}

	data := "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.3.1/24\nbroken\nFLANNEL_IPV6_SUBNET=nothing\nFLANNEL_MTU=1450\n"
	if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}

	got := readSubnetFile(path)
	if got.network.String() != "10.244.0.0/16" || got.subnet.String() != "10.244.3.0/24" || !got.subnet6.Empty() {
		t.Errorf("networks %v and %v", got.network, got.subnet)
	}
}
