package machineconfig_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/pkg/machineconfig"
	"github.com/basalt-os/basalt/pkg/machineconfig/document"
)

// translations are older parts and the documents that stand for them, without
// their version.
var translations = map[string]struct{ legacy, want string }{
	"interfaces": {
		legacy: `
machine:
    network:
        interfaces:
            - interface: eth0
              addresses: [10.5.0.2/24, 10.5.0.3]
              mtu: 1400
              routes: [{network: 0.0.0.0/0, gateway: 10.5.0.1, metric: 5}]
              vip: {ip: 10.5.0.100}
              vlans: [{vlanId: 7, dhcp: true}]
            - deviceSelector: {driver: virtio_net, hardwareAddr: "02:*"}
              dhcp: true
              dhcpOptions: {routeMetric: 100, ipv6: true}
            - interface: eth9
              ignore: true
`,
		want: `
kind: LinkConfig
name: eth0
mtu: 1400
addresses:
    - address: 10.5.0.2/24
    - address: 10.5.0.3/32
routes:
    - destination: 0.0.0.0/0
      gateway: 10.5.0.1
      metric: 5
---
kind: Layer2VIPConfig
name: 10.5.0.100
link: eth0
---
kind: VLANConfig
name: eth0.7
vlanID: 7
parent: eth0
---
kind: DHCPv4Config
name: eth0.7
---
kind: LinkAliasConfig
name: selected1
selector:
    match: glob("02:*", mac(link.hardware_addr)) && glob("virtio_net", link.driver)
---
kind: LinkConfig
name: selected1
---
kind: DHCPv4Config
name: selected1
routeMetric: 100
---
kind: DHCPv6Config
name: selected1
routeMetric: 100
---
kind: LinkConfig
name: eth9
`,
	},
	"bonds, bridges and tunnels": {
		legacy: `
machine:
    network:
        interfaces:
            - interface: bond0
              bond: {interfaces: [eth0, eth1], mode: 802.3ad, lacpRate: fast}
            - interface: br0
              bridge: {interfaces: [eth2], stp: {enabled: true}, vlan: {vlanFiltering: true}}
            - interface: eth3
              bridgePort: {master: br0}
            - interface: dummy0
              dummy: true
            - interface: wg0
              wireguard: {privateKey: key, peers: [{publicKey: pub, endpoint: "10.5.0.9:51820", allowedIPs: [10.9.0.0/16]}]}
`,
		want: `
kind: BondConfig
name: bond0
links:
    - eth0
    - eth1
bondMode: 802.3ad
lacpRate: fast
---
kind: BridgeConfig
name: br0
links:
    - eth2
    - eth3
stp:
    enabled: true
vlan:
    filtering: true
---
kind: LinkConfig
name: eth3
---
kind: DummyLinkConfig
name: dummy0
---
kind: WireguardConfig
name: wg0
privateKey: key
peers:
    - publicKey: pub
      endpoint: 10.5.0.9:51820
      allowedIPs:
        - 10.9.0.0/16
`,
	},
	"a bond of what is selected": {
		legacy: `
machine:
    network:
        interfaces:
            - interface: bond0
              bond: {deviceSelectors: [{permanentAddr: "02:00:00:AA:*"}, {pciID: "15b3:*"}], mode: active-backup}
`,
		want: `
kind: LinkAliasConfig
name: bond0member0n%d
selector:
    match: glob("02:00:00:aa:*", mac(link.permanent_addr))
---
kind: LinkAliasConfig
name: bond0member1n%d
selector:
    match: glob("15B3:*", link.pciid)
---
kind: BondConfig
name: bond0
links:
    - bond0member0n%d
    - bond0member1n%d
bondMode: active-backup
`,
	},
	"the system": {
		legacy: `
machine:
    env: {a: b}
    sysfs: {c: d}
    udev: {rules: [r]}
    kernel: {modules: [{name: m, parameters: [p]}]}
    time: {disabled: true, servers: [t]}
    install: {diskSelector: {size: ">= 1GB", type: nvme}, image: i, wipe: true}
    systemDiskEncryption: {state: {provider: luks2, keys: [{slot: 0, nodeID: {}}]}}
    registries: {config: {r: {auth: {username: u, password: p}, tls: {insecureSkipVerify: true}}}}
    features:
        kubernetesTalosAPIAccess: {enabled: true, allowedRoles: [os:reader], allowedKubernetesNamespaces: [n]}
        imageCache: {localEnabled: true}
`,
		want: `
kind: EnvironmentConfig
variables:
    a: b
---
kind: SysfsConfig
params:
    c: d
---
kind: UdevRulesConfig
rules:
    - r
---
kind: KernelModuleConfig
name: m
parameters:
    - p
---
kind: TimeSyncConfig
enabled: false
ntp:
    servers:
        - t
---
kind: ImageCacheConfig
local:
    enabled: true
---
kind: KubeTalosAPIAccessConfig
allowedRoles:
    - os:reader
allowedKubernetesNamespaces:
    - "n"
---
kind: VolumeConfig
name: STATE
encryption:
    provider: luks2
    keys:
        - slot: 0
          nodeID: {}
---
kind: RegistryAuthConfig
name: r
username: u
password: p
---
kind: RegistryTLSConfig
name: r
insecureSkipVerify: true
---
kind: UnattendedInstallConfig
installer:
    image: i
provisioning:
    diskSelector:
        match: disk.transport == "nvme" && disk.size >= 1000000000u
    wipe: true
`,
	},
}

