package k8s

import (
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/cluster"
	"github.com/basalt-os/basalt/internal/resources/k8s"
	"github.com/basalt-os/basalt/pkg/machineconfig"
	"github.com/basalt-os/basalt/pkg/machineconfig/document"
	"github.com/basalt-os/basalt/pkg/secrets"
)

// bundle is made once: its largest key takes long.
var bundle = sync.OnceValues(func() (*secrets.Bundle, error) { return secrets.NewBundle(secrets.Options{}) })

// generated is a configuration as users have it, with patches.
func generated(t *testing.T, controlPlane bool, docs ...any) *machineconfig.Config {
	t.Helper()

	bundle, err := bundle()
	if err != nil {
		t.Fatal(err)
	}

	out, err := machineconfig.Generate(machineconfig.Input{
		ClusterName: "test", Endpoint: "https://10.5.0.1:6443", Secrets: bundle, NoDiscovery: true,
	})
	if err != nil {
		t.Fatal(err)
	}

	base := out.Worker
	if controlPlane {
		base = out.ControlPlane
	}

	replaced := map[string]bool{}
	for _, doc := range docs {
		replaced[document.KindOf(doc)] = true
	}

	for _, doc := range base.Documents() {
		if !replaced[doc.Kind] {
			docs = append(docs, doc.Value)
		}
	}

	cfg, err := machineconfig.New(docs...)
	if err != nil {
		t.Fatal(err)
	}

	return cfg
}

func TestBootstrapManifestsConfig(t *testing.T) {
	t.Parallel()

	got, err := bootstrapManifestsConfig(generated(t, true, &document.KubeProxyConfig{
		Image: "proxy:v1", Mode: "iptables", Config: document.Free{"conntrack": map[string]any{"min": 1}},
		ExtraArgs: document.Args{"v": {"2"}},
	}))
	if err != nil {
		t.Fatal(err)
	}

	if got.DNSServiceIP != "10.96.0.10" || got.Server != "https://127.0.0.1:7445" || got.FlannelKubeServicePort != "7445" {
		t.Errorf("addresses: DNS %s, server %s, flannel %s", got.DNSServiceIP, got.Server, got.FlannelKubeServicePort)
	}

	want := map[string]any{
		"apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration", "mode": "iptables", "clusterCIDR": "10.244.0.0/16",
		"conntrack":        map[string]any{"maxPerCore": 0, "min": 1},
		"clientConnection": map[string]any{"kubeconfig": "/etc/kubernetes/kubeconfig"},
	}
	if diff := cmp.Diff(want, got.ProxyConfig); diff != "" {
		t.Errorf("kube-proxy configuration (-want +got):\n%s", diff)
	}

	wantArgs := []string{"--config=/var/lib/kube-proxy/config.yaml", "--hostname-override=$(NODE_NAME)", "--v=2"}
	if diff := cmp.Diff(wantArgs, got.ProxyArgs); diff != "" {
		t.Errorf("kube-proxy arguments (-want +got):\n%s", diff)
	}

	if _, err := bootstrapManifestsConfig(generated(t, false)); err == nil {
		t.Error("a worker has bootstrap manifests")
	}
}

func TestKubePrismEndpoints(t *testing.T) {
	t.Parallel()

	members := []*resource.Resource[cluster.Member]{
		resource.New("cp-1", cluster.Member{Addresses: addresses("10.5.0.2"), ControlPlane: &cluster.ControlPlane{APIServerPort: 6443}}),
		resource.New("cp-2", cluster.Member{Addresses: addresses("10.5.0.3"), ControlPlane: &cluster.ControlPlane{APIServerPort: 7000}}),
		resource.New("worker", cluster.Member{Addresses: addresses("10.5.0.9")}),
	}

	for _, test := range []struct {
		name         string
		controlPlane bool
		want         []k8s.KubePrismEndpoint
	}{
		{"worker", false, []k8s.KubePrismEndpoint{{Host: "10.5.0.1", Port: 6443}, {Host: "10.5.0.2", Port: 6443}, {Host: "10.5.0.3", Port: 7000}}},
		{"control plane", true, []k8s.KubePrismEndpoint{
			{Host: "10.5.0.1", Port: 6443}, {Host: "127.0.0.1", Port: 6443}, {Host: "10.5.0.2", Port: 6443}, {Host: "10.5.0.3", Port: 7000},
		}},
	} {
		got, err := kubePrismEndpoints(generated(t, test.controlPlane), members)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}

		if diff := cmp.Diff(test.want, got.Endpoints); diff != "" {
			t.Errorf("%s: endpoints (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestDNSServiceIPs(t *testing.T) {
	t.Parallel()

	v4, v6 := dnsServiceIPs(prefixList("10.96.0.0/12", "fd00:10::/112"))
	if v4 != "10.96.0.10" || v6 != "fd00:10::a" {
		t.Errorf("addresses %s and %s", v4, v6)
	}
}

func TestAuthorizationWithoutConfiguration(t *testing.T) {
	t.Parallel()

	got, err := authorizationConfig(machineconfig.Cluster{})
	if err != nil {
		t.Fatal(err)
	}

	want := []k8s.AuthorizationAuthorizersSpec{{Type: "Node", Name: "node"}, {Type: "RBAC", Name: "rbac"}}
	if diff := cmp.Diff(want, got.Config); diff != "" {
		t.Errorf("authorizers (-want +got):\n%s", diff)
	}
}

func TestEtcdEncryptionWithoutConfiguration(t *testing.T) {
	t.Parallel()

	got, err := etcdEncryptionConfig(machineconfig.Cluster{})
	if err != nil || !strings.Contains(got.Configuration, "identity: {}") {
		t.Errorf("configuration %q, error %v", got.Configuration, err)
	}
}

func TestDecodeManifest(t *testing.T) {
	t.Parallel()

	for _, test := range []struct {
		name, text string
		kinds      []string
		err        bool
	}{
		{name: "several documents", text: "---\napiVersion: v1\nkind: A\n---\n# nothing\n---\napiVersion: v1\nkind: B\n", kinds: []string{"A", "B"}},
		{name: "a list", text: "apiVersion: v1\nkind: List\nitems:\n- kind: A\n- kind: B\n", kinds: []string{"A", "B"}},
		{name: "JSON", text: `{"apiVersion":"v1","kind":"A"}`, kinds: []string{"A"}},
		{name: "no kind", text: "apiVersion: v1\n", err: true},
		{name: "no YAML", text: "{", err: true},
		{name: "nothing", text: ""},
	} {
		objects, err := decodeManifest([]byte(test.text))

		var kinds []string
		for _, o := range objects {
			kinds = append(kinds, o["kind"].(string))
		}

		if diff := cmp.Diff(test.kinds, kinds); diff != "" || (err != nil) != test.err {
			t.Errorf("%s: error %v (-want +got):\n%s", test.name, err, diff)
		}
	}
}

func FuzzDecodeManifest(f *testing.F) {
	f.Add([]byte("apiVersion: v1\nkind: List\nitems:\n- kind: A\n"))
	f.Add([]byte("a: *b\n---\n"))

	f.Fuzz(func(t *testing.T, text []byte) {
		objects, err := decodeManifest(text)
		if err != nil && objects != nil {
			t.Error("objects and an error at once")
		}
	})
}
