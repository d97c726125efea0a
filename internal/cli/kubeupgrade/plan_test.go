package kubeupgrade

import (
	"errors"
	"strings"
	"testing"

	"github.com/basalt-os/basalt/pkg/machineconfig"
	"github.com/basalt-os/basalt/pkg/machineconfig/document"
	"github.com/basalt-os/basalt/pkg/secrets"
)

func TestCheckPath(t *testing.T) {
	t.Parallel()

	for _, test := range []struct {
		from, to string
		ok       bool
	}{
		{"1.35.4", "1.35.4", true},
		{"1.35.4", "1.36.3", true},
		{"1.36.3", "1.36.1", true},
		{"1.36.3", "1.35.4", false},
		{"1.34.0", "1.36.3", false},
		{"1.36.3", "2.0.0", false},
	} {
		err := checkPath(test.from, test.to)
		if (err == nil) != test.ok || err != nil && !errors.Is(err, errPath) {
			t.Errorf("%s to %s: %v", test.from, test.to, err)
		}
	}

	if err := checkPath("1.36", "next"); err == nil {
		t.Error("a word is taken for a version")
	}
}

func TestLowest(t *testing.T) {
	t.Parallel()

	if got, err := lowest([]string{"v1.36.3", "1.35.10", "v1.35.4"}); err != nil || got != "1.35.4" {
		t.Errorf("got %q, %v", got, err)
	}

	for _, versions := range [][]string{nil, {"latest"}} {
		if _, err := lowest(versions); err == nil {
			t.Errorf("%q: no error", versions)
		}
	}
}

// generated is a configuration of a control plane, in documents.
func generated(t *testing.T) []byte {
	t.Helper()

	bundle, err := secrets.NewBundle(secrets.Options{})
	if err != nil {
		t.Fatal(err)
	}

	out, err := machineconfig.Generate(machineconfig.Input{
		ClusterName: "lab", Endpoint: "https://10.5.0.1:6443", Secrets: bundle, KubernetesVersion: "1.35.4",
	})
	if err != nil {
		t.Fatal(err)
	}

	return out.ControlPlane.Bytes()
}

const older = `version: v1alpha1
machine:
  type: controlplane
  kubelet:
    image: ghcr.io/siderolabs/kubelet:v1.35.4
cluster:
  controlPlane:
    endpoint: https://10.5.0.1:6443
  apiServer:
    image: registry.k8s.io/kube-apiserver:v1.35.4 # pinned
`

func TestSetImage(t *testing.T) {
	t.Parallel()

	all := components([componentCount]string{"a/kube-apiserver", "a/kube-controller-manager", "a/kube-scheduler", "a/kube-proxy", "a/kubelet"})

	for name, config := range map[string][]byte{"documents": generated(t), "the older form": []byte(older)} {
		for i, c := range all {
			var err error
			if config, err = setImage(config, c, c.at("1.36.3")); err != nil {
				t.Fatalf("%s: %s: %v", name, c.name, err)
			}

			loaded, err := machineconfig.Load(config, machineconfig.Options{})
			if err != nil {
				t.Fatalf("%s: %s: %v", name, c.name, err)
			}

			got := [componentCount]string{
				loaded.Cluster().APIServer.Image, loaded.Cluster().ControllerManager.Image, loaded.Cluster().Scheduler.Image,
				loaded.Cluster().Proxy.Image, loaded.Machine().Kubelet.Image,
			}[i]
			if got != c.at("1.36.3") {
				t.Errorf("%s: %s has image %q", name, c.name, got)
			}

			again, err := setImage(config, c, c.at("1.36.3"))
			if err != nil || string(again) != string(config) {
				t.Errorf("%s: %s: done again, the configuration changes: %v", name, c.name, err)
			}
		}

		if name == "the older form" && (strings.Contains(string(config), "kind:") || !strings.Contains(string(config), "controlPlane:")) {
			t.Errorf("the older form has got documents:\n%s", config)
		}
	}

	worker, err := setImage([]byte("version: v1alpha1\nmachine:\n  type: worker\n"), all[kubelet], "a/kubelet:v1.36.3")
	if err != nil {
		t.Fatal(err)
	}

	loaded, err := machineconfig.Load(worker, machineconfig.Options{})
	if err != nil {
		t.Fatal(err)
	}

	if doc := machineconfig.Find[document.KubeletConfig](loaded); doc == nil || doc.Image != "a/kubelet:v1.36.3" {
		t.Errorf("a worker without a kubelet's settings: %s", worker)
	}
}
