package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	machineapi "github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/blockdev"
	"github.com/basalt-os/basalt/internal/bootloader"
	"github.com/basalt-os/basalt/internal/controllers/k8s"
	"github.com/basalt-os/basalt/internal/kexec"
	"github.com/basalt-os/basalt/internal/machine"
	"github.com/basalt-os/basalt/internal/resources/runtime"
	"github.com/basalt-os/basalt/internal/server"
	"github.com/basalt-os/basalt/internal/uki"
	"github.com/basalt-os/basalt/pkg/machineconfig"
)

// kexecTimeout bounds how long reading the next kernel may take.
const kexecTimeout = 30 * time.Second

// drainTimeout bounds how long pods may take to move to other nodes.
const drainTimeout = time.Minute

// lifecycle is how the API moves the machine through its life.
type lifecycle struct{ n *Node }

var _ server.Machine = lifecycle{}

// Reboot implements [server.Machine].
func (l lifecycle) Reboot(ctx context.Context, mode server.RebootMode) error {
	phases := l.n.drainAndStop(false)

	switch {
	case mode == server.RebootForce:
		phases = nil
	case mode == server.RebootDefault && !l.n.platform.isContainer():
		phases = l.n.throughKexec(phases)
	}

	return l.n.endNode(ctx, machine.Reboot, machine.Restart, phases...)
}

// throughKexec adds to phases that stop the node those that restart it without its
// firmware: the next kernel is loaded as long as the volumes are open, and started
// at the end. Where that cannot be, the node restarts as always; so does one whose
// sequence was ended by another, which may want another kernel.
func (n *Node) throughKexec(phases []machine.Phase) []machine.Phase {
	var loaded atomic.Bool

	prepare := func(ctx context.Context) error {
		ok, err := n.prepareKexec(ctx)
		loaded.Store(ok)

		return err
	}

	start := func(context.Context) error {
		if loaded.Load() {
			n.finish(machine.Kexec)
		}

		return nil
	}

	phases = slices.Insert(phases, len(phases)-1,
		machine.Phase{Name: "kexec", Tolerant: true, Tasks: []machine.Task{task("kexecPrepare", kexecTimeout, prepare)}})

	return append(phases, machine.Phase{Name: "kexecStart", Tasks: []machine.Task{task("kexecStart", kexecTimeout, start)}})
}

// prepareKexec loads the kernel that runs once more, if the boot loader would start
// the same, and says whether it did.
func (n *Node) prepareKexec(ctx context.Context) (loaded bool, err error) {
	err = diskLoader{n}.with(ctx, blockdev.Read, func(loader bootloader.Loader) error {
		state, err := loader.State()
		if err != nil {
			return err
		}

		entry, ok := state.Settled()
		if !ok {
			n.logger.Info("restarting through the firmware: the boot loader has the choice")

			return nil
		}

		image, err := loader.Open(entry.ID)
		if err != nil {
			return err
		}

		kernel, err := image.Section(uki.Linux)
		if err != nil {
			return err
		}

		initramfs, err := image.Section(uki.Initrd)
		if err != nil {
			return err
		}

		err = kexec.Load(kernel, initramfs, n.platform.commandLine)
		loaded = err == nil

		return err
	})

	return loaded, err
}

// Shutdown implements [server.Machine].
func (l lifecycle) Shutdown(ctx context.Context, force bool) error {
	return l.n.endNode(ctx, machine.Shutdown, machine.PowerOff, l.n.drainAndStop(force)...)
}

// drainAndStop ends everything that runs, after the pods have moved away; forced,
// it does not move them.
func (n *Node) drainAndStop(force bool) []machine.Phase {
	if force {
		return n.stopPhases()
	}

	return append([]machine.Phase{n.drainPhase(true)}, n.stopPhases()...)
}

// drainPhase moves the pods of this node to others; pods without a controller
// wait for a node that comes back as it is. A cluster that cannot take them does
// not keep the node from ending.
func (n *Node) drainPhase(comesBack bool) machine.Phase {
	return machine.Phase{Name: "drain", Tolerant: true, Tasks: []machine.Task{
		task("cordonAndDrainNode", drainTimeout, func(ctx context.Context) error {
			return k8s.Drain(ctx, n.store, k8s.KubeletFiles{}, comesBack, n.logger)
		}),
	}}
}

// Bootstrap implements [server.Machine].
func (l lifecycle) Bootstrap(ctx context.Context, options server.BootstrapOptions) error {
	cfg, err := l.n.activeConfig(ctx)
	if err != nil {
		return err
	}

	if cfg == nil || !cfg.Machine().IsControlPlane() {
		return fmt.Errorf("%w: this is not a control plane node", server.ErrPrecondition)
	}

	err = l.n.member.bootstrap(bootstrap{snapshot: options.Snapshot, skipHashCheck: options.SkipHashCheck})
	if errors.Is(err, errHasData) || errors.Is(err, errIsBootstrap) {
		return fmt.Errorf("%w: %w", server.ErrExists, err)
	}

	return err
}

// configuration is how the API reads and changes the machine configuration.
type configuration struct{ n *Node }

var _ server.Config = configuration{}

// Running implements [server.Config].
func (c configuration) Running(ctx context.Context) ([]byte, error) {
	cfg, err := c.n.activeConfig(ctx)
	if err != nil || cfg == nil {
		return nil, err
	}

	return cfg.Bytes(), nil
}

// Validate implements [server.Config].
func (c configuration) Validate(_ context.Context, next []byte) ([]string, error) {
	cfg, err := machineconfig.Load(next, machineconfig.Options{})
	if err != nil {
		return nil, err
	}

	return cfg.Validate(c.n.platform.mode)
}

// NeedsReboot implements [server.Config]. Everything follows the configuration
// at run time, except which services the node has.
func (c configuration) NeedsReboot(_ context.Context, running, next []byte) ([]string, error) {
	before, err := machineconfig.Load(running, machineconfig.Options{})
	if err != nil {
		return nil, err
	}

	after, err := machineconfig.Load(next, machineconfig.Options{})
	if err != nil {
		return nil, err
	}

	if from, to := before.Machine().Type, after.Machine().Type; from != to {
		return []string{fmt.Sprintf("The machine type changes from %v to %v.", from, to)}, nil
	}

	return nil, nil
}

// Difference implements [server.Config].
func (c configuration) Difference(_ context.Context, running, next []byte) (string, error) {
	before := &machineconfig.Config{}

	if running != nil {
		var err error
		if before, err = machineconfig.Load(running, machineconfig.Options{}); err != nil {
			return "", err
		}
	}

	after, err := machineconfig.Load(next, machineconfig.Options{})
	if err != nil {
		return "", err
	}

	return machineconfig.Diff(before, after)
}

// Store implements [server.Config].
func (c configuration) Store(ctx context.Context, next []byte) error {
	return c.n.storeConfig(ctx, next)
}

// Activate implements [server.Config].
func (c configuration) Activate(ctx context.Context, next []byte) error {
	return c.n.activate(ctx, next)
}

// inMaintenance says whether the node waits for its configuration.
func (n *Node) inMaintenance() bool {
	current, _ := n.stage.get()

	return current == runtime.MachineStageMaintenance
}

// announceEnd tells followers of events how the machine ends.
func (n *Node) announceEnd(ctx context.Context, power machine.Power) {
	command := int64(unix.LINUX_REBOOT_CMD_POWER_OFF)
	if power != machine.PowerOff {
		command = unix.LINUX_REBOOT_CMD_RESTART
	}

	n.events.Publish(ctx, &machineapi.RestartEvent{Cmd: command})
}
