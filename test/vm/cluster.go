package vm

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/procfs"

	"github.com/basalt-os/basalt/pkg/client"
	"github.com/basalt-os/basalt/pkg/machineconfig"
	"github.com/basalt-os/basalt/pkg/provision"
	"github.com/basalt-os/basalt/pkg/provision/host"
	"github.com/basalt-os/basalt/pkg/provision/qemu"
)

const (
	// network is that of all stories: one is told at a time.
	network = "10.88.0.0/24"
	// startLimit bounds the start of the processes, stopLimit their end.
	startLimit = time.Minute
	stopLimit  = time.Minute
)

// Options describe the machines of a story.
type Options struct {
	ControlPlanes, Workers int // none of both: one control plane
	CPUs                   float64
	Memory                 uint64           // of each machine, in bytes; 0: 2 GiB
	Disks                  []provision.Disk // of each machine; none: one of 6 GiB
	// Boot is what the machines boot; with only a source, what the build made.
	Boot provision.Boot
	BIOS bool
	// Images is the folder of the images that the machines can pull; empty: those
	// that the build made.
	Images string
	// Injection is how they get their configurations; empty: not at all.
	Injection provision.Injection
	Settings  provision.Settings
	ExtraArgs string // for the kernel's command line
	// Before is called when the disks are made, before the machines are powered
	// on.
	Before func(*Cluster)
	// Seed is where random choices come from; 0 takes one from the clock.
	Seed uint64
}

// Cluster is the machines of a story.
type Cluster struct {
	Spec   *provision.Spec
	Folder provision.Folder
	// Machines are in the order of the description: control planes first.
	Machines []*Machine
	// Random makes the story's choices.
	Random *rand.Rand

	t      *testing.T
	ctx    context.Context // ends with the host process
	report Report
	out    string // where things are kept
	log    *logBuffer

	mu    sync.Mutex
	ended time.Duration // processor time of processes that have ended
	known map[int]time.Duration
}

// Start makes machines and powers them on. They are gone when the test ends;
// when it has failed, what their consoles said is kept in _out/vm.
func Start(t *testing.T, o Options) *Cluster {
	t.Helper()
	Require(t)

	seed := o.Seed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}

	t.Logf("seed %d", seed)

	c := &Cluster{
		t: t, log: &logBuffer{}, known: map[int]time.Duration{},
		Random: rand.New(rand.NewPCG(seed, 0)),
		out:    Output("_out", "vm", strings.ReplaceAll(t.Name(), "/", "-")),
		report: Report{Test: t.Name(), Began: time.Now().UTC().Truncate(time.Second), Seed: seed},
	}

	if err := errors.Join(os.RemoveAll(c.out), os.MkdirAll(c.out, 0o755)); err != nil {
		t.Fatal(err)
	}

	// The path of a socket has to be short.
	state, err := os.MkdirTemp("", "vm")
	if err != nil {
		t.Fatal(err)
	}

	c.Folder = provision.Open(state, "vm")
	c.ctx = t.Context()

	t.Cleanup(func() {
		c.report.finish(t, c.out)

		if t.Failed() {
			c.keep()
		}

		if err := os.RemoveAll(state); err != nil {
			t.Error(err)
		}
	})

	c.prepare(o)

	if o.Before != nil {
		o.Before(c)
	}

	c.run()

	return c
}

// prepare makes the folder with disks and configurations.
func (c *Cluster) prepare(o Options) {
	c.t.Helper()

	if err := c.describe(o); err != nil {
		c.t.Fatal(err)
	}

	if err := qemu.Preflight(c.Spec, c.Folder, nil); err != nil {
		c.t.Fatal(err)
	}

	configs, clientConfig, err := provision.Configure(c.Spec, o.Settings)
	if err != nil {
		c.t.Fatal(err)
	}

	if err := c.Folder.Create(c.Spec, configs); err != nil {
		c.t.Fatal(err)
	}

	if err := clientConfig.Save(c.Folder.Talosconfig()); err != nil {
		c.t.Fatal(err)
	}

	if err := qemu.Prepare(c.t.Context(), c.Spec, c.Folder, func(string) {}); err != nil {
		c.t.Fatal(err)
	}

	for _, node := range c.Spec.Nodes {
		c.Machines = append(c.Machines, &Machine{Node: node, Console: &Console{path: c.Folder.Console(node.Name)}, cluster: c})
	}
}

