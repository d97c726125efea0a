// Package install puts the system on a disk, and new versions of it beside the
// one that is there.
//
// # Installing
//
// Everything that can be known before is checked before anything is written. A
// disk with something on it is not touched unless that is asked for. Then:
//
//  1. The first sector is erased: firmware passes the disk over from here on.
//     The rest of what was there is made unrecognizable after that.
//  2. A note says that an installation is under way, so that one that was cut
//     off can be made again without being asked to erase a disk.
//  3. The partitions are filled, and the partition table is written. The master
//     boot record comes last: with that one sector the disk begins to boot.
//
// # Upgrading
//
// Only the system partition changes, through package bootloader: a power cut
// leaves the old version or the new one, and STATE, EPHEMERAL and META are not
// touched. META belongs to the system that runs.
package install

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/basalt-os/basalt/internal/blockdev"
	"github.com/basalt-os/basalt/internal/blockdev/probe"
	"github.com/basalt-os/basalt/internal/bootloader"
	"github.com/basalt-os/basalt/internal/gpt"
	"github.com/basalt-os/basalt/internal/grub"
	"github.com/basalt-os/basalt/internal/layout"
	"github.com/basalt-os/basalt/internal/metapart"
)

// Errors of this package.
var (
	// ErrTooSmall says that the system does not fit on a disk.
	ErrTooSmall = errors.New("the disk is too small")
	// ErrNotEmpty says that a disk has something on it.
	ErrNotEmpty = errors.New("the disk is not empty")
	// ErrDisk says that a disk cannot be installed to for another reason.
	ErrDisk = errors.New("the disk cannot be used")
)

// Machine is what has to be known about the machine.
type Machine struct {
	Arch       string // as Go names it
	UEFI       bool   // firmware started it by UEFI
	SecureBoot bool   // and starts nothing that is not signed

	// Bootloader is what the boot loader is asked with.
	Bootloader bootloader.Options
}

// Job is one installation or upgrade of one disk. The disk is open for writing,
// alone unless it is for an upgrade, and stays the caller's. It is locked, and
// the lock ends when the caller closes it.
type Job struct {
	Disk       blockdev.Handle
	SectorSize int // bytes
	Machine    Machine
	Payload    *Payload

	// Platform and ExtraArgs change the command line of the kernel, see
	// [Payload].
	Platform  string
	ExtraArgs []string

	// Meta is what a new disk has in META.
	Meta map[metapart.Key][]byte
	// Zero makes what is on the disk unrecognizable, in all of its partitions.
	// Force only overwrites: also a disk without room for EPHEMERAL, and, when
	// upgrading, a version that is still on trial.
	Zero, Force bool

	NewGUID  func() uuid.UUID // a random one
	Progress func(string)     // takes lines for people

	efiSize int64 // of the system partition; 0 is the usual one
}

// Install puts the system on the disk.
func (j Job) Install(ctx context.Context) error {
	if err := j.Disk.Lock(); err != nil {
		return err
	}

	plan, err := j.plan()
	if err != nil {
		return err
	}

	meta, err := metapart.Encode(j.Meta)
	if err != nil {
		return err
	}

	system, err := j.Payload.system(j.Platform, j.ExtraArgs)
	if err != nil {
		return err
	}

	old, err := j.look()
	if err != nil {
		return err
	}

	steps := []func() error{
		func() error { return j.erase(old, plan) },
		func() error { return j.fill(ctx, plan, system) },
		func() error { return j.write(plan, plan.Meta, meta) },
		j.Disk.Sync,
		func() error { j.Progress("writing the partition table"); return plan.Table.Write(j.Disk) },
		func() error { return j.Disk.Zero(noteAt, noteSize) },
		j.Disk.Sync,
		func() error { return j.show(plan.Table) },
	}

	for _, step := range steps {
		if err := ctx.Err(); err != nil {
			return err
		}

		if err := step(); err != nil {
			return fmt.Errorf("installing: %w", err)
		}
	}

	j.Progress(fmt.Sprintf("version %s is installed", j.Payload.Version()))

	return nil
}

