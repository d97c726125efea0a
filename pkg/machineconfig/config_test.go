package machineconfig_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/pkg/machineconfig"
	"github.com/basalt-os/basalt/pkg/machineconfig/document"
)

func load(t *testing.T, text string) *machineconfig.Config {
	t.Helper()

	cfg, err := machineconfig.Load([]byte(text), machineconfig.Options{File: "test.yaml"})
	if err != nil {
		t.Fatal(err)
	}

	return cfg
}

func TestLoadReportsAllFaults(t *testing.T) {
	t.Parallel()

	const text = `version: v1alpha1
machine:
    type: controller
    tokken: abc
    certSANs: no list
    kubelet:
        extraArgs:
            v: 4
            feature-gates: [a, b]
        registerWithFQDN: "yes"
    sysctls:
        a: 1
        a: 2
    network:
        interfaces:
            - interface: eth0
              mtu: -1
---
apiVersion: v1
kind: LinkConfig
name: eth0
addresses:
    - address: 10.5.0.300/24
---
apiVersion: v1alpha1
kind: LinkConfg
---
kind: SysctlConfig
apiVersion: v1alpha1
params: 5
---
kind: SysctlConfig
apiVersion: v1alpha1
`

	_, err := machineconfig.Load([]byte(text), machineconfig.Options{File: "test.yaml"})

	want := []string{
		`test.yaml:3:11: machine.type: found "controller", expected controlplane or worker`,
		`test.yaml:4:5: machine.tokken: unknown field, expected token?`,
		`test.yaml:5:15: machine.certSANs: found "no list", expected a list`,
		`test.yaml:10:27: machine.kubelet.registerWithFQDN: found "yes", expected true or false`,
		`test.yaml:13:9: machine.sysctls.a: found the key again, expected it once: it is in line 12 already`,
		`test.yaml:17:20: machine.network.interfaces[0].mtu: found "-1", expected a whole number of at least 0`,
		`test.yaml:19:13: apiVersion: found "v1", expected v1alpha1`,
		`test.yaml:23:16: addresses[0].address: found "10.5.0.300/24", expected a network such as 10.0.0.0/8`,
		`test.yaml:26:7: kind: found "LinkConfg", expected a kind of document, LinkConfig?`,
		`test.yaml:30:9: params: found "5", expected a mapping`,
		`test.yaml:32:1: SysctlConfig: found SysctlConfig again, expected it once: it is in line 28 already`,
	}

	if err == nil {
		t.Fatal("no error")
	}

	if diff := cmp.Diff(want, strings.Split(err.Error(), "\n")); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}

	var fault *machineconfig.Error
	if !errors.As(err, &fault) || fault.Line != 3 || fault.File != "test.yaml" {
		t.Errorf("first fault is %+v", fault)
	}
}

const legacyText = `version: v1alpha1 # a comment
machine:
    type: controlplane
    token: abcdef.0123456789abcdef
    certSANs: []
    kubelet:
        image: example.org/kubelet:v1.36.3
        extraArgs:
            v: 4
    network:
        hostname: cp1
        nameservers: [10.5.0.1]
    sysctls:
        net.ipv4.ip_forward: 1
    registries:
        mirrors:
            "*":
                endpoints: ["http://10.5.0.1:5000"]
    features:
        kubePrism: {enabled: true, port: 7445}
        hostDNS: {enabled: true, forwardKubeDNSToHost: true}
cluster:
    id: id
    secret: secret
    controlPlane:
        endpoint: https://10.5.0.2:6443
    clusterName: sample
    token: abcdef.0123456789abcdef
    secretboxEncryptionSecret: c2VjcmV0
    discovery: {enabled: true}
`

