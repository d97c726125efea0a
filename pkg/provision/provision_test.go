package provision_test

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/basalt-os/basalt/pkg/machineconfig"
	"github.com/basalt-os/basalt/pkg/machineconfig/document"
	"github.com/basalt-os/basalt/pkg/provision"
)

func spec(t *testing.T, layout provision.Layout) *provision.Spec {
	t.Helper()

	network := netip.MustParsePrefix("10.5.0.0/24")

	nodes, err := layout.Nodes("test", network)
	if err != nil {
		t.Fatal(err)
	}

	return &provision.Spec{Name: "test", Network: network, Nodes: nodes, KubernetesVersion: machineconfig.DefaultKubernetesVersion}
}

func TestLayoutNodes(t *testing.T) {
	for name, test := range map[string]struct {
		layout  provision.Layout
		network string
		want    []string // "name role address"
		err     string
	}{
		"small": {
			provision.Layout{ControlPlanes: 1, Workers: 1}, "10.5.0.0/24",
			[]string{"test-controlplane-1 controlplane 10.5.0.2", "test-worker-1 worker 10.5.0.3"}, "",
		},
		"not at the beginning of the range": {
			provision.Layout{ControlPlanes: 1}, "10.5.0.77/24", []string{"test-controlplane-1 controlplane 10.5.0.2"}, "",
		},
		"just enough room": {
			provision.Layout{ControlPlanes: 3, Workers: 2}, "10.5.0.0/29",
			[]string{
				"test-controlplane-1 controlplane 10.5.0.2", "test-controlplane-2 controlplane 10.5.0.3",
				"test-controlplane-3 controlplane 10.5.0.4", "test-worker-1 worker 10.5.0.5", "test-worker-2 worker 10.5.0.6",
			}, "",
		},
		"no room":          {provision.Layout{ControlPlanes: 3, Workers: 3}, "10.5.0.0/29", nil, "no room for 6 nodes"},
		"no control plane": {provision.Layout{Workers: 1}, "10.5.0.0/24", nil, "at least one control plane"},
		"negative":         {provision.Layout{ControlPlanes: 1, Workers: -1}, "10.5.0.0/24", nil, "cannot be negative"},
	} {
		nodes, err := test.layout.Nodes("test", netip.MustParsePrefix(test.network))
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%s: got error %v, want %q", name, err, test.err)
			}

			continue
		}

		var got []string
		for _, node := range nodes {
			got = append(got, node.Name+" "+string(node.Role)+" "+node.Address.String())
		}

		if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
}

func TestValidate(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*provision.Spec)
		want   string
	}{
		"good":             {func(*provision.Spec) {}, ""},
		"capitals":         {func(s *provision.Spec) { s.Name = "Test" }, "cluster name"},
		"a path":           {func(s *provision.Spec) { s.Name = "../x" }, "cluster name"},
		"empty":            {func(s *provision.Spec) { s.Name = "" }, "cluster name"},
		"long":             {func(s *provision.Spec) { s.Name = strings.Repeat("a", 43) }, "cluster name"},
		"small network":    {func(s *provision.Spec) { s.Network = netip.MustParsePrefix("10.5.0.0/30") }, "/29 or larger"},
		"IPv6":             {func(s *provision.Spec) { s.Network = netip.MustParsePrefix("fd00::/64") }, "/29 or larger"},
		"no control plane": {func(s *provision.Spec) { s.Nodes = s.Nodes[1:] }, "no control plane"},
	} {
		s := spec(t, provision.Layout{ControlPlanes: 1, Workers: 1})
		test.change(s)

		err := s.Validate()
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
}

func TestFolder(t *testing.T) {
	state := t.TempDir()
	folder := provision.Open(state, "test")

	if _, err := folder.Spec(); !errors.Is(err, provision.ErrNoCluster) {
		t.Errorf("reading a spec that does not exist: %v", err)
	}

	want := spec(t, provision.Layout{
		ControlPlanes: 1, Workers: 1,
		ControlPlane: provision.Share{Memory: 1 << 30, CPUs: 1.5, Disks: []provision.Disk{{Driver: "nvme", Size: 1 << 30}}},
	})
	configs := map[string][]byte{"test-controlplane-1": []byte("one"), "test-worker-1": []byte("two")}

	if err := folder.Create(want, configs); err != nil {
		t.Fatal(err)
	}

	specs, err := provision.List(state)
	if err != nil {
		t.Fatal(err)
	}

	comparers := cmp.Options{cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})}
	if diff := cmp.Diff([]provision.Spec{*want}, specs, comparers); diff != "" {
		t.Error(diff)
	}

	info, err := os.Stat(folder.NodeConfig("test-worker-1"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the configuration has secrets, its mode is %v (%v)", info.Mode(), err)
	}

	if err := folder.Remove(); err != nil {
		t.Fatal(err)
	}

	if specs, err := provision.List(state); err != nil || len(specs) != 0 {
		t.Errorf("after removal: %v, %v", specs, err)
	}

	if specs, err := provision.List(state + "/missing"); err != nil || len(specs) != 0 {
		t.Errorf("in a folder that does not exist: %v, %v", specs, err)
	}
}

