package resources_test

import (
	"net/netip"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/block"
	"github.com/basalt-os/basalt/internal/resources/cluster"
	"github.com/basalt-os/basalt/internal/resources/config"
	"github.com/basalt-os/basalt/internal/resources/files"
	"github.com/basalt-os/basalt/internal/resources/k8s"
	"github.com/basalt-os/basalt/internal/resources/machinetype"
	"github.com/basalt-os/basalt/internal/resources/network"
	"github.com/basalt-os/basalt/internal/resources/pki"
	"github.com/basalt-os/basalt/internal/resources/secrets"
)

// TestSpecsInYAML checks what people see for every form of value that a spec
// can have, and that it reads back as the same spec.
func TestSpecsInYAML(t *testing.T) {
	carrier := true

	tests := []struct {
		name string
		spec resource.Spec
		yaml string
	}{
		{"addresses and flags", network.AddressSpec{
			Address: netip.MustParsePrefix("10.5.0.2/24"), LinkName: "eth0", Family: network.FamilyInet4,
			Flags: network.AddressFlagPermanent | network.AddressFlagNoDAD, ConfigLayer: network.ConfigLayerPlatform,
		}, `address: 10.5.0.2/24
linkName: eth0
family: inet4
scope: global
flags: nodad,permanent
layer: platform
`},
		{"inlined struct and hardware address", network.LinkSpec{
			Name: "eth0", Up: true, Type: network.LinkTypeEther, HardwareAddress: network.MAC{2, 0, 0, 0, 0, 0xff},
			BondSlave: network.BondSlave{MasterName: "bond0", SlaveIndex: 1}, Multicast: &carrier,
		}, `name: eth0
logical: false
up: true
mtu: 0
kind: ""
type: ether
hardwareAddr: 02:00:00:00:00:ff
masterName: bond0
slaveIndex: 1
layer: default
multicast: true
`},
		{"features as a mapping", network.EthernetStatus{
			LinkState: &carrier, Port: network.PortMII, Duplex: network.DuplexFull,
			Features: network.EthernetFeatureStatusList{{Name: "rx-all", Status: "off [fixed]"}, {Name: "tso", Status: "on"}},
		}, `linkState: true
port: MII
duplex: Full
features:
    rx-all: off [fixed]
    tso: "on"
`},
		{"addresses that are omitted when absent", network.HostDNSConfig{
			Enabled: true, ListenAddresses: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.53:53")},
			ServiceHostDNSAddress: netip.MustParseAddr("10.96.0.9"),
		}, `enabled: true
listenAddresses:
    - 127.0.0.53:53
serviceHostDNSAddress: 10.96.0.9
`},
		{"machine configuration as text", config.MachineConfig{Text: "version: v1alpha1\nmachine: {}\n"}, `|
    version: v1alpha1
    machine: {}
`},
		{"machine type as text", config.MachineType{Type: machinetype.ControlPlane}, "controlplane\n"},
		{"pod as itself", k8s.StaticPod{Pod: map[string]any{"kind": "Pod", "metadata": map[string]any{"name": "x"}}}, `kind: Pod
metadata:
    name: x
`},
		{"manifest as a list", k8s.Manifest{Items: []k8s.SingleManifest{{Object: map[string]any{"kind": "Role"}}}}, `- kind: Role
`},
		{"certificates in base64", secrets.OSRoot{
			IssuingCA: &pki.CertificateAndKey{Crt: pki.PEM("crt"), Key: pki.PEM("key")}, Token: "token",
		}, `issuingCA:
    crt: Y3J0
    key: a2V5
acceptedCAs: []
certSANIPs: []
certSANDNSNames: []
token: token
`},
		{"URL by its parts", secrets.Kubelet{Endpoint: &url.URL{Scheme: "https", Host: "a.example:6443"}}, `endpoint:
    scheme: https
    opaque: ""
    user: null
    host: a.example:6443
    path: ""
    fragment: ""
    rawquery: ""
    rawpath: ""
    rawfragment: ""
    forcequery: false
    omithost: false
acceptedCAs: []
bootstrapTokenID: ""
bootstrapTokenSecret: ""
`},
		{"file mode and contents", files.EtcFileSpec{Contents: "a\nb\n", Mode: 0o644}, `contents: |
    a
    b
mode: 420
selinux_label: ""
`},
		{"durations and times", block.FSScrubStatus{
			Mountpoint: "/var", Interval: 36 * time.Hour, Time: time.Date(2024, 2, 29, 1, 2, 3, 0, time.UTC), Status: "success",
		}, `mountpoint: /var
interval: 36h0m0s
time: 2024-02-29T01:02:03Z
duration: 0s
status: success
`},
		{"bytes as numbers", cluster.Config{ServiceEncryptionKey: []byte{1, 255}}, `discoveryEnabled: false
registryKubernetesEnabled: false
registryServiceEnabled: false
serviceEndpoint: ""
serviceEncryptionKey:
    - 1
    - 255
serviceClusterID: ""
serviceEndpoints: []
`},
	}

	table := newTable(t)

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			entry, ok := table.Get(test.spec.Definition().Type)
			if !ok {
				t.Fatalf("the table has no %T", test.spec)
			}

			data, err := entry.Codec.EncodeYAML(test.spec)
			if err != nil {
				t.Fatal(err)
			}

			if diff := cmp.Diff(test.yaml, string(data)); diff != "" {
				t.Errorf("YAML (-want +got):\n%s", diff)
			}

			object := entry.New(resource.Metadata{})
			if err := entry.Codec.DecodeYAML(data, object.SpecValue()); err != nil {
				t.Fatal(err)
			}

			again, err := entry.Codec.EncodeYAML(object.SpecValue())
			if err != nil {
				t.Fatal(err)
			}

			if diff := cmp.Diff(string(data), string(again)); diff != "" {
				t.Errorf("YAML after reading it (-first +second):\n%s", diff)
			}
		})
	}
}

// TestSecretsInTypesThatEveryReaderSees lists the types that are not sensitive
// and yet have secrets in them: whoever shows them must redact them.
func TestSecretsInTypesThatEveryReaderSees(t *testing.T) {
	var got []string

	for _, entry := range newTable(t).Entries() {
		if entry.Codec.HasSecrets() && !entry.Definition.Sensitive {
			got = append(got, entry.Definition.Type)
		}
	}

	want := []string{"LinkStatuses.net.talos.dev", "PlatformConfigs.net.talos.dev", "ProbeSpecs.net.talos.dev"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("types (-want +got):\n%s", diff)
	}
}

// FuzzDecodeSpec decodes bytes as every type of the table in turn.
func FuzzDecodeSpec(f *testing.F) {
	entries := newTable(f).Entries()

	for i := range entries {
		f.Add(uint16(i), []byte{0x0a, 0x02, 0x0a, 0x00, 0x10, 0x01})
	}

	f.Fuzz(func(t *testing.T, index uint16, data []byte) {
		entry := entries[int(index)%len(entries)]

		object := entry.New(resource.Metadata{})
		if entry.Codec.DecodeWire(data, object.SpecValue()) != nil {
			return
		}

		if _, err := entry.Codec.EncodeYAML(object.SpecValue()); err != nil {
			t.Errorf("printing a decoded %s: %v", entry.Definition.Type, err)
		}
	})
}