// Upgrade puts another version of the system beside the one that is on the disk.
func (j Job) Upgrade(ctx context.Context) error {
	if err := j.Disk.Lock(); err != nil {
		return err
	}

	loader, err := bootloader.Open(j.Disk, j.SectorSize, j.Machine.Bootloader)
	if err != nil {
		return err
	}

	system, err := j.Payload.system(j.Platform, j.ExtraArgs)
	if err != nil {
		return err
	}

	entry, err := loader.Add(ctx, system, j.Force, j.Progress)
	if err != nil {
		return fmt.Errorf("upgrading to version %s: %w", j.Payload.Version(), err)
	}

	if err := j.upgradeLoader(ctx, loader); err != nil {
		return fmt.Errorf("upgrading the boot loader: %w", err)
	}

	j.Progress(fmt.Sprintf("%s is next, and has %d tries", entry.ID, bootloader.Tries))

	return nil
}

// upgradeLoader replaces the boot loader itself, if the payload has it.
func (j Job) upgradeLoader(ctx context.Context, loader bootloader.Loader) error {
	s, err := loader.State()

	switch {
	case err != nil:
		return err
	case s.Kind == bootloader.SystemdBoot && j.Payload.loader != nil:
		j.Progress("writing the boot loader")

		return bootloader.UpdateProgram(ctx, loader, j.Machine.Arch, j.Payload.program())
	case s.Kind == bootloader.GRUB && j.Payload.core != nil:
		j.Progress("writing the boot loader")

		return bootloader.UpdateGRUB(j.Disk, j.SectorSize, j.Payload.boot, j.Payload.core)
	default:
		return nil
	}
}

// plan divides the disk, if the system fits on it.
func (j Job) plan() (layout.Layout, error) {
	size, err := j.Disk.Size()
	if err != nil {
		return layout.Layout{}, err
	}

	const mega = 1 << 20

	least := int64(layout.Least + layout.StateSize + layout.EphemeralMin)
	if int64(size) < least && !j.Force && j.efiSize == 0 {
		return layout.Layout{}, fmt.Errorf("%w: it has %d MiB, and the system needs %d with partitions %s and %s",
			ErrTooSmall, size/mega, least/mega, gpt.LabelState, gpt.LabelEphemeral)
	}

	if !j.Machine.UEFI && j.SectorSize != gptSector {
		return layout.Layout{}, fmt.Errorf("%w: this machine boots by BIOS, which starts no disk with sectors of %d bytes",
			ErrDisk, j.SectorSize)
	}

	plan, err := layout.New(layout.Options{
		Size: int64(size), SectorSize: j.SectorSize, BIOS: !j.Machine.UEFI, EFISize: j.efiSize,
		GUID: func(string) uuid.UUID { return j.NewGUID() },
	})
	if errors.Is(err, gpt.ErrNoSpace) {
		return layout.Layout{}, fmt.Errorf("%w: it has %d MiB: %w", ErrTooSmall, size/mega, err)
	}

	return plan, err
}

// look says which partitions the disk has, and fails if it has something on it
// that must not be lost.
func (j Job) look() ([]probe.Partition, error) {
	empty, err := blockdev.IsEmpty(j.Disk)
	if err != nil || empty {
		return nil, err
	}

	unfinished, err := j.unfinished()
	if err != nil {
		return nil, err
	}

	if unfinished {
		j.Progress("an installation was cut off here; beginning anew")

		return nil, nil
	}

	size, err := j.Disk.Size()
	if err != nil {
		return nil, err
	}

	found, err := probe.Look(probe.Device{Reader: j.Disk, Size: size, SectorSize: j.SectorSize})
	if err != nil || j.Zero || j.Force {
		return found.Partitions, err
	}

	what := found.Name
	if what == "" {
		what = "data of an unknown kind"
	}

	for i, p := range found.Partitions {
		separator := ", "
		if i == 0 {
			separator = " with partitions "
		}

		what += fmt.Sprintf("%s%d %q", separator, p.Number, p.Label)
	}

	return nil, fmt.Errorf("%w: it has %s; wipe it, or ask for that", ErrNotEmpty, what)
}

