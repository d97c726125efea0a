package e2e

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/basalt-os/basalt/pkg/client"
	"github.com/basalt-os/basalt/pkg/provision"
)

const (
	// createLimit and destroyLimit bound the life cycle of a cluster on a
	// machine that has other things to do.
	createLimit  = 8 * time.Minute
	destroyLimit = 2 * time.Minute
	// pollInterval is the pause between two looks at something that cannot be
	// watched.
	pollInterval = 250 * time.Millisecond
)

// layout says what a cluster of this package looks like.
type layout struct {
	name, cidr             string
	controlPlanes, workers int
}

// cluster is a running cluster with clients for everything that it serves.
type cluster struct {
	layout

	home   string // what the programs take for the user's home
	folder provision.Folder
	spec   *provision.Spec
	api    *client.Client
	rest   *rest.Config
	kube   kubernetes.Interface
}

// create makes a cluster with basaltctl, which lives until the test ends. What
// an interrupted run has left is removed first.
func create(t *testing.T, l layout) *cluster {
	t.Helper()
	requireBuild(t)

	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}

	c := &cluster{layout: l, home: filepath.Join(home, ".basalt", "e2e")}
	c.folder = provision.Open(c.state(), c.name)

	if !keep() {
		c.destroy(t)
	}

	t.Cleanup(func() { c.finish(t) })

	ctx, cancel := context.WithTimeout(t.Context(), createLimit)
	defer cancel()

	out, err := c.basaltctl(ctx, "cluster", "create", "--name", c.name, "--cidr", c.cidr, "--keep-failed",
		"--controlplanes", strconv.Itoa(c.controlPlanes), "--workers", strconv.Itoa(c.workers))
	t.Log(out)

	if err != nil {
		t.Fatalf("creating the cluster: %v", err)
	}

	c.connect(t)

	return c
}

// connect makes the clients.
func (c *cluster) connect(t *testing.T) {
	t.Helper()

	var err error

	if c.spec, err = c.folder.Spec(); err != nil {
		t.Fatal(err)
	}

	if c.api, err = client.New(client.WithConfigFile(c.folder.Talosconfig())); err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { c.api.Close() })

	if c.rest, err = clientcmd.BuildConfigFromFlags("", c.folder.Kubeconfig()); err != nil {
		t.Fatal(err)
	}

	// Stories look often; they must not wait for each other.
	c.rest.QPS, c.rest.Burst, c.rest.WarningHandler = -1, -1, rest.NoWarnings{}

	if c.kube, err = kubernetes.NewForConfig(c.rest); err != nil {
		t.Fatal(err)
	}
}

// finish keeps what is needed to understand a failure, destroys the cluster
// and checks that nothing is left of it.
func (c *cluster) finish(t *testing.T) {
	t.Helper()

	if t.Failed() {
		c.diagnose(t)
	}

	if keep() {
		return
	}

	traces := observe(t, c)
	c.destroy(t)
	traces.assertGone(t)
}

func (c *cluster) destroy(t *testing.T) {
	t.Helper()

	ctx, cancel := context.WithTimeout(context.Background(), destroyLimit)
	defer cancel()

	if out, err := c.basaltctl(ctx, "cluster", "destroy", "--name", c.name); err != nil {
		t.Errorf("destroying the cluster: %v\n%s", err, out)
	}
}

// basaltctl runs the program with a home folder of its own and returns what it
// printed.
func (c *cluster) basaltctl(ctx context.Context, args ...string) (string, error) {
	if args[0] == "cluster" {
		args = append(args, "--state", c.state())
	} else {
		args = append(args, "--talosconfig", c.folder.Talosconfig())
	}

	return c.run(exec.CommandContext(ctx, output("bin", "basaltctl"), args...))
}

// kubectl runs the program with the cluster's kubeconfig and returns what it
// printed.
func (c *cluster) kubectl(ctx context.Context, args ...string) (string, error) {
	return c.run(c.kubectlCommand(ctx, args...))
}

func (c *cluster) kubectlCommand(ctx context.Context, args ...string) *exec.Cmd {
	args = append([]string{"--kubeconfig", c.folder.Kubeconfig()}, args...)
	cmd := exec.CommandContext(ctx, output("bin", "kubectl"), args...)
	cmd.Env = c.environment()

	return cmd
}

func (c *cluster) run(cmd *exec.Cmd) (string, error) {
	cmd.Env = c.environment()

	out, err := cmd.CombinedOutput()

	return string(out), err
}

