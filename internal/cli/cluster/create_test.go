package cluster

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/basalt-os/basalt/pkg/client/clientconfig"
	"github.com/basalt-os/basalt/pkg/machineconfig"
	"github.com/basalt-os/basalt/pkg/machineconfig/document"
	"github.com/basalt-os/basalt/pkg/provision"
)

// testSpec describes a small cluster.
func testSpec(t *testing.T, machines *provision.Machines) *provision.Spec {
	t.Helper()

	network := netip.MustParsePrefix("10.5.0.0/24")

	nodes, err := provision.Layout{ControlPlanes: 1, Workers: 1}.Nodes("test", network)
	if err != nil {
		t.Fatal(err)
	}

	return &provision.Spec{Name: "test", Provisioner: containers, Network: network, Nodes: nodes, Machines: machines}
}

// Whatever is waited for, the cluster begins, and the next steps that are printed
// hold: the files that they name are there.
func TestCreateBegins(t *testing.T) {
	for name, test := range map[string]struct {
		machines        *provision.Machines
		args            []string
		calls           []string
		files           bool // kubeconfig, and the context in the user's configuration
		printed, absent []string
	}{
		"wait": {
			calls: []string{"version", "bootstrap", "health", "kubeconfig"}, files: true,
			printed: []string{" health\n", " get nodes -o wide\n"},
		},
		"do not wait": {
			args:  []string{"--wait=false"},
			calls: []string{"version", "bootstrap", "kubeconfig"}, files: true,
			printed: []string{" health\n", "/test/kubeconfig get nodes -o wide\n", " cluster destroy --name test --state "},
		},
		"no client configurations": {
			args:    []string{"--wait=false", "--skip-kubeconfig"},
			calls:   []string{"version", "bootstrap"},
			printed: []string{"/test/talosconfig health\n", "/test/talosconfig kubeconfig\n"}, absent: []string{"--kubeconfig"},
		},
		"machines without configurations": {
			machines: &provision.Machines{Injection: provision.InjectNone},
			printed: []string{
				"apply-config --insecure -n 10.5.0.2 -f ", "/test/nodes/test-controlplane-1/config.yaml\n", "/test/talosconfig bootstrap\n",
			},
			absent: []string{"--kubeconfig", " health"},
		},
		"other flags": {
			args:  []string{"--wait=false", "--workers", "1", "--disks", "virtio:1GiB", "--registry-mirror", "a=http://b"},
			calls: []string{"version", "bootstrap", "kubeconfig"}, files: true,
			printed: []string{"created: --disks, --registry-mirror has no effect"},
		},
	} {
		t.Run(strings.ReplaceAll(name, " ", ""), func(t *testing.T) {
			state := t.TempDir()
			user := filepath.Join(t.TempDir(), "config")
			t.Setenv("TALOSCONFIG", user)

			folder := provision.Open(state, "test")
			node := fakeCluster(t, testSpec(t, test.machines), folder)

			var out bytes.Buffer

			command := New()
			command.SetOut(&out)
			command.SetErr(&out)
			command.SetArgs(append([]string{"create", "--name", "test", "--state", state, "--wait-timeout", "1m"}, test.args...))

			if err := command.ExecuteContext(t.Context()); err != nil {
				t.Fatalf("%v\n%s", err, &out)
			}

			if diff := cmp.Diff(test.calls, node.calls); diff != "" {
				t.Error(diff)
			}

			assertFiles(t, folder, user, test.files)

			for _, want := range test.printed {
				if !strings.Contains(out.String(), want) {
					t.Errorf("no %q in\n%s", want, &out)
				}
			}

			for _, not := range test.absent {
				if strings.Contains(out.String(), not) {
					t.Errorf("%q is in\n%s", not, &out)
				}
			}
		})
	}
}

// assertFiles wants the client configurations, or none of them.
func assertFiles(t *testing.T, folder provision.Folder, user string, want bool) {
	t.Helper()

	kubeconfig, err := os.ReadFile(folder.Kubeconfig())
	if got := err == nil && string(kubeconfig) == fakeKubeconfig; got != want {
		t.Errorf("a kubeconfig: got %t (%v), want %t", got, err, want)
	}

	config, err := clientconfig.LoadOrNew(user)
	if err != nil {
		t.Fatal(err)
	}

	if got := config.Context == "test"; got != want {
		t.Errorf("the user's context is %q", config.Context)
	}
}