// The note of an installation that is under way lies between the partition table
// and the first partition, where nothing else is.
const (
	gptSector = 512
	noteAt    = gpt.Alignment - noteSize
	noteSize  = 4096
	note      = "An installation of Basalt was cut off. Nothing on this disk is complete.\n"
)

// unfinished says whether an installation was cut off: there is a note, and no
// master boot record yet.
func (j Job) unfinished() (bool, error) {
	head := make([]byte, gpt.Alignment)
	if _, err := j.Disk.ReadAt(head, 0); err != nil {
		return false, fmt.Errorf("looking at what is on the disk: %w", err)
	}

	return bytes.HasPrefix(head[noteAt:], []byte(note)) && head[gptSector-2] == 0 && head[gptSector-1] == 0, nil
}

// maxPartitions is how many partitions of a disk the kernel knows at most.
const maxPartitions = 256

// erase makes what is on the disk unrecognizable, first of all to firmware.
func (j Job) erase(old []probe.Partition, plan layout.Layout) error {
	size, err := j.Disk.Size()
	if err != nil {
		return err
	}

	for number := 1; number <= maxPartitions; number++ {
		if err := j.Disk.DeletePartition(number); err != nil {
			return err
		}
	}

	if len(old) > 0 {
		j.Progress(fmt.Sprintf("erasing what is on the disk, %d partitions", len(old)))
	}

	if err := j.Disk.Zero(0, uint64(j.SectorSize)); err != nil {
		return err
	}

	if err := j.Disk.Sync(); err != nil {
		return err
	}

	if err := blockdev.Forget(j.Disk, 0, size); err != nil {
		return err
	}

	text := append([]byte(note), make([]byte, noteSize-len(note))...)
	if _, err := j.Disk.WriteAt(text, noteAt); err != nil {
		return err
	}

	for _, p := range old {
		if !j.Zero || p.Size == 0 || p.Offset >= size {
			continue
		}

		if err := blockdev.Forget(j.Disk, p.Offset, min(p.Size, size-p.Offset)); err != nil {
			return err
		}
	}

	for _, p := range plan.Table.Partitions[1:] { // that of the file system is erased with making it
		if err := j.Disk.Zero(uint64(plan.Table.Offset(p)), uint64(plan.Table.Size(p))); err != nil {
			return err
		}
	}

	return j.Disk.Sync()
}

// fill writes the boot loader with the system.
func (j Job) fill(ctx context.Context, plan layout.Layout, system bootloader.Image) error {
	partition := blockdev.NewSection(j.Disk, plan.Table.Offset(plan.EFI), plan.Table.Size(plan.EFI))

	if j.Machine.UEFI {
		return bootloader.NewSystemdBoot(ctx, partition, j.SectorSize, j.Machine.Arch, j.Payload.program(), system, j.Progress)
	}

	if err := bootloader.NewGRUB(ctx, partition, j.SectorSize, system, j.Progress); err != nil {
		return err
	}

	j.Progress("writing GRUB")

	return grub.Install(j.Disk, plan.BIOS.First, plan.BIOS.Last, j.Payload.boot, j.Payload.core)
}

// write writes the beginning of a partition.
func (j Job) write(plan layout.Layout, partition gpt.Partition, data []byte) error {
	_, err := blockdev.NewSection(j.Disk, plan.Table.Offset(partition), plan.Table.Size(partition)).WriteAt(data, 0)
	if err != nil {
		return fmt.Errorf("writing partition %s: %w", partition.Label, err)
	}

	return nil
}

// show tells the kernel of the partitions.
func (j Job) show(table *gpt.Table) error {
	for _, p := range table.Partitions {
		err := j.Disk.AddPartition(blockdev.Range{
			Number: p.Number, Offset: uint64(table.Offset(p)), Length: uint64(table.Size(p)),
		})
		if err != nil && !errors.Is(err, blockdev.ErrInUse) {
			return err
		}
	}

	return nil
}
