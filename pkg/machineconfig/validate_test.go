package machineconfig_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/basalt-os/basalt/pkg/machineconfig"
	"github.com/basalt-os/basalt/pkg/machineconfig/document"
)

func TestValidateGenerated(t *testing.T) {
	t.Parallel()

	for _, contract := range []string{"", "v1.11"} {
		in := sampleInput(t, "id")
		in.Contract = contract

		out, err := machineconfig.Generate(in)
		if err != nil {
			t.Fatal(err)
		}

		for _, cfg := range []*machineconfig.Config{out.ControlPlane, out.Worker} {
			for _, mode := range []machineconfig.Mode{machineconfig.Metal, machineconfig.Cloud, machineconfig.Container} {
				warnings, err := cfg.Validate(mode)
				if err != nil || len(warnings) > 0 {
					t.Errorf("contract %q, mode %s: error %v, warnings %v", contract, mode, err, warnings)
				}
			}
		}
	}
}

func TestBothFormsSayTheSame(t *testing.T) {
	t.Parallel()

	in := sampleInput(t, "id")

	current, err := machineconfig.Generate(in)
	if err != nil {
		t.Fatal(err)
	}

	in.Contract = "v1.11"

	legacy, err := machineconfig.Generate(in)
	if err != nil {
		t.Fatal(err)
	}

	for name, pair := range map[string][2]*machineconfig.Config{
		"control plane": {current.ControlPlane, legacy.ControlPlane},
		"worker":        {current.Worker, legacy.Worker},
	} {
		machine, old := pair[0].Machine(), pair[1].Machine()
		old.WorkloadIsolation = machine.WorkloadIsolation // the older contract does not have it

		if diff := cmp.Diff(machine, old, compareUnexported, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: machine (-current +legacy):\n%s", name, diff)
		}

		cluster, oldCluster := pair[0].Cluster(), pair[1].Cluster()
		oldCluster.APIServer.Authentication = cluster.APIServer.Authentication // nor this
		oldCluster.APIServer.CertSANs = cluster.APIServer.CertSANs             // it names the endpoint itself

		if diff := cmp.Diff(cluster, oldCluster, compareUnexported, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: cluster (-current +legacy):\n%s", name, diff)
		}
	}
}

func TestSecretsOfConfiguration(t *testing.T) {
	t.Parallel()

	for _, contract := range []string{"", "v1.11"} {
		in := sampleInput(t, "id")
		in.Contract = contract

		out, err := machineconfig.Generate(in)
		if err != nil {
			t.Fatal(err)
		}

		got, err := out.ControlPlane.Secrets()
		if err != nil {
			t.Fatal(err)
		}

		if diff := cmp.Diff(in.Secrets, got); diff != "" {
			t.Errorf("contract %q (-want +got):\n%s", contract, diff)
		}

		if _, err := out.Worker.Secrets(); err == nil {
			t.Error("a worker's configuration has the secrets")
		}
	}
}

func TestRedacted(t *testing.T) {
	t.Parallel()

	for _, contract := range []string{"", "v1.11"} {
		in := sampleInput(t, "id")
		in.Contract = contract

		out, err := machineconfig.Generate(in)
		if err != nil {
			t.Fatal(err)
		}

		text, err := out.ControlPlane.Redacted()
		if err != nil {
			t.Fatal(err)
		}

		b := in.Secrets
		for name, secret := range map[string]string{
			"token": b.TrustdInfo.Token, "bootstrap token": b.Secrets.BootstrapToken,
			"cluster secret": b.Cluster.Secret, "secretbox": b.Secrets.SecretboxEncryptionSecret,
		} {
			if strings.Contains(string(text), secret) {
				t.Errorf("contract %q: the %s is there", contract, name)
			}
		}

		if strings.Contains(string(text), "PRIVATE KEY") {
			t.Errorf("contract %q: a key is there", contract)
		}

		// Keys in base64.
		for _, pair := range []struct{ key []byte }{{b.Certs.OS.Key}, {b.Certs.Etcd.Key}, {b.Certs.K8s.Key}} {
			encoded := strings.SplitN(strings.ReplaceAll(string(pair.key), "\n", ""), "-----", 3)
			if len(encoded) < 3 || strings.Contains(string(text), encoded[2]) {
				t.Errorf("contract %q: a key is there", contract)
			}
		}
	}
}

