package manifest_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/controllers/k8s/manifest"
	"github.com/basalt-os/basalt/internal/resources/k8s"
)

func build(t *testing.T, config k8s.BootstrapManifestsConfig) []manifest.Group {
	t.Helper()

	groups, err := manifest.Build(manifest.Parameters{Config: config, CA: []byte("CA"), BootstrapTokenID: "abcdef"})
	if err != nil {
		t.Fatal(err)
	}

	return groups
}

func ids(groups []manifest.Group) []string {
	var out []string
	for _, g := range groups {
		out = append(out, g.ID)
	}

	return out
}

func TestGroups(t *testing.T) {
	t.Parallel()

	always := []string{
		"00-kubelet-bootstrapping-token", "01-csr-approver-role-binding", "01-csr-node-bootstrap", "01-csr-renewal-role-binding",
	}
	end := []string{"11-kube-config-in-cluster", "11-talos-node-rbac-template"}

	for _, test := range []struct {
		name   string
		config k8s.BootstrapManifestsConfig
		want   []string
	}{
		{"nothing of ours", k8s.BootstrapManifestsConfig{}, nil},
		{"the network", k8s.BootstrapManifestsConfig{FlannelEnabled: true}, []string{"05-flannel"}},
		{"the proxy", k8s.BootstrapManifestsConfig{ProxyEnabled: true}, []string{"10-kube-proxy"}},
		{"DNS", k8s.BootstrapManifestsConfig{CoreDNSEnabled: true, DNSServiceIP: "10.96.0.10"}, []string{"11-core-dns", "11-core-dns-svc"}},
		{"access to the API", k8s.BootstrapManifestsConfig{TalosAPIServiceEnabled: true}, []string{"12-talos-api-service", "13-talos-service-account-crd"}},
	} {
		want := append(append(append([]string{}, always...), test.want...), end...)
		slices.Sort(want)

		if diff := cmp.Diff(want, ids(build(t, test.config))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}

	_, err := manifest.Build(manifest.Parameters{Config: k8s.BootstrapManifestsConfig{CoreDNSEnabled: true}})
	if err == nil || !strings.Contains(err.Error(), "11-core-dns-svc") {
		t.Errorf("DNS without an address: error = %v", err)
	}
}

func TestObjectsAreComplete(t *testing.T) {
	t.Parallel()

	groups := build(t, k8s.BootstrapManifestsConfig{
		FlannelEnabled: true, FlannelBackendType: "vxlan", FlannelKubeNetworkPoliciesEnabled: true, PodCIDRs: []string{"10.244.0.0/16"},
		ProxyEnabled: true, ProxyConfig: map[string]any{"mode": "nftables"},
		CoreDNSEnabled: true, DNSServiceIP: "10.96.0.10", DNSServiceIPv6: "fd00::a", ClusterDomain: "cluster.local",
		TalosAPIServiceEnabled: true,
	})

	for _, g := range groups {
		for _, object := range g.Objects {
			text, err := json.Marshal(object)
			if err != nil {
				t.Fatal(err)
			}

			meta, _ := object["metadata"].(map[string]any)
			if object["apiVersion"] == nil || object["kind"] == nil || meta["name"] == nil {
				t.Errorf("%s: an object is not complete: %s", g.ID, text)
			}

			if strings.Contains(string(text), ":null") || object["status"] != nil {
				t.Errorf("%s: an object says what it does not know: %s", g.ID, text)
			}
		}
	}
}

func TestTokenSecretIsNotInTheManifest(t *testing.T) {
	t.Parallel()

	object := build(t, k8s.BootstrapManifestsConfig{})[0].Objects[0]

	data := object["stringData"].(map[string]any)
	if data["token-secret"] != nil || data["token-id"] != "abcdef" {
		t.Errorf("data before: %v", data)
	}

	manifest.Complete(object, "0123456789abcdef")

	if data["token-secret"] != "0123456789abcdef" {
		t.Errorf("data after: %v", data)
	}

	other := map[string]any{"kind": "Secret", "type": "Opaque", "stringData": map[string]any{}}
	manifest.Complete(other, "0123456789abcdef")

	if len(other["stringData"].(map[string]any)) != 0 {
		t.Error("the secret went into another object")
	}
}

func TestFlannelNetwork(t *testing.T) {
	t.Parallel()

	for _, test := range []struct {
		name string
		pods []string
		want map[string]any
	}{
		{"IPv4", []string{"10.244.0.0/16"}, map[string]any{"Network": "10.244.0.0/16"}},
		{"both", []string{"10.244.0.0/16", "fd00::/48"}, map[string]any{"Network": "10.244.0.0/16", "IPv6Network": "fd00::/48", "EnableIPv6": true}},
		{"IPv6", []string{"fd00::/48"}, map[string]any{"IPv6Network": "fd00::/48", "EnableIPv6": true, "EnableIPv4": false}},
	} {
		groups := build(t, k8s.BootstrapManifestsConfig{
			FlannelEnabled: true, PodCIDRs: test.pods, FlannelBackendType: "vxlan", FlannelBackendPort: 4789,
			FlannelBackendExtraConfig: map[string]any{"DirectRouting": true},
		})

		var got map[string]any

		for _, object := range groups[4].Objects {
			if object["kind"] == "ConfigMap" {
				text := object["data"].(map[string]any)["net-conf.json"].(string)
				if err := json.Unmarshal([]byte(text), &got); err != nil {
					t.Fatal(err)
				}
			}
		}

		test.want["EnableNFTables"] = true
		test.want["Backend"] = map[string]any{"Type": "vxlan", "Port": 4789.0, "DirectRouting": true}

		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}