// parsed is what the flags describe.
func parsed(t *testing.T, args ...string) (*provision.Spec, provision.Settings, error) {
	t.Helper()

	o := createOptions{target: &target{name: "test"}}

	command := o.command()
	if err := command.ParseFlags(args); err != nil {
		t.Fatal(err)
	}

	return o.spec(command.Flags())
}

// What does not depend on what nodes are made of holds for container nodes too.
func TestSettingsOfContainers(t *testing.T) {
	spec, settings, err := parsed(t, "--registry-mirror", "docker.io=http://mirror.test:5000", "--nameservers", "192.0.2.1,192.0.2.2",
		"--dns-domain", "stone.test", "--with-cluster-discovery=false", "--with-kubespan", "--cpus", "2", "--cpus-workers", "1.5",
		"--memory-workers", "1GiB")
	if err != nil {
		t.Fatal(err)
	}

	resolvers := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")}
	if diff := cmp.Diff(resolvers, spec.Resolvers, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Error(diff)
	}

	if one, two := spec.Nodes[0], spec.Nodes[1]; one.CPUs != 2 || two.CPUs != 1.5 || two.Memory != 1<<30 {
		t.Errorf("the nodes have %v and %v processors, and the second %d bytes", one.CPUs, two.CPUs, two.Memory)
	}

	configs, _, err := provision.Configure(spec, settings)
	if err != nil {
		t.Fatal(err)
	}

	for name, text := range configs {
		config, err := machineconfig.Load(text, machineconfig.Options{})
		if err != nil {
			t.Fatal(err)
		}

		if warnings, err := config.Validate(machineconfig.Container); err != nil {
			t.Errorf("%s: %v %v", name, warnings, err)
		}

		for _, want := range []string{"http://mirror.test:5000", "192.0.2.2", "stone.test"} {
			if !strings.Contains(string(text), want) {
				t.Errorf("%s: the configuration does not have %s", name, want)
			}
		}

		if machineconfig.Find[document.KubeSpanConfig](config) == nil {
			t.Errorf("%s: no KubeSpan", name)
		}

		if machineconfig.Find[document.DiscoveryServiceConfig](config) != nil {
			t.Errorf("%s: there is a discovery service", name)
		}
	}
}

// A flag that says nothing about nodes of the chosen kind is refused by its name.
func TestMisplacedFlags(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		want string // empty: nothing is refused
	}{
		"none":                    {nil, ""},
		"of all nodes":            {[]string{"--nameservers", "192.0.2.1", "--skip-kubeconfig", "--root-tree", "root"}, ""},
		"disks":                   {[]string{"--disks", "virtio:1GiB"}, "--disks: for machines alone"},
		"the default value":       {[]string{"--mtu", "1500"}, "--mtu: for machines alone"},
		"several":                 {[]string{"--with-uefi=false", "--boot", "iso"}, "--boot, --with-uefi: for machines alone"},
		"without a configuration": {[]string{"--skip-injecting-config"}, "--skip-injecting-config: for machines alone"},
		"root tree of machines":   {[]string{"--provisioner", "qemu", "--root-tree", "root"}, "--root-tree is for container nodes"},
		"machines":                {[]string{"--provisioner", "qemu", "--disks", "virtio:1GiB", "--mtu", "1400"}, ""},
		"a bad mirror":            {[]string{"--registry-mirror", "docker.io"}, "--registry-mirror: "},
		"a bad name server":       {[]string{"--nameservers", "dns.test"}, "--nameservers: "},
	} {
		_, _, err := parsed(t, test.args...)
		text := ""

		// Whether there is an emulator here is another matter.
		if err != nil {
			text = err.Error()
		}

		if refused := strings.Contains(text, "alone") || strings.Contains(text, "--root-tree"); test.want == "" && refused || !strings.Contains(text, test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
}