func TestRedactedQuery(t *testing.T) {
	t.Parallel()

	cfg := load(t, "apiVersion: v1alpha1\nkind: SideroLinkConfig\napiUrl: https://manager.example/?jointoken=secret&grpc_tunnel=yes\n")

	text, err := cfg.Redacted()
	if err != nil {
		t.Fatal(err)
	}

	if strings.Contains(string(text), "secret") || !strings.Contains(string(text), "https://manager.example/?jointoken=") {
		t.Errorf("redacted to %s", text)
	}
}

func TestRedactedHeaders(t *testing.T) {
	t.Parallel()

	for _, config := range []string{
		"apiVersion: v1alpha1\nkind: KubeExternalManifestConfig\nname: m\nurl: https://example.org/m.yaml\nheaders:\n    Authorization: Bearer abc\n",
		"version: v1alpha1\ncluster:\n    extraManifestHeaders:\n        Authorization: Bearer abc\n",
	} {
		text, err := load(t, config).Redacted()
		if err != nil {
			t.Fatal(err)
		}

		if strings.Contains(string(text), "abc") || !strings.Contains(string(text), "Authorization: '"+machineconfig.Hidden+"'") {
			t.Errorf("redacted to %s", text)
		}
	}
}

func TestConflicts(t *testing.T) {
	t.Parallel()

	cfg := load(t, legacyText+"---\napiVersion: v1alpha1\nkind: KubeletConfig\nimage: i\n---\napiVersion: v1alpha1\nkind: HostnameConfig\nauto: \"off\"\n")

	_, err := cfg.Validate(machineconfig.Metal)
	for _, want := range []string{
		"test.yaml:7:9: machine.kubelet: found it beside the document KubeletConfig, expected one of them",
		"test.yaml:11:19: machine.network.hostname: found it beside the document HostnameConfig, expected one of them",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no fault %q in %v", want, err)
		}
	}
}

const faultyText = `version: v1alpha1
machine:
    type: controlplane
    token: ""
    install: {}
cluster:
    token: short
    controlPlane:
        endpoint: https://10.5.0.2:6443
    network:
        podSubnets: [10.96.0.0/16]
---
apiVersion: v1alpha1
kind: VLANConfig
name: v
addresses:
    - routePriority: 5
---
apiVersion: v1alpha1
kind: LinkAliasConfig
name: net0
selector:
    match: link.driver ==
---
apiVersion: v1alpha1
kind: VolumeConfig
name: STATE
encryption:
    provider: luks2
    keys:
        - slot: 0
          nodeID: {}
          static: {passphrase: secret}
---
apiVersion: v1alpha1
kind: KubeNodeConfig
nodeIP: {}
labels:
    "a b": c
taints:
    a: Never
---
apiVersion: v1alpha1
kind: UserVolumeConfig
name: data
---
apiVersion: v1alpha1
kind: LinkAliasConfig
name: net%s
selector: {match: "true"}
`

func TestValidateFaults(t *testing.T) {
	t.Parallel()

	cfg := load(t, faultyText)

	warnings, err := cfg.Validate(machineconfig.Container)
	if err == nil {
		t.Fatal("no error")
	}

	for _, want := range []string{
		"test.yaml:4:12: machine.token: found nothing, expected a token",
		"test.yaml:7:12: cluster.token: found something else, expected the form abcdef.0123456789abcdef",
		"machine.ca: expected the certificate and key of an authority",
		"cluster.etcd.ca: expected the certificate and key of an authority",
		"found nothing, expected the authority of Kubernetes",
		"found nothing, expected the service account key",
		"podSubnets[0]: found 10.96.0.0/16, which overlaps 10.96.0.0/12, expected networks apart (as KubeNetworkConfig)",
		"test.yaml:13:1: vlanID: found nothing, expected a value: the field is required (in VLANConfig v)",
		"test.yaml:13:1: parent: found nothing",
		"test.yaml:17:7: addresses[0].address: found nothing",
		`test.yaml:23:12: selector.match: found "link.driver ==", expected an expression`,
		"test.yaml:31:11: encryption.keys[0]: found 2 sources of the key",
		`test.yaml:39:12: labels.a b: found "a b": "c", expected a label`,
		`test.yaml:49:7: name: found "net%s", expected a name, which may have %d in it`,
		`test.yaml:41:8: taints.a: found "Never", expected NoSchedule`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no fault %q", want)
		}
	}

	if t.Failed() {
		t.Log(err)
	}

	wantWarnings := []string{
		"VLANConfig v has no effect in a container: disks, devices, links and the kernel are its host's",
		"LinkAliasConfig net0 has no effect in a container: disks, devices, links and the kernel are its host's",
		"UserVolumeConfig data has no effect in a container: disks, devices, links and the kernel are its host's",
		"LinkAliasConfig net%s has no effect in a container: disks, devices, links and the kernel are its host's",
		"the document KubeNodeConfig takes the place of what the v1alpha1 document says about the same",
	}
	if diff := cmp.Diff(wantWarnings, warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}

	if _, err := cfg.Validate(machineconfig.Metal); err == nil || !strings.Contains(err.Error(), "machine.install: found neither disk nor diskSelector") {
		t.Error("an installation to nowhere passes")
	}
}