func TestConfigure(t *testing.T) {
	s := spec(t, provision.Layout{ControlPlanes: 1, Workers: 1})

	patch, err := machineconfig.LoadPatch([]byte("apiVersion: v1alpha1\nkind: KubeNetworkConfig\ndnsDomain: test.local\n"), machineconfig.Options{})
	if err != nil {
		t.Fatal(err)
	}

	s.Resolvers = []netip.Addr{netip.MustParseAddr("192.0.2.1")}

	configs, client, err := provision.Configure(s, provision.Settings{Patches: provision.Patches{All: []machineconfig.Patch{patch}}})
	if err != nil {
		t.Fatal(err)
	}

	for _, node := range s.Nodes {
		config, err := machineconfig.Load(configs[node.Name], machineconfig.Options{})
		if err != nil {
			t.Fatal(err)
		}

		if warnings, err := config.Validate(machineconfig.Container); err != nil {
			t.Errorf("%s: %v %v", node.Name, warnings, err)
		}

		if hostname := machineconfig.Find[document.HostnameConfig](config); hostname == nil || hostname.Hostname != node.Name {
			t.Errorf("%s: the hostname is %+v", node.Name, hostname)
		}

		for _, want := range []string{"http://10.5.0.1:5000", "http://10.5.0.1:3000", "https://10.5.0.1:6443", "192.0.2.1", "test.local"} {
			if !strings.Contains(string(configs[node.Name]), want) {
				t.Errorf("%s: the configuration does not have %s", node.Name, want)
			}
		}
	}

	context, err := client.Select("")
	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff([]string{"10.5.0.2"}, context.Endpoints); diff != "" {
		t.Error(diff)
	}
}

// Container nodes ask the host process for the time, unless a patch says whom to
// ask; machines learn it by DHCP.
func TestConfigureTime(t *testing.T) {
	for name, test := range map[string]struct {
		machines *provision.Machines
		patch    string
		want     []string
	}{
		"containers":   {nil, "", []string{"10.5.0.1"}},
		"own servers":  {nil, "apiVersion: v1alpha1\nkind: TimeSyncConfig\nntp: {servers: [192.0.2.7]}\n", []string{"192.0.2.7"}},
		"older form":   {nil, "machine: {time: {servers: [192.0.2.7]}}\n", []string{"192.0.2.7"}},
		"no time sync": {nil, "apiVersion: v1alpha1\nkind: TimeSyncConfig\nenabled: false\n", []string{machineconfig.DefaultTimeServer}},
		"machines":     {&provision.Machines{}, "", []string{machineconfig.DefaultTimeServer}},
	} {
		s := spec(t, provision.Layout{ControlPlanes: 1})
		s.Machines = test.machines

		var settings provision.Settings

		if test.patch != "" {
			patch, err := machineconfig.LoadPatch([]byte(test.patch), machineconfig.Options{})
			if err != nil {
				t.Fatal(err)
			}

			settings.Patches.All = []machineconfig.Patch{patch}
		}

		configs, _, err := provision.Configure(s, settings)
		if err != nil {
			t.Fatal(err)
		}

		config, err := machineconfig.Load(configs["test-controlplane-1"], machineconfig.Options{})
		if err != nil {
			t.Fatal(err)
		}

		if warnings, err := config.Validate(machineconfig.Container); err != nil {
			t.Errorf("%s: %v %v", name, warnings, err)
		}

		if diff := cmp.Diff(test.want, config.Machine().Time.Servers); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// Machines whose code is translated are slow: their control planes get patience.
func TestConfigureTranslated(t *testing.T) {
	for accelerator, want := range map[provision.Accelerator]bool{provision.KVM: false, provision.TCG: true} {
		s := spec(t, provision.Layout{ControlPlanes: 1, Workers: 1})
		s.Machines = &provision.Machines{Accelerator: accelerator}

		configs, _, err := provision.Configure(s, provision.Settings{})
		if err != nil {
			t.Fatal(err)
		}

		for _, node := range s.Nodes {
			if got := bytes.Contains(configs[node.Name], []byte("leader-elect-lease-duration: 60s")); got != (want && node.Role == provision.ControlPlane) {
				t.Errorf("%s, %s: patience %t", accelerator, node.Name, got)
			}
		}
	}
}
