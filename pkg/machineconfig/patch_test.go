package machineconfig_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/pkg/machineconfig"
)

func patch(t *testing.T, text string) machineconfig.Patch {
	t.Helper()

	p, err := machineconfig.LoadPatch([]byte(text), machineconfig.Options{File: "patch.yaml"})
	if err != nil {
		t.Fatal(err)
	}

	return p
}

func TestStrategicPatch(t *testing.T) {
	t.Parallel()

	for name, tt := range map[string]struct{ base, patch, want string }{
		"scalars are replaced, maps are merged": {
			base:  "version: v1alpha1\nmachine:\n    token: a # mine\n    certSANs: []\n    sysctls:\n        x: \"1\"\n        y: \"2\"\n",
			patch: "machine:\n    token: b\n    sysctls:\n        y: \"3\"\n        z: \"4\"\n    type: worker\n",
			want:  "version: v1alpha1\nmachine:\n    type: worker\n    token: b\n    certSANs: []\n    sysctls:\n        x: \"1\"\n        y: \"3\"\n        z: \"4\"\n",
		},
		"lists are appended to": {
			base:  "version: v1alpha1\nmachine:\n    certSANs: [a]\n",
			patch: "machine: {certSANs: [b, c]}\n",
			want:  "version: v1alpha1\nmachine:\n    certSANs: [a, b, c]\n",
		},
		"subnets are replaced": {
			base:  "version: v1alpha1\ncluster:\n    network:\n        podSubnets:\n            - 10.0.0.0/16\n",
			patch: "cluster:\n    network:\n        podSubnets:\n            - 10.1.0.0/16\n",
			want:  "version: v1alpha1\ncluster:\n    network:\n        podSubnets:\n            - 10.1.0.0/16\n",
		},
		"the audit policy is replaced, other free content is merged": {
			base:  "version: v1alpha1\nmachine:\n    kubelet:\n        extraConfig:\n            a: 1\n            l:\n                - x\ncluster:\n    apiServer:\n        auditPolicy:\n            a: 1\n",
			patch: "machine:\n    kubelet:\n        extraConfig:\n            b: 2\n            l:\n                - y\ncluster:\n    apiServer:\n        auditPolicy:\n            b: 2\n",
			want:  "version: v1alpha1\nmachine:\n    kubelet:\n        extraConfig:\n            a: 1\n            l:\n                - x\n                - y\n            b: 2\ncluster:\n    apiServer:\n        auditPolicy:\n            b: 2\n",
		},
		"interfaces are merged by name, their VLANs by number": {
			base:  "version: v1alpha1\nmachine:\n    network:\n        interfaces:\n            - interface: eth0\n              vlans:\n                - vlanId: 5\n                  mtu: 1400\n            - interface: eth1\n",
			patch: "machine:\n    network:\n        interfaces:\n            - interface: eth0\n              dhcp: true\n              vlans:\n                - vlanId: 5\n                  mtu: 1500\n                - vlanId: 6\n            - interface: eth2\n",
			want:  "version: v1alpha1\nmachine:\n    network:\n        interfaces:\n            - interface: eth0\n              vlans:\n                - vlanId: 5\n                  mtu: 1500\n                - vlanId: 6\n              dhcp: true\n            - interface: eth1\n            - interface: eth2\n",
		},
		"a value of an argument is replaced": {
			base:  "apiVersion: v1alpha1\nkind: KubeletConfig\nimage: i\nextraArgs:\n    a: \"1\"\n    b:\n        - \"2\"\n",
			patch: "apiVersion: v1alpha1\nkind: KubeletConfig\nextraArgs:\n    b:\n        - \"3\"\n",
			want:  "apiVersion: v1alpha1\nkind: KubeletConfig\nimage: i\nextraArgs:\n    a: \"1\"\n    b:\n        - \"3\"\n",
		},
		"documents are found by kind and name, new ones are added": {
			base:  "apiVersion: v1alpha1\nkind: LinkConfig\nname: eth0\n---\napiVersion: v1alpha1\nkind: LinkConfig # stays\nname: eth1\n",
			patch: "apiVersion: v1alpha1\nkind: LinkConfig\nname: eth0\nmtu: 1400\n---\napiVersion: v1alpha1\nkind: LinkConfig\nname: eth2\n",
			want:  "apiVersion: v1alpha1\nkind: LinkConfig\nname: eth0\nmtu: 1400\n---\napiVersion: v1alpha1\nkind: LinkConfig # stays\nname: eth1\n---\napiVersion: v1alpha1\nkind: LinkConfig\nname: eth2\n",
		},
		"documents are deleted": {
			base:  "apiVersion: v1alpha1\nkind: LinkConfig\nname: eth0\n---\napiVersion: v1alpha1\nkind: LinkConfig\nname: eth1\n",
			patch: "apiVersion: v1alpha1\nkind: LinkConfig\nname: eth0\n$patch: delete\n---\napiVersion: v1alpha1\nkind: SysctlConfig\n$patch: delete\n",
			want:  "apiVersion: v1alpha1\nkind: LinkConfig\nname: eth1\n",
		},
		"entries and elements are deleted": {
			base:  "version: v1alpha1\nmachine:\n    network:\n        hostname: a\n        interfaces:\n            - interface: eth0\n              mtu: 1\n            - interface: eth1\n    sysctls:\n        a: b\n    env:\n        a: b\n        c: d\ncluster:\n    apiServer:\n        admissionControl:\n            - name: PodSecurity\n            - name: Other\n",
			patch: "machine:\n    network:\n        hostname:\n            $patch: delete\n        interfaces:\n            - interface: eth0\n              $patch: delete\n    sysctls:\n        $patch: delete\n    env:\n        a:\n            $patch: delete\ncluster:\n    apiServer:\n        admissionControl:\n            - name: PodSecurity\n              $patch: delete\n",
			want:  "version: v1alpha1\nmachine:\n    network:\n        interfaces:\n            - interface: eth1\n    env:\n        c: d\ncluster:\n    apiServer:\n        admissionControl:\n            - name: Other\n",
		},
		"null says nothing": {
			base:  "version: v1alpha1\nmachine:\n    token: a\n",
			patch: "machine:\n    token:\n",
			want:  "version: v1alpha1\nmachine:\n    token: a\n",
		},
		"aliases are what they stand for": {
			base:  "version: v1alpha1\nmachine:\n    env: &e\n        a: b\n    sysctls: *e\n",
			patch: "machine:\n    sysctls:\n        c: d\n",
			want:  "version: v1alpha1\nmachine:\n    env:\n        a: b\n    sysctls:\n        a: b\n        c: d\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			base := load(t, tt.base)

			got, err := base.Patch(patch(t, tt.patch))
			if err != nil {
				t.Fatal(err)
			}

			if diff := cmp.Diff(tt.want, string(got.Bytes())); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}

			if string(base.Bytes()) != tt.base {
				t.Error("the base has changed")
			}
		})
	}
}

