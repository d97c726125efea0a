package block

import (
	"path/filepath"
	"slices"
	"time"

	"github.com/basalt-os/basalt/internal/blockdev"
	"github.com/basalt-os/basalt/internal/blockdev/mkfs"
	"github.com/basalt-os/basalt/internal/controllers/block/manager"
	"github.com/basalt-os/basalt/internal/controllers/block/mount"
	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/reconcile"
)

// Dependencies are what the controllers of a machine's disks and volumes need.
type Dependencies struct {
	Config *configured.Reader

	System blockdev.System
	Opener blockdev.Opener
	Watch  Watch
	// Dev is the folder of device nodes, below which links are made.
	Dev string

	Maker       manager.Maker
	Mounter     mount.Mounter
	Maintenance Maintenance
	// Proc is a folder in the form of /proc.
	Proc string
	Now  func() time.Time
	// BootPartition is the identity of the partition that the boot loader came
	// from, empty when it is not known.
	BootPartition func() string
}

// OfMachine are the dependencies of the machine that this is. Runner starts
// the programs that make file systems.
func OfMachine(reader *configured.Reader, runner mkfs.Runner) Dependencies {
	system := blockdev.System{Root: "/sys"}
	opener := blockdev.Devices{}

	return Dependencies{
		Config: reader, System: system, Opener: opener, Watch: system.Watch, Dev: "/dev",
		Maker: mkfs.Maker{Runner: runner, Opener: opener}, Mounter: mount.Kernel{Opener: opener},
		Maintenance: KernelMaintenance{Runner: runner}, Proc: "/proc", Now: time.Now,
		BootPartition: func() string { return blockdev.BootPartition(filepath.Join(system.Root, "firmware/efi/efivars")) },
	}
}

// Machine are all controllers of a machine with disks of its own. They take the
// place of those that [Controllers] returns.
func Machine(d Dependencies) []reconcile.Controller {
	return slices.Concat(
		[]reconcile.Controller{
			Devices(d.System, d.Watch), Discovery(d.System, d.Opener), Symlinks(d.System, d.Dev), Disks(d.System), SystemDisk(),
			SystemVolumes(d.Config), UserVolumes(d.Config), UserMounts(d.Config), UserDisks(d.Config),
			manager.New(manager.Dependencies{
				System: d.System, Opener: d.Opener, Maker: d.Maker, BootPartition: d.BootPartition,
			}),
			SwapStatus(d.Proc), Zswap(d.Config), ZswapStatus(d.System.Root),
			Trim(d.Maintenance, d.Now), Scrub(d.Maintenance, d.Now),
		},
		mount.Controllers(d.Config, d.Mounter),
	)
}