// environment keeps the user's own client configurations out of the stories.
func (c *cluster) environment() []string {
	return append(os.Environ(), "HOME="+c.home, "TALOSCONFIG=", "KUBECONFIG=")
}

// state is the folder with all clusters of this package.
func (c *cluster) state() string { return filepath.Join(c.home, "clusters") }

// nodes returns the nodes of a role.
func (c *cluster) nodes(role provision.Role) []provision.Node { return c.spec.ByRole(role) }

func (c *cluster) controlPlane() provision.Node { return c.nodes(provision.ControlPlane)[0] }

func (c *cluster) worker() provision.Node { return c.nodes(provision.Worker)[0] }

// addresses returns the addresses of all nodes, as the API takes them.
func (c *cluster) addresses() []string {
	var list []string
	for _, node := range c.spec.Nodes {
		list = append(list, node.Address.String())
	}

	return list
}

// on routes API calls to a node.
func on(ctx context.Context, node provision.Node) context.Context {
	return client.WithNode(ctx, node.Address.String())
}

// diagnose keeps logs in _out/e2e and prints the most telling parts.
func (c *cluster) diagnose(t *testing.T) {
	t.Helper()

	dir := output("_out", "e2e", c.name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Log(err)
	}

	logs, _ := filepath.Glob(c.folder.Path("nodes", "*", "console.log")) // the pattern is good
	for _, log := range append(logs, c.folder.Path("host.log")) {
		data, err := os.ReadFile(log)
		if err != nil {
			t.Log(err)

			continue
		}

		name := filepath.Base(filepath.Dir(log)) + "-" + filepath.Base(log)
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Log(err)
		}

		t.Logf("%s, warnings at the end:\n%s", name, warnings(data, 15))
	}

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	for _, args := range [][]string{
		{"get", "nodes", "-o", "wide"},
		{"get", "pods", "-A", "-o", "wide"},
		{"get", "events", "-A", "--sort-by=.lastTimestamp"},
	} {
		out, err := c.kubectl(ctx, append(args, "--request-timeout=10s")...)
		if err != nil {
			t.Log(err)
		}

		name := "kubectl-" + args[1] + ".txt"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(out), 0o644); err != nil {
			t.Log(err)
		}

		t.Logf("kubectl %s:\n%s", strings.Join(args, " "), lastLines(out, 40))
	}

	t.Logf("logs are kept in %s", dir)
}

// warnings returns the last lines of a log that are more than information.
func warnings(log []byte, count int) string {
	var kept [][]byte

	for line := range bytes.Lines(log) {
		if !bytes.Contains(line, []byte("level=INFO")) {
			kept = append(kept, line)
		}
	}

	return string(bytes.Join(kept[max(0, len(kept)-count):], nil))
}

func lastLines(text string, count int) string {
	lines := strings.Split(text, "\n")

	return strings.Join(lines[max(0, len(lines)-count):], "\n")
}

// eventually polls until check returns nil, and fails with its last error when
// that takes longer than limit. It returns how long it took.
func eventually(t *testing.T, limit time.Duration, what string, check func(context.Context) error) time.Duration {
	t.Helper()

	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()

	begin := time.Now()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()

	for {
		err := check(ctx)
		if err == nil {
			return time.Since(begin).Round(10 * time.Millisecond)
		}

		select {
		case <-ctx.Done():
			t.Fatalf("%s: not within %s: %v", what, limit, err)
		case <-ticker.C:
		}
	}
}

// requireBuild skips the test where clusters cannot be made.
func requireBuild(t *testing.T) {
	t.Helper()

	if testing.Short() {
		t.Skip("real clusters take minutes")
	}

	if os.Geteuid() != 0 {
		t.Skip("container nodes need root")
	}

	for _, path := range []string{output("bin", "basaltctl"), output("bin", "kubectl"), output("_out", "root"), output("_out", "oci")} {
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			t.Skipf("%s is missing: run \"make build\" first", path)
		}
	}
}

// output is a path below the folder of the module.
func output(names ...string) string {
	path, err := filepath.Abs(filepath.Join(append([]string{"..", ".."}, names...)...))
	if err != nil {
		panic(err) // there is no working directory
	}

	return path
}

func keep() bool { return os.Getenv("BASALT_E2E_KEEP") != "" }

// network is the address range of the cluster.
func (l layout) network() netip.Prefix { return netip.MustParsePrefix(l.cidr) }