func TestPatchFaults(t *testing.T) {
	t.Parallel()

	for name, tt := range map[string]struct{ patch, want string }{
		"unknown field":    {"machine:\n    tokken: a\n", "patch.yaml:2:5: machine.tokken: unknown field, expected token?"},
		"unknown deletion": {"machine:\n    tokken:\n        $patch: delete\n", "patch.yaml:2:5: machine.tokken: unknown field"},
		"unknown mark":     {"machine:\n    $patch: replace\n", `patch.yaml:2:13: machine.$patch: found "replace", expected delete`},
		"wrong type":       {"---\napiVersion: v1alpha1\nkind: LinkConfig\nmtu: big\n", `patch.yaml:4:6: mtu: found "big", expected a whole number`},
		"nothing":          {"# only a comment\n", "patch.yaml: found no document, expected a patch"},
		"operation":        {"- op: swap\n  path: /machine\n", `patch.yaml:1:7: [0].op: found "swap", expected add, remove`},
		"no path":          {"- op: remove\n", "patch.yaml:1:3: [0].path: found nothing"},
	} {
		_, err := machineconfig.LoadPatch([]byte(tt.patch), machineconfig.Options{File: "patch.yaml"})
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s: error is %v, want %s…", name, err, tt.want)
		}
	}
}

func TestJSONPatch(t *testing.T) {
	t.Parallel()

	base := load(t, "version: v1alpha1\nmachine:\n    type: worker\n    certSANs: [a]\n")
	change := patch(t, `[{"op": "add", "path": "/machine/certSANs/-", "value": "b"}, {"op": "add", "path": "/machine/token", "value": "t"}]`)

	got, err := base.Patch(change)
	if err != nil {
		t.Fatal(err)
	}

	want := "version: v1alpha1\nmachine:\n    type: worker\n    token: t\n    certSANs:\n        - a\n        - b\n"
	if diff := cmp.Diff(want, string(got.Bytes())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	if _, err := base.Patch(patch(t, "- op: test\n  path: /machine/type\n  value: controlplane\n")); err == nil {
		t.Error("a test that does not hold passes")
	}

	if _, err := base.Patch(patch(t, "- op: add\n  path: /machine/tokken\n  value: a\n")); err == nil {
		t.Error("an unknown field is accepted")
	}

	multi := load(t, "version: v1alpha1\n---\napiVersion: v1alpha1\nkind: LinkConfig\nname: a\n")
	if _, err := multi.Patch(change); !errors.Is(err, machineconfig.ErrJSONPatchMultiDoc) {
		t.Errorf("error is %v", err)
	}
}