func TestIdleDocuments(t *testing.T) {
	t.Parallel()

	const (
		nowhere   = " has no effect yet: this version checks it, and no machine acts on it"
		container = " has no effect in a container: disks, devices, links and the kernel are its host's"
	)

	for _, test := range []struct {
		document             string
		onMachine, contained []string
	}{
		{"kind: SysctlConfig\nparams: {a: b}\n", nil, nil},
		{"kind: SecurityProfileConfig\nworkloadIsolation: true\n", nil, nil},
		{"kind: LinkConfig\nname: eth0\n", nil, []string{"LinkConfig eth0" + container}},
		{"kind: OOMConfig\n", nil, []string{"OOMConfig" + container}},
		{"kind: LVMVolumeGroupConfig\nname: vg\n", []string{"LVMVolumeGroupConfig vg" + nowhere}, []string{"LVMVolumeGroupConfig vg" + nowhere}},
		{"kind: KubeSpanEndpointsConfig\n", []string{"KubeSpanEndpoints" + nowhere}, []string{"KubeSpanEndpoints" + nowhere}},
	} {
		cfg := load(t, "apiVersion: v1alpha1\n"+test.document)

		for mode, want := range map[machineconfig.Mode][]string{
			machineconfig.Metal: test.onMachine, machineconfig.Cloud: test.onMachine, machineconfig.Container: test.contained,
		} {
			// Some of them lack fields, which does not matter here.
			got, _ := cfg.Validate(mode)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s on %s (-want +got):\n%s", test.document, mode, diff)
			}
		}
	}
}

func TestIdleInstall(t *testing.T) {
	t.Parallel()

	for text, want := range map[string]string{
		"disk: /dev/sda": "",
		"bootloader: true\n    grubUseUKICmdline: true\n    legacyBIOSSupport: true": "",
		"extensions: [{image: x}]": "machine.install.extensions has no effect",
		"bootloader: false":        "machine.install.bootloader has no effect",
		"grubUseUKICmdline: false": "machine.install.grubUseUKICmdline has no effect",
	} {
		// It lacks much, which does not matter here.
		got, _ := load(t, "machine:\n  type: worker\n  install:\n    "+text+"\n").Validate(machineconfig.Metal)
		if strings.Contains(strings.Join(got, "\n"), "has no effect") != (want != "") || !strings.Contains(strings.Join(got, "\n"), want) {
			t.Errorf("%s: warnings %q, want %q", text, got, want)
		}
	}
}

// TestIdleKindsAreKinds finds names that are misspelt.
func TestIdleKindsAreKinds(t *testing.T) {
	t.Parallel()

	var kinds []string
	for _, doc := range document.Kinds() {
		kinds = append(kinds, document.KindOf(doc))
	}

	for _, kind := range machineconfig.IdleKinds() {
		if !slices.Contains(kinds, kind) {
			t.Errorf("%s is no kind", kind)
		}
	}
}

func TestDiff(t *testing.T) {
	t.Parallel()

	before := load(t, "version: v1alpha1\nmachine:\n    type: worker\n    token: secret1\n---\napiVersion: v1alpha1\nkind: SysctlConfig\nparams:\n    a: b\n")
	after := load(t, "version: v1alpha1\nmachine:\n    type: worker\n    token: secret2\n---\napiVersion: v1alpha1\nkind: SysctlConfig\nparams:\n    a: c\n")

	diff, err := machineconfig.Diff(before, after)
	if err != nil {
		t.Fatal(err)
	}

	want := "--- current\n+++ new\n@@ -6,4 +6,4 @@\n apiVersion: v1alpha1\n kind: SysctlConfig\n params:\n-    a: b\n+    a: c\n# secrets of the v1alpha1 document differ\n"
	if d := cmp.Diff(want, diff); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}

	if same, err := machineconfig.Diff(before, before); err != nil || same != "" {
		t.Errorf("the same differs: %q, %v", same, err)
	}
}