// describe makes the description.
func (c *Cluster) describe(o Options) error {
	emulator, err := qemu.Find(runtime.GOARCH, Output("_out", "qemu"), nil)
	if err != nil {
		return err
	}

	if o.ControlPlanes+o.Workers == 0 {
		o.ControlPlanes = 1
	}

	if len(o.Disks) == 0 {
		o.Disks = []provision.Disk{{Driver: "virtio", Size: 6 << 30}}
	}

	if o.Injection == "" {
		o.Injection = provision.InjectNone
	}

	share := provision.Share{CPUs: max(o.CPUs, qemu.DefaultCPUs), Memory: max(o.Memory, qemu.DefaultMemory), Disks: o.Disks}
	layout := provision.Layout{ControlPlanes: o.ControlPlanes, Workers: o.Workers, ControlPlane: share, Worker: share}

	c.Spec = &provision.Spec{
		Name: "vm", Provisioner: "qemu", Network: netip.MustParsePrefix(network), Created: time.Now().UTC(),
		KubernetesVersion: machineconfig.DefaultKubernetesVersion, Images: cmp.Or(o.Images, Output("_out", "oci")),
		Machines: &provision.Machines{
			Arch: runtime.GOARCH, UEFI: !o.BIOS, Program: emulator.Program, Firmware: emulator.Firmware,
			Injection: o.Injection, Hostnames: true, ExtraArgs: o.ExtraArgs,
		},
	}

	if c.Spec.Machines.Boot, err = bootOf(o.Boot); err != nil {
		return err
	}

	if c.Spec.Nodes, err = layout.Nodes("vm", c.Spec.Network); err != nil {
		return err
	}

	return c.accelerate()
}

// accelerate chooses what runs the machines.
func (c *Cluster) accelerate() error {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}

	m := c.Spec.Machines

	choice, err := qemu.Probe(c.t.Context(), m.Arch, m.Program, Image("vmlinuz-"+m.Arch), filepath.Join(cache, "basalt"))
	if err != nil {
		return err
	}

	m.Accelerator, m.Reason = choice.Accelerator, choice.Reason
	c.report.Accelerator = string(choice.Accelerator)
	c.t.Logf("accelerator %s: %s", choice.Accelerator, choice.Reason)

	return nil
}

// bootOf fills in what the build made.
func bootOf(boot provision.Boot) (provision.Boot, error) {
	base := "metal-" + runtime.GOARCH

	if boot.Source == "" {
		boot.Source = provision.BootDisk
	}

	if boot.Image == "" {
		boot.Image = map[provision.BootSource]string{
			provision.BootDisk: Image(base + ".raw"), provision.BootISO: Image(base + ".iso"),
			provision.BootUSB: Image(base + ".iso"), provision.BootUKI: Image(base + "-uki.efi"),
		}[boot.Source]
	}

	if boot.Source != provision.BootKernel || boot.Kernel != "" {
		return boot, nil
	}

	cmdline, err := os.ReadFile(Image("cmdline-" + base))
	boot.Kernel, boot.Initramfs = Image("vmlinuz-"+runtime.GOARCH), Image("initramfs-"+runtime.GOARCH)
	boot.Cmdline = strings.TrimSpace(string(cmdline))

	return boot, err
}

// run runs the host process's work inside the test.
func (c *Cluster) run() {
	c.t.Helper()

	ctx, stop := context.WithCancel(context.Background())
	c.ctx = ctx

	var (
		wg      sync.WaitGroup
		hostErr error
		ended   = make(chan struct{})
		silent  = make(chan struct{})
	)

	wg.Go(func() {
		defer close(ended)

		hostErr = host.Run(ctx, c.Folder, qemu.Provisioner{}, slog.New(slog.NewTextHandler(c.log, nil)))
	})

	for _, m := range c.Machines {
		wg.Go(func() { m.Console.follow(silent) })
	}

	c.t.Cleanup(func() {
		c.cpu() // the last look
		stop()
		<-ended
		close(silent)
		wg.Wait()

		if hostErr != nil {
			c.t.Errorf("hosting the machines: %v", hostErr)
		}
	})

	deadline, cancel := context.WithTimeout(c.t.Context(), startLimit)
	defer cancel()

	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()

	for {
		_, err := host.Nodes(deadline, c.Folder)
		if err == nil {
			return
		}

		select {
		case <-ended:
			c.t.Fatalf("the machines were not started: %v", hostErr)
		case <-deadline.Done():
			c.t.Fatalf("the machines were not started: %v", err)
		case <-ticker.C:
		}
	}
}