// TestTranslation shows which documents the older parts become.
func TestTranslation(t *testing.T) {
	t.Parallel()

	for name, tt := range translations {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			cfg := load(t, "version: v1alpha1"+tt.legacy)

			text, err := machineconfig.Encode(machineconfig.Effective(cfg)...)
			if err != nil {
				t.Fatal(err)
			}

			got := strings.ReplaceAll(string(text), "apiVersion: v1alpha1\n", "")
			if diff := cmp.Diff(strings.TrimPrefix(tt.want, "\n"), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestTranslationFaultsHavePlaces(t *testing.T) {
	t.Parallel()

	_, err := machineconfig.Load([]byte(`version: v1alpha1
machine:
    network:
        interfaces:
            - interface: eth0
              addresses: [10.5.0.2/24, none]
            - mtu: 1400
cluster:
    controlPlane: {endpoint: "https://10.5.0.2"}
    network:
        podSubnets: [10.0.0.0]
`), machineconfig.Options{File: "test.yaml"})

	want := []string{
		`test.yaml:6:40: machine.network.interfaces[0].addresses[1]: found "none", expected an address such as 10.0.0.2/24`,
		`test.yaml:7:15: machine.network.interfaces[1]: found neither interface nor deviceSelector, expected one of them`,
		`test.yaml:11:22: cluster.network.podSubnets[0]: found "10.0.0.0", expected a network such as 10.0.0.0/8`,
	}
	if err == nil {
		t.Fatal("no error")
	}

	if diff := cmp.Diff(want, strings.Split(err.Error(), "\n")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestKindsWithOtherNames(t *testing.T) {
	t.Parallel()

	cfg := load(t, "apiVersion: v1alpha1\nkind: UnattendedInstall\nreboot: true\n---\napiVersion: v1alpha1\nkind: KubeSpanEndpointsConfig\n")

	if machineconfig.Find[document.UnattendedInstallConfig](cfg) == nil || machineconfig.Find[document.KubeSpanEndpoints](cfg) == nil {
		t.Error("a document is not found")
	}
}

func TestExtraKernelArgs(t *testing.T) {
	t.Parallel()

	cfg := load(t, "version: v1alpha1\nmachine:\n  type: worker\n  install:\n    disk: /dev/sda\n    extraKernelArgs: [net.ifnames=0, -quiet]\n")

	if diff := cmp.Diff([]string{"net.ifnames=0", "-quiet"}, cfg.Machine().ExtraKernelArgs); diff != "" {
		t.Error(diff)
	}

	if args := load(t, "version: v1alpha1\nmachine:\n  type: worker\n").Machine().ExtraKernelArgs; args != nil {
		t.Errorf("without an installation: %q", args)
	}
}

func TestDiskAt(t *testing.T) {
	t.Parallel()

	for path, want := range map[string]string{
		"/dev/sda":              `disk.dev_path == "/dev/sda"`,
		"/dev/disk/by-id/wwn-1": `"/dev/disk/by-id/wwn-1" in disk.symlinks`,
	} {
		if got := machineconfig.DiskAt(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}
