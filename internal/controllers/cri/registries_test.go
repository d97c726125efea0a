package cri

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/resources/cri"
	"github.com/basalt-os/basalt/internal/resources/pki"
)

func TestHostFiles(t *testing.T) {
	t.Parallel()

	mirror := func(skip bool, urls ...string) *cri.RegistryMirrorConfig {
		m := &cri.RegistryMirrorConfig{MirrorSkipFallback: skip}
		for _, u := range urls {
			m.MirrorEndpoints = append(m.MirrorEndpoints, cri.RegistryEndpointConfig{EndpointEndpoint: u})
		}

		return m
	}

	for _, test := range []struct {
		name string
		spec cri.RegistriesConfig
		want map[string]string
	}{
		{"nothing", cri.RegistriesConfig{}, map[string]string{}},
		{
			"a mirror of everything",
			cri.RegistriesConfig{RegistryMirrors: map[string]*cri.RegistryMirrorConfig{"*": mirror(false, "http://10.5.0.1:5000")}},
			map[string]string{
				"cri/conf.d/hosts/_default/hosts.toml": "[host.\"http://10.5.0.1:5000\"]\n  capabilities = [\"pull\", \"resolve\"]\n\n",
			},
		},
		{
			"mirrors instead of the registry",
			cri.RegistriesConfig{RegistryMirrors: map[string]*cri.RegistryMirrorConfig{"docker.io": mirror(true, "http://a", "http://b")}},
			map[string]string{
				"cri/conf.d/hosts/docker.io/hosts.toml": "server = \"http://b\"\n\n" +
					"[host.\"http://a\"]\n  capabilities = [\"pull\", \"resolve\"]\n\n" +
					"[host.\"http://b\"]\n  capabilities = [\"pull\", \"resolve\"]\n\n",
			},
		},
		{
			"a private registry",
			cri.RegistriesConfig{
				RegistryAuths: map[string]*cri.RegistryAuthConfig{"r.example.com:5000": {RegistryUsername: "u", RegistryPassword: "p"}},
				RegistryTLSs:  map[string]*cri.RegistryTLSConfig{"r.example.com:5000": {TLSCA: pki.PEM("CA")}},
			},
			map[string]string{
				"cri/conf.d/hosts/r.example.com_5000_/ca.crt": "CA",
				"cri/conf.d/hosts/r.example.com_5000_/hosts.toml": "[host.\"https://r.example.com:5000\"]\n  capabilities = [\"pull\", \"resolve\"]\n" +
					"  ca = \"/etc/cri/conf.d/hosts/r.example.com_5000_/ca.crt\"\n" +
					"  [host.\"https://r.example.com:5000\".header]\n    authorization = \"Basic dTpw\"\n\n",
			},
		},
		{
			"the registry whose server has another name",
			cri.RegistriesConfig{RegistryAuths: map[string]*cri.RegistryAuthConfig{"docker.io": {RegistryUsername: "u", RegistryPassword: "p"}}},
			map[string]string{
				"cri/conf.d/hosts/docker.io/hosts.toml": "[host.\"https://registry-1.docker.io\"]\n  capabilities = [\"pull\", \"resolve\"]\n" +
					"  [host.\"https://registry-1.docker.io\".header]\n    authorization = \"Basic dTpw\"\n\n",
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()

			files, err := hostFiles(test.spec)
			if err != nil {
				t.Fatal(err)
			}

			got := map[string]string{}
			for name, file := range files {
				got[name] = file.Contents

				if file.Mode != 0o600 {
					t.Errorf("%s may be read by others", name)
				}
			}

			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
		})
	}
}