// API returns a client for all machines, with the cluster's certificates.
func (c *Cluster) API() *client.Client {
	c.t.Helper()

	api, err := client.New(client.WithConfigFile(c.Folder.Talosconfig()))
	if err != nil {
		c.t.Fatal(err)
	}

	c.t.Cleanup(func() { api.Close() })

	return api
}

// cpu is the processor time that the machines have taken since they were made.
func (c *Cluster) cpu() time.Duration {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), stopLimit)
	defer cancel()

	statuses, err := host.Nodes(ctx, c.Folder)
	if err != nil {
		return 0
	}

	c.mu.Lock()
	defer c.mu.Unlock()

	running := map[int]time.Duration{}

	for _, status := range statuses {
		if status.PID == 0 {
			continue
		}

		if taken, err := cpuOf(status.PID); err == nil {
			running[status.PID] = taken
		}
	}

	sum := c.ended

	for pid, taken := range c.known {
		if _, ok := running[pid]; !ok {
			c.ended += taken
			sum += taken
		}
	}

	for _, taken := range running {
		sum += taken
	}

	c.known = running

	return sum
}

func cpuOf(pid int) (time.Duration, error) {
	process, err := procfs.NewProc(pid)
	if err != nil {
		return 0, err
	}

	stat, err := process.Stat()

	return time.Duration(stat.CPUTime() * float64(time.Second)), err
}

// keep copies what explains a failure, and prints the most telling parts.
func (c *Cluster) keep() {
	for _, m := range c.Machines {
		c.t.Logf("the end of the console of %s:\n%s", m.Node.Name, m.Console.Tail(60))
	}

	logs, _ := filepath.Glob(c.Folder.Path("nodes", "*", "console.log*")) // the pattern is good

	for _, log := range logs {
		data, err := os.ReadFile(log)
		if err == nil {
			err = os.WriteFile(filepath.Join(c.out, filepath.Base(filepath.Dir(log))+"-"+filepath.Base(log)), data, 0o644)
		}

		if err != nil {
			c.t.Log(err)
		}
	}

	if err := os.WriteFile(filepath.Join(c.out, "host.log"), c.log.bytes(), 0o644); err != nil {
		c.t.Log(err)
	}

	c.t.Logf("logs are kept in %s", c.out)
}

// logBuffer keeps the log of the host process.
type logBuffer struct {
	mu   sync.Mutex
	data bytes.Buffer
}

func (l *logBuffer) Write(data []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()

	return l.data.Write(data)
}

func (l *logBuffer) bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()

	return bytes.Clone(l.data.Bytes())
}

// Output is a path below the folder of the module.
func Output(names ...string) string {
	path, err := filepath.Abs(filepath.Join(append([]string{"..", ".."}, names...)...))
	if err != nil {
		panic(err) // there is no working directory
	}

	return path
}

// Image is a file that "make image" makes.
func Image(name string) string { return Output("_out", "image", name) }

// Require skips the test where machines cannot be run.
func Require(t *testing.T) {
	t.Helper()

	if testing.Short() {
		t.Skip("virtual machines take minutes")
	}

	if os.Geteuid() != 0 {
		t.Skip("the machines' network needs root")
	}

	for _, path := range []string{Image("vmlinuz-" + runtime.GOARCH), Image("metal-" + runtime.GOARCH + ".raw"), Output("_out", "oci")} {
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			t.Skipf("%s is missing: run \"make image\" first", path)
		}
	}

	if _, err := qemu.Find(runtime.GOARCH, Output("_out", "qemu"), nil); err != nil {
		t.Skip(err)
	}
}

// Eventually polls until check returns nil, and fails with its last error when
// that takes longer than limit.
func (c *Cluster) Eventually(limit time.Duration, what string, check func(context.Context) error) {
	c.t.Helper()

	ctx, cancel := context.WithTimeoutCause(c.t.Context(), limit, fmt.Errorf("not within %s", limit))
	defer cancel()

	ticker := time.NewTicker(askInterval)
	defer ticker.Stop()

	for {
		err := check(ctx)
		if err == nil {
			return
		}

		select {
		case <-ctx.Done():
			c.t.Fatalf("%s: %v: %v", what, context.Cause(ctx), err)
		case <-ticker.C:
		}
	}
}
