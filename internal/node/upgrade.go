package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/basalt-os/basalt/internal/bootloader"
	"github.com/basalt-os/basalt/internal/machine"
	"github.com/basalt-os/basalt/internal/metapart"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/runtime"
	"github.com/basalt-os/basalt/internal/server"
	"github.com/basalt-os/basalt/internal/trial"
)

// bootLoader is what the node asks of the boot loader on its disk. Entries are
// named without their counters.
type bootLoader interface {
	// Entry is what was booted; it is empty when it did not come from the disk.
	Entry(ctx context.Context) (string, error)
	// OnTrial says whether the boot loader counts what was booted, and which entry
	// comes after it.
	OnTrial(ctx context.Context) (counted bool, other string, err error)
	// Newest is the entry that was written last.
	Newest(ctx context.Context) (string, error)
	// Bless has an entry boot as often as it may.
	Bless(ctx context.Context, entry string) error
	// Rollback has the next boot take another entry than this one, and says
	// which.
	Rollback(ctx context.Context, entry string) (string, error)
}

// trialMachine is this machine for the judgement of a new version.
type trialMachine struct{ n *Node }

var _ trial.Machine = trialMachine{}

// Record implements [trial.Machine].
func (m trialMachine) Record() (trial.Record, error) {
	value, _ := m.n.meta.Get(metapart.KeyTrial)

	return trial.Decode(value)
}

// Save implements [trial.Machine].
func (m trialMachine) Save(ctx context.Context, record trial.Record) error {
	value, err := record.Encode()
	if err != nil {
		return err
	}

	return m.n.meta.Set(ctx, metapart.KeyTrial, value)
}

// Bless implements [trial.Machine].
func (m trialMachine) Bless(ctx context.Context) error {
	entry, err := m.n.loader.Entry(ctx)
	if err != nil {
		return err
	}

	if err := m.n.loader.Bless(ctx, entry); err != nil {
		return err
	}

	m.n.logger.Info("this version stays", "entry", entry)

	return nil
}

// GiveUp implements [trial.Machine].
func (m trialMachine) GiveUp(ctx context.Context, reason string) error {
	m.n.logger.Error("this version does not come up: restarting", "reason", reason)

	err := m.n.endNode(ctx, machine.Reboot, machine.Restart, m.n.stopPhases()...)
	if errors.Is(err, machine.ErrLocked) {
		// A sequence that must not be interrupted ends the machine by itself.
		return nil
	}

	return err
}

// EtcdMember implements [trial.Machine].
func (trialMachine) EtcdMember() bool {
	_, err := os.Stat(filepath.Join(etcdData, "member"))

	return err == nil
}

// noteBoot writes down in META which version has booted, if an upgrade is under
// way. It is the first thing that a new version does once it can write.
func (n *Node) noteBoot(ctx context.Context) error {
	entry, err := n.loader.Entry(ctx)
	if err != nil || entry == "" {
		return err
	}

	if err := resource.Put(ctx, n.store, configOwner, runtime.BootedEntryID, runtime.BootedEntry{BootedEntry: entry}); err != nil {
		return err
	}

	m := trialMachine{n}

	record, err := m.Record()
	if err != nil {
		// What became of an upgrade is lost. The machine is not.
		n.logger.Error("reading META", "error", err)

		return nil
	}

	counted, other, err := n.loader.OnTrial(ctx)
	if err != nil {
		return err
	}

	if counted {
		record = record.Adopt(other, entry, time.Now())
	}

	next := record.Boot(entry, time.Now())

	switch {
	case next.State == trial.Trying:
		n.logger.Info("this version is on trial", "entry", entry, "attempt", len(next.Attempts), "of", bootloader.Tries)
	case next.State == trial.Returned && record.State != trial.Returned:
		n.logger.Error("the upgrade has failed, and the version before is back", "entry", entry, "reason", next.Reason)
	default:
		return nil
	}

	return m.Save(ctx, next)
}

// recordUpgrade writes down that another version is on the disk, to be tried by
// the next boot.
func (n *Node) recordUpgrade(ctx context.Context, image string) error {
	from, err := n.loader.Entry(ctx)
	if err != nil {
		return err
	}

	to, err := n.loader.Newest(ctx)
	if err != nil {
		return err
	}

	return trialMachine{n}.Save(ctx, trial.Begin(from, to, image, time.Now()))
}

// Upgrade implements [server.Machine]. Whatever can fail comes before anything
// is stopped.
func (l lifecycle) Upgrade(ctx context.Context, options server.UpgradeOptions) error {
	n := l.n
	if n.platform.isContainer() {
		return n.refuseInstallation()
	}

	installed, err := n.isInstalled(ctx)
	if err != nil {
		return err
	}

	if !installed {
		return fmt.Errorf("%w: the machine is not installed", server.ErrPrecondition)
	}

	if options.Stage {
		return n.stageUpgrade(ctx, options)
	}

	phases := []machine.Phase{{Name: "ephemeral", Tasks: []machine.Task{
		task("mountEphemeralPartition", stateTimeout, n.finishEphemeral),
	}}, {Name: "upgrade", Tasks: []machine.Task{
		task("upgrade", installTimeout, func(ctx context.Context) error { return n.upgradeTo(ctx, options.Image, options.Force) }),
	}}}

	return n.endNode(ctx, machine.Upgrade, machine.Restart, append(phases, n.drainAndStop(options.Force)...)...)
}

// upgradeTo runs the installer of an image.
func (n *Node) upgradeTo(ctx context.Context, image string, force bool) error {
	code, err := n.installer.upgrade(ctx, image, force, func(string) {})
	if err == nil && code != 0 {
		err = fmt.Errorf("%w with exit code %d: what it said is in the log of machined", errInstaller, code)
	}

	return err
}

// stageUpgrade leaves an upgrade to the next boot.
func (n *Node) stageUpgrade(ctx context.Context, options server.UpgradeOptions) error {
	if err := n.meta.Set(ctx, metapart.KeyStagedUpgradeImage, []byte(options.Image)); err != nil {
		return err
	}

	return n.endNode(ctx, machine.StageUpgrade, machine.Restart, n.drainAndStop(false)...)
}

// runStagedUpgrade does what the last boot left to this one, and says whether
// the machine has to start again for it. It is tried once.
func (n *Node) runStagedUpgrade(ctx context.Context) (bool, error) {
	image, ok := n.meta.Get(metapart.KeyStagedUpgradeImage)
	if !ok {
		return false, nil
	}

	if err := n.meta.Delete(ctx, metapart.KeyStagedUpgradeImage); err != nil {
		return false, err
	}

	if err := n.upgradeTo(ctx, string(image), false); err != nil {
		n.logger.Error("staged upgrade failed: going on with this version", "image", string(image), "error", err)

		return false, nil
	}

	return true, nil
}

// Rollback implements [server.Machine].
func (l lifecycle) Rollback(ctx context.Context) error {
	n := l.n
	if n.platform.isContainer() {
		return n.refuseInstallation()
	}

	from, err := n.loader.Entry(ctx)
	if err != nil {
		return err
	}

	to, err := n.loader.Rollback(ctx, from)
	if err != nil {
		return err
	}

	n.logger.Info("rolling back", "from", from, "to", to)

	return n.endNode(ctx, machine.Reboot, machine.Restart, n.drainAndStop(false)...)
}
