package vm

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/basalt-os/basalt/internal/resources/runtime"
	"github.com/basalt-os/basalt/pkg/client"
	"github.com/basalt-os/basalt/pkg/provision"
	"github.com/basalt-os/basalt/pkg/provision/host"
	"github.com/basalt-os/basalt/pkg/provision/qemu"
)

// Machine is one machine of a story.
type Machine struct {
	Node    provision.Node
	Console *Console

	cluster *Cluster
}

// panicked is what a kernel says when it gives up.
var panicked = regexp.MustCompile(`Kernel panic - not syncing`)

// Await waits until the console says a pattern, after what was awaited before,
// and returns its submatches. A kernel that panics ends the wait, and the test.
func (m *Machine) Await(pattern string, limit time.Duration) []string {
	m.cluster.t.Helper()

	fatal := panicked
	if regexp.MustCompile(pattern).MatchString("Kernel panic - not syncing: ") {
		fatal = nil // it is what is waited for
	}

	return m.await(pattern, fatal, limit)
}

// AwaitDespitePanic is Await for a machine whose kernel may panic on the way.
func (m *Machine) AwaitDespitePanic(pattern string, limit time.Duration) []string {
	m.cluster.t.Helper()

	return m.await(pattern, nil, limit)
}

func (m *Machine) await(pattern string, fatal *regexp.Regexp, limit time.Duration) []string {
	m.cluster.t.Helper()

	match, err := m.Console.await(m.cluster.ctx.Done(), regexp.MustCompile(pattern), fatal, limit)
	if err != nil {
		m.cluster.t.Fatalf("%s: %v\nits console ended with\n%s", m.Node.Name, err, m.Console.Tail(25))
	}

	return match
}

// Said says whether the console has said a pattern after what was awaited.
func (m *Machine) Said(pattern string) bool {
	return m.Console.seen(regexp.MustCompile(pattern)) != ""
}

// PowerCut ends the machine at once.
func (m *Machine) PowerCut() { m.switched("cutting the power of", host.KillNode) }

// PowerOn starts a machine that is off.
func (m *Machine) PowerOn() { m.switched("powering on", host.StartNode) }

// PowerButton asks the machine to power off, and waits until it has.
func (m *Machine) PowerButton() { m.switched("powering off", host.StopNode) }

// Reset starts the machine again at once.
func (m *Machine) Reset() { m.switched("resetting", host.ResetNode) }

func (m *Machine) switched(doing string, act func(context.Context, provision.Folder, string) error) {
	m.cluster.t.Helper()
	m.cluster.cpu() // of a process that may end

	if err := act(m.cluster.t.Context(), m.cluster.Folder, m.Node.Name); err != nil {
		m.cluster.t.Fatalf("%s %s: %v", doing, m.Node.Name, err)
	}
}

// Status is what the machine is doing, as its host process sees it.
func (m *Machine) Status() host.NodeStatus {
	m.cluster.t.Helper()

	statuses, err := host.Nodes(m.cluster.t.Context(), m.cluster.Folder)
	if err != nil {
		m.cluster.t.Fatal(err)
	}

	for _, status := range statuses {
		if status.Name == m.Node.Name {
			return status
		}
	}

	m.cluster.t.Fatalf("there is no machine %s", m.Node.Name)

	return host.NodeStatus{}
}

// AwaitOff waits until the machine has powered itself off.
func (m *Machine) AwaitOff(limit time.Duration) {
	m.cluster.t.Helper()

	m.cluster.Eventually(limit, m.Node.Name+" powers off", func(context.Context) error {
		if status := m.Status(); status.State != host.Stopped {
			return fmt.Errorf("it is %s", status.State)
		}

		return nil
	})
}

// Maintenance returns a client for the API of maintenance mode.
func (m *Machine) Maintenance() *client.Client {
	m.cluster.t.Helper()

	api, err := client.New(client.WithEndpoints(m.Node.Address.String()), client.WithMaintenance())
	if err != nil {
		m.cluster.t.Fatal(err)
	}

	m.cluster.t.Cleanup(func() { api.Close() })

	return api
}

// On routes API calls to the machine.
func (m *Machine) On(ctx context.Context) context.Context {
	return client.WithNode(ctx, m.Node.Address.String())
}

// AwaitAPI waits until the API of the configured machine answers.
func (m *Machine) AwaitAPI(api *client.Client, limit time.Duration) {
	m.cluster.t.Helper()

	m.cluster.Eventually(limit, "the API of "+m.Node.Name+" answers", func(ctx context.Context) error {
		return version(m.On(ctx), api)
	})
}

// AwaitMaintenance waits until the machine is in maintenance mode, and returns a
// client for its API.
func (m *Machine) AwaitMaintenance(limit time.Duration) *client.Client {
	m.cluster.t.Helper()

	api := m.Maintenance()

	m.cluster.Eventually(limit, m.Node.Name+" is in maintenance mode", func(ctx context.Context) error {
		var status runtime.MachineStatus

		err := get(ctx, api, runtime.MachineStatusID, &status)
		if err == nil && status.Stage != runtime.MachineStageMaintenance {
			err = fmt.Errorf("it is %s", status.Stage)
		}

		return err
	})

	return api
}

// Config is the machine's configuration, as it was generated.
func (m *Machine) Config() []byte {
	m.cluster.t.Helper()

	config, err := os.ReadFile(m.cluster.Folder.NodeConfig(m.Node.Name))
	if err != nil {
		m.cluster.t.Fatal(err)
	}

	return config
}

// Disk is the file of a disk of the machine. It may be written to while the
// machine is off.
func (m *Machine) Disk(i int) string {
	return filepath.Join(m.cluster.Folder.Node(m.Node.Name), fmt.Sprintf("disk-%d.raw", i))
}

// Snapshot keeps what is on the disks of the machine, which must be off, and
// the variables of its firmware, to be restored later.
type Snapshot struct {
	machine *Machine
	dir     string
}

// Snapshot takes one.
func (m *Machine) Snapshot() Snapshot {
	m.cluster.t.Helper()

	m.mustBeOff()

	dir, err := os.MkdirTemp(m.cluster.Folder.Path(), "snapshot")
	if err == nil {
		err = qemu.Snapshot(m.cluster.Folder, m.Node, dir)
	}

	if err != nil {
		m.cluster.t.Fatalf("taking a snapshot of %s: %v", m.Node.Name, err)
	}

	return Snapshot{m, dir}
}

// Restore puts the snapshot back; the machine must be off.
func (s Snapshot) Restore() {
	s.machine.cluster.t.Helper()

	s.machine.mustBeOff()

	if err := qemu.Restore(s.machine.cluster.Folder, s.machine.Node, s.dir); err != nil {
		s.machine.cluster.t.Fatalf("restoring a snapshot of %s: %v", s.machine.Node.Name, err)
	}
}

// mustBeOff fails the test when somebody writes to the machine's disks.
func (m *Machine) mustBeOff() {
	m.cluster.t.Helper()

	if state := m.Status().State; state != host.Stopped {
		m.cluster.t.Fatalf("%s is %s, and has to be off", m.Node.Name, state)
	}
}