func TestLegacyBecomesDocuments(t *testing.T) {
	t.Parallel()

	cfg := load(t, legacyText)
	machine, cluster := cfg.Machine(), cfg.Cluster()

	type facts struct {
		Type, Hostname, KubeletImage, APIServerImage, Mirror string
		Prism                                                machineconfig.KubePrism
		DNS                                                  machineconfig.HostDNS
		Args                                                 document.Args
		Sysctls, Labels, Taints                              map[string]string
		Name, Endpoint, ID, Discovery, Pods, Services        string
		Flannel, Proxy, CoreDNS                              bool
		Authorizers                                          []string
	}

	got := facts{
		Type: machine.Type, Hostname: machine.Hostname, KubeletImage: machine.Kubelet.Image,
		APIServerImage: cluster.APIServer.Image, Prism: machine.KubePrism, DNS: machine.HostDNS,
		Args: machine.Kubelet.ExtraArgs, Sysctls: machine.Sysctls, Labels: machine.Node.Labels, Taints: machine.Node.Taints,
		Name: cluster.Name, Endpoint: cluster.Endpoint.String(), ID: cluster.ID,
		Discovery: cluster.Discovery[0].Endpoint.String(), Mirror: machine.RegistryMirrors[0].Endpoints[0].URL.String(),
		Pods: cluster.Network.PodSubnets[0].String(), Services: cluster.Network.ServiceSubnets[0].String(),
		Flannel: cluster.Flannel != nil, Proxy: cluster.Proxy.Enabled, CoreDNS: cluster.CoreDNS.Enabled,
	}
	for _, authorizer := range cluster.APIServer.Authorizers {
		got.Authorizers = append(got.Authorizers, authorizer.Type)
	}

	want := facts{
		Type: "controlplane", Hostname: "cp1", KubeletImage: "example.org/kubelet:v1.36.3",
		APIServerImage: "registry.k8s.io/kube-apiserver:v1.36.3", Mirror: "http://10.5.0.1:5000",
		Prism:   machineconfig.KubePrism{Enabled: true, Port: 7445},
		DNS:     machineconfig.HostDNS{Enabled: true, ForwardKubeDNS: true},
		Args:    document.Args{"v": {"4"}},
		Sysctls: map[string]string{"net.ipv4.ip_forward": "1"},
		Labels:  map[string]string{"node-role.kubernetes.io/control-plane": ""},
		Taints:  map[string]string{"node-role.kubernetes.io/control-plane": "NoSchedule"},
		Name:    "sample", Endpoint: "https://10.5.0.2:6443", ID: "id", Discovery: "https://discovery.talos.dev/",
		Pods: "10.244.0.0/16", Services: "10.96.0.0/12", Flannel: true, Proxy: true, CoreDNS: true,
		Authorizers: []string{"Node", "RBAC"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	if diff := cmp.Diff(legacyText, string(cfg.Bytes())); diff != "" {
		t.Errorf("bytes (-want +got):\n%s", diff)
	}
}

func TestDocumentWinsOverLegacy(t *testing.T) {
	t.Parallel()

	cfg := load(t, legacyText+`---
apiVersion: v1alpha1
kind: KubeletConfig
image: example.org/other:v1
`)

	if got := cfg.Machine().Kubelet.Image; got != "example.org/other:v1" {
		t.Errorf("kubelet image is %s", got)
	}

	if n := len(machineconfig.All[document.KubeletConfig](cfg)); n != 1 {
		t.Errorf("there are %d kubelet documents", n)
	}
}

func TestLoadSyntax(t *testing.T) {
	t.Parallel()

	for name, tt := range map[string]struct{ text, want string }{
		"nothing":       {"", "test.yaml: found no document, expected a machine configuration"},
		"comments":      {"# nothing\n---\n# here\n", "test.yaml: found no document, expected a machine configuration"},
		"broken":        {"version: v1alpha1\n---\nkind: [LinkConfig\nname: a\n", "test.yaml:4:5: expected YAML: "},
		"no mapping":    {"- a\n", "test.yaml:1:1: found something else than a mapping"},
		"no kind":       {"apiVersion: v1alpha1\n", "test.yaml:1:1: kind: found nothing"},
		"no version":    {"kind: LinkConfig\nname: a\n", "test.yaml:1:1: apiVersion: found nothing, expected v1alpha1"},
		"bad merge key": {"version: v1alpha1\nmachine:\n    <<: 5\n", `test.yaml:3:5: found "5" under <<, expected a mapping`},
		"key":           {"version: v1alpha1\n[a]: b\n", "test.yaml:2:1: found a list as a key, expected a string"},
		"on the marker": {"--- {kind: LinkConfig, apiVersion: v1alpha1, nam: a}\n", "test.yaml:1:46: nam: unknown field, expected name?"},
	} {
		_, err := machineconfig.Load([]byte(tt.text), machineconfig.Options{File: "test.yaml"})
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s: error is %v, want %s…", name, err, tt.want)
		}
	}
}

func TestMergeKeys(t *testing.T) {
	t.Parallel()

	cfg := load(t, `version: v1alpha1
machine:
    env: &one {a: "1", b: "2"}
    sysfs: &two {b: "3", c: "4"}
    sysctls:
        <<: [*one, *two]
        a: "5"
`)

	want := map[string]string{"a": "5", "b": "2", "c": "4"}
	if diff := cmp.Diff(want, cfg.Machine().Sysctls); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestComplete(t *testing.T) {
	t.Parallel()

	if cfg := load(t, "apiVersion: v1alpha1\nkind: LinkConfig\nname: a\n"); cfg.Complete() || !load(t, legacyText).Complete() {
		t.Error("complete is wrong")
	}
}

func TestParse(t *testing.T) {
	t.Parallel()

	if mirror, err := machineconfig.ParseRegistryMirror("docker.io=http://10.5.0.1:5000"); err != nil || mirror.Host != "docker.io" {
		t.Errorf("mirror is %+v, error %v", mirror, err)
	}

	for _, text := range []string{"docker.io", "=http://a", "docker.io=a"} {
		if _, err := machineconfig.ParseRegistryMirror(text); err == nil {
			t.Errorf("mirror %q is accepted", text)
		}
	}

	if mode, err := machineconfig.ParseMode("container"); err != nil || mode != machineconfig.Container {
		t.Errorf("mode is %q, error %v", mode, err)
	}

	if _, err := machineconfig.ParseMode("vm"); err == nil {
		t.Error("an unknown mode is accepted")
	}
}
