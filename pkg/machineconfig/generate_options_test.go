package machineconfig_test

import (
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/pkg/machineconfig"
	"github.com/basalt-os/basalt/pkg/machineconfig/document"
	"github.com/basalt-os/basalt/pkg/secrets"
)

func TestGenerateOptions(t *testing.T) {
	t.Parallel()

	for _, contract := range []string{"", "v1.11"} {
		t.Run("contract "+contract, func(t *testing.T) {
			t.Parallel()

			in := sampleInput(t, "id")
			in.Contract = contract
			in.Endpoint = "cluster.example"
			in.KubernetesVersion = "v1.35.0"
			in.DNSDomain = "example.org"
			in.PodSubnets = []string{"10.1.0.0/16", "fd00:1::/56"}
			in.ServiceSubnets = []string{"10.2.0.0/16", "fd00:2::/112"}
			in.AdditionalSANs = []string{"extra.example"}
			in.InstallDisk = ""
			in.NoDiscovery = true
			in.KubeSpan = true
			in.RegistryMirrors = []machineconfig.RegistryMirror{
				{Host: "docker.io", Endpoint: "http://10.5.0.1:5000"}, {Host: "docker.io", Endpoint: "http://10.5.0.1:5001"},
			}
			in.Patches = []machineconfig.Patch{patch(t, "machine: {certSANs: [patched]}")}
			in.WorkerPatches = []machineconfig.Patch{patch(t, "apiVersion: v1alpha1\nkind: SysctlConfig\nparams: {a: b}")}

			out, err := machineconfig.Generate(in)
			if err != nil {
				t.Fatal(err)
			}

			machine, cluster := out.ControlPlane.Machine(), out.ControlPlane.Cluster()
			worker := out.Worker.Machine()

			for _, check := range []struct {
				name      string
				got, want any
			}{
				{"kubelet", machine.Kubelet.Image, "ghcr.io/siderolabs/kubelet:v1.35.0"},
				{"endpoint", cluster.Endpoint.String(), "https://cluster.example"},
				{"domain", cluster.Network.DNSDomain, "example.org"},
				{"pods", cluster.Network.PodSubnets[1].String(), "fd00:1::/56"},
				{"services", cluster.Network.ServiceSubnets[0].String(), "10.2.0.0/16"},
				{"names", machine.CertSANs, []string{"extra.example", "patched"}},
				{"API names", cluster.APIServer.CertSANs[len(cluster.APIServer.CertSANs)-1], "extra.example"},
				{"installation", machine.Install, (*document.UnattendedInstallConfig)(nil)},
				{"discovery", len(cluster.Discovery), 0},
				{"mesh", *machineconfig.Find[document.KubeSpanConfig](out.Worker).Enabled, true},
				{"mirrors", len(worker.RegistryMirrors), 1},
				{"mirror", worker.RegistryMirrors[0].Endpoints[1].URL.String(), "http://10.5.0.1:5001"},
				{"control plane's sysctls", machine.Sysctls, map[string]string(nil)},
				{"worker's sysctls", worker.Sysctls, map[string]string{"a": "b"}},
				{"worker's keys", len(worker.CA.Key) + len(out.Worker.Cluster().CA.Key), 0},
			} {
				if diff := cmp.Diff(check.want, check.got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", check.name, diff)
				}
			}
		})
	}
}

func TestGenerateClient(t *testing.T) {
	t.Parallel()

	in := sampleInput(t, "id")
	in.Roles = []string{"os:reader"}
	in.CertTTL = time.Hour
	in.Endpoints = []string{"10.5.0.2"}
	in.NotBefore = time.Now()

	out, err := machineconfig.Generate(in)
	if err != nil {
		t.Fatal(err)
	}

	context, err := out.Client.Select("sample")
	if err != nil {
		t.Fatal(err)
	}

	cert, err := secrets.ParseCertificate(context.Crt)
	if err != nil {
		t.Fatal(err)
	}

	roots, err := secrets.Pool(context.CA)
	if err != nil {
		t.Fatal(err)
	}

	if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Error(err)
	}

	if diff := cmp.Diff([]string{"os:reader"}, cert.Subject.Organization); diff != "" {
		t.Errorf("roles (-want +got):\n%s", diff)
	}

	if ttl := cert.NotAfter.Sub(in.NotBefore).Round(time.Minute); ttl != time.Hour {
		t.Errorf("the certificate is valid for %s", ttl)
	}
}

func TestGenerateFaults(t *testing.T) {
	t.Parallel()

	for name, tt := range map[string]struct {
		change func(*machineconfig.Input)
		want   string
	}{
		"no name":      {func(in *machineconfig.Input) { in.ClusterName = "" }, "found no cluster name"},
		"no secrets":   {func(in *machineconfig.Input) { in.Secrets = nil }, "found no secrets"},
		"bad endpoint": {func(in *machineconfig.Input) { in.Endpoint = "http://10.5.0.2" }, `cluster endpoint "http://10.5.0.2": expected an https URL`},
		"bad version":  {func(in *machineconfig.Input) { in.Contract = "latest" }, `version "latest": expected a version such as v1.14`},
		"bad subnet":   {func(in *machineconfig.Input) { in.PodSubnets = []string{"ten"} }, `subnet "ten"`},
	} {
		in := sampleInput(t, "id")
		tt.change(&in)

		if _, err := machineconfig.Generate(in); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error is %v", name, err)
		}
	}
}
