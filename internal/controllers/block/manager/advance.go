package manager

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/google/uuid"

	"github.com/basalt-os/basalt/internal/blockdev"
	"github.com/basalt-os/basalt/internal/controllers/block/volumes"
	"github.com/basalt-os/basalt/internal/resources/block"
)

// advance brings a volume as far as it goes now. Its status says where that
// is; a failure is part of it.
func (m *manager) advance(ctx context.Context, w *world, v *volume, all []*volume) {
	if v.status.Phase == block.VolumePhaseFailed {
		v.restart()
	}

	if v.status.Phase == block.VolumePhaseReady && m.vanished(w, v) {
		v.restart()
	}

	phase := v.status.Phase
	v.status.ErrorMessage = ""

	err := m.steps(ctx, w, v, all, func() { phase = v.status.Phase })

	switch {
	case errors.Is(err, blockdev.ErrLocked):
		v.status.ErrorMessage, v.locked = err.Error(), true

		if v.status.Phase == block.VolumePhaseMissing {
			v.status.Phase = block.VolumePhaseWaiting
		}
	case err != nil:
		v.status.PreFailPhase, v.status.Phase, v.status.ErrorMessage = phase, block.VolumePhaseFailed, err.Error()
	}

	if v.id == volumes.Meta {
		w.settle(v.status)
	}
}

// restart begins anew.
func (v *volume) restart() {
	v.status = block.VolumeStatus{}
	v.describe()
}

// vanished says whether the device of a volume is gone.
func (m *manager) vanished(w *world, v *volume) bool {
	if v.config.Type != block.VolumeTypePartition && v.config.Type != block.VolumeTypeDisk {
		return false
	}

	name := blockdev.NameOf(v.status.Location)
	if slices.ContainsFunc(w.found, func(d discovered) bool { return d.name == name }) {
		return false
	}

	// A device that is new is not discovered yet.
	handle, err := m.Opener.Open(v.status.Location, blockdev.Read)
	if err == nil {
		handle.Close()
	}

	return errors.Is(err, fs.ErrNotExist)
}

// steps goes from phase to phase; each calls reached when it is done.
func (m *manager) steps(ctx context.Context, w *world, v *volume, all []*volume, reached func()) error {
	switch v.config.Type {
	case block.VolumeTypeDirectory, block.VolumeTypeSymlink, block.VolumeTypeOverlay, block.VolumeTypeTmpfs:
		return v.folder(w)
	case block.VolumeTypeExternal:
		return v.external()
	case block.VolumeTypePartition, block.VolumeTypeDisk:
	}

	if v.config.Encryption.Provider != block.EncryptionProviderTypeNone && m.Encryption == nil {
		return errors.New("the configuration asks for encryption, which this version does not have; " +
			"remove the section encryption of the volume")
	}

	for _, step := range []struct {
		from []block.VolumePhase
		do   func() error
	}{
		{[]block.VolumePhase{block.VolumePhaseWaiting, block.VolumePhaseMissing}, func() error { return m.locate(w, v, all) }},
		{[]block.VolumePhase{block.VolumePhaseLocated}, func() error { return m.grow(w, v) }},
		{[]block.VolumePhase{block.VolumePhaseProvisioned}, func() error { return m.prepare(ctx, v) }},
		{[]block.VolumePhase{block.VolumePhasePrepared}, func() error { return m.format(ctx, v) }},
	} {
		if !slices.Contains(step.from, v.status.Phase) {
			continue
		}

		if err := step.do(); err != nil {
			return err
		}

		reached()
	}

	return nil
}

// folder is a volume below another one. It is made when it is mounted.
func (v *volume) folder(w *world) error {
	if isPromotable(v.id) {
		if !w.ready || !w.systemKnown {
			return nil
		}

		if w.has(v.id) {
			return fmt.Errorf("the disk has a partition %s, which the configuration does not mention: "+
				"what is in it would be hidden; configure the volume again, or reset the machine", v.id)
		}
	}

	v.status.Phase = block.VolumePhaseReady

	return nil
}

func (v *volume) external() error {
	v.status.Phase = block.VolumePhaseReady
	v.status.Filesystem = v.config.Provisioning.FilesystemSpec.Type
	v.status.Location = v.config.Provisioning.DiskSelector.External
	v.status.MountLocation = v.status.Location

	if v.status.Location == "" {
		return errors.New("the configuration does not say which tag the external volume has")
	}

	return nil
}

// isExisting says whether a volume is one that others made, of whatever kind.
func isExisting(v *volume) bool {
	p := v.config.Provisioning

	return p.DiskSelector.Match == "" && p.PartitionSpec.Label == "" && v.id != volumes.Meta && v.id != volumes.State
}

// isLookedFor says whether a volume is taken as it is, and not made: STATE before
// there is a configuration.
func isLookedFor(v *volume) bool { return v.id == volumes.State && !isProvisioned(v) }

// isPromotable says whether a volume is either a folder or a partition, which
// is decided when the machine is installed.
func isPromotable(id string) bool {
	return slices.Contains([]string{volumes.Etcd, volumes.CRI, volumes.Kubelet, volumes.Log}, id)
}

// locate looks for the volume, and makes it when it is not there.
func (m *manager) locate(w *world, v *volume, all []*volume) error {
	if !w.ready || v.id != volumes.Meta && !w.systemKnown {
		v.status.Phase = block.VolumePhaseWaiting

		return nil
	}

	if v.config.Type == block.VolumeTypeDisk {
		return m.takeDisk(w, v)
	}

	found, err := m.choose(w, v)
	if err != nil {
		return err
	}

	if found != nil {
		v.take(*found)

		return nil
	}

	if !isProvisioned(v) {
		if v.config.Provisioning.PartitionSpec.Label != "" {
			return errors.New("the configuration selects no disk for the volume")
		}

		v.status.Phase = block.VolumePhaseMissing

		return nil
	}

	if isPromotable(v.id) && w.has(volumes.Ephemeral) {
		return fmt.Errorf("%s becomes a volume of its own only before %s is made; reset the machine to change that", v.id, volumes.Ephemeral)
	}

	if waitFor, ok := turn(v, all); !ok {
		v.status.Phase = block.VolumePhaseWaiting
		v.status.ErrorMessage = "waiting for volume " + waitFor

		return nil
	}

	v.status.ErrorMessage = ""

	return m.provision(w, v)
}

// choose returns the volume that is meant, nil when there is none.
//
// A partition with the right label is not enough: a disk out of another
// machine may have one. It counts on a disk that the configuration selects, and
// on the system's own.
func (m *manager) choose(w *world, v *volume) (*discovered, error) {
	candidates, err := w.match(v.config.Locator.Match)
	if err != nil || len(candidates) == 0 {
		return nil, err
	}

	isSystem := func(d discovered) bool { return w.system != "" && d.disk.name == w.system }

	switch {
	case v.id == volumes.Meta:
		boot := m.bootDisk(w)
		if i := slices.IndexFunc(candidates, func(d discovered) bool { return boot != "" && d.disk.name == boot }); i >= 0 {
			return &candidates[i], nil
		}

		return &candidates[0], nil
	case isExisting(v):
		if len(candidates) > 1 {
			return nil, fmt.Errorf("several volumes match: %s", names(candidates))
		}

		return &candidates[0], nil
	}

	for _, d := range candidates {
		if ok, err := w.selects(v.config.Provisioning.DiskSelector.Match, d.disk); err != nil {
			return nil, err
		} else if ok {
			return &d, nil
		}
	}

	if i := slices.IndexFunc(candidates, isSystem); i >= 0 {
		return &candidates[i], nil
	}

	if v.config.Provisioning.Wave == volumes.WaveUser && isProvisioned(v) {
		return nil, fmt.Errorf("%s has the label of the volume and is on a disk that is not selected", names(candidates))
	}

	return nil, nil
}

func names(list []discovered) string {
	var out []string
	for _, d := range list {
		out = append(out, d.spec.DevPath)
	}

	return strings.Join(out, ", ")
}

// bootDisk is the disk that the boot loader came from.
func (m *manager) bootDisk(w *world) string {
	if m.BootPartition == nil {
		return ""
	}

	id := m.BootPartition()

	for _, v := range w.found {
		if id != "" && strings.EqualFold(v.spec.PartitionUUID, id) {
			return v.disk.name
		}
	}

	return ""
}

// take fills the status from a volume that was found.
func (v *volume) take(d discovered) {
	s := &v.status
	s.Phase, s.ErrorMessage = block.VolumePhaseLocated, ""
	s.Location, s.ParentLocation = d.spec.DevPath, d.spec.ParentDevPath
	s.PartitionIndex, s.PartitionUUID = int(d.spec.PartitionIndex), d.spec.PartitionUUID
	s.UUID = d.spec.UUID
	v.resize(d.spec.Size)

	if d.spec.Type == "disk" {
		s.Type = block.VolumeTypeDisk
	}
}

// takeDisk is locate for a volume that is a whole disk.
func (m *manager) takeDisk(w *world, v *volume) error {
	var matching []discovered

	for _, d := range w.found {
		if d.name != d.disk.name {
			continue
		}

		ok, err := w.selects(v.config.Locator.DiskMatch, d.disk)
		if err != nil {
			return err
		}

		if ok && !d.disk.spec.Readonly && !d.disk.spec.CDROM {
			matching = append(matching, d)
		}
	}

	switch len(matching) {
	case 0:
		return errors.New("no disk matches the selector")
	case 1:
	default:
		return fmt.Errorf("several disks match the selector: %s", names(matching))
	}

	if matching[0].name == w.system {
		return fmt.Errorf("%s is the system's disk", matching[0].spec.DevPath)
	}

	v.take(matching[0])

	return nil
}

// provision makes the partition on the first selected disk that has room.
func (m *manager) provision(w *world, v *volume) error {
	var (
		problems []error
		selected bool
	)

	for _, d := range w.disks {
		ok, err := w.selects(v.config.Provisioning.DiskSelector.Match, d)
		if err != nil {
			return err
		}

		if !ok {
			continue
		}

		selected = true

		if d.spec.Readonly || d.spec.CDROM {
			problems = append(problems, fmt.Errorf("%s: it is read-only", d.spec.DevPath))

			continue
		}

		err = m.create(d, v)
		if err == nil {
			v.status.Phase = block.VolumePhaseProvisioned

			return nil
		}

		problems = append(problems, fmt.Errorf("%s: %w", d.spec.DevPath, err))
	}

	if !selected {
		return errors.New("no disk matches the selector")
	}

	return fmt.Errorf("making partition %s: %w", v.config.Provisioning.PartitionSpec.Label, errors.Join(problems...))
}

func (m *manager) create(d disk, v *volume) error {
	kind, err := uuid.Parse(v.config.Provisioning.PartitionSpec.TypeUUID)
	if err != nil {
		return fmt.Errorf("type of the partition: %w", err)
	}

	handle, err := m.Opener.Open(d.spec.DevPath, blockdev.Write)
	if err != nil {
		return err
	}
	defer handle.Close() //nolint:errcheck // what counts has been synced

	if err := handle.Lock(); err != nil {
		return err
	}

	spec := v.config.Provisioning.PartitionSpec

	made, err := blockdev.CreatePartition(handle, int(d.spec.SectorSize), blockdev.NewPartition{
		Label: spec.Label, Type: kind, Min: spec.MinSize, Max: limit(spec, d.spec.Size),
	})
	if err != nil {
		return err
	}

	v.setPartition(d, made)

	return nil
}

// limit is the largest size of a partition on a disk of a size, 0 for none.
func limit(spec block.PartitionSpec, disk uint64) uint64 {
	size := spec.MaxSize
	if spec.RelativeMaxSize > 0 {
		size = disk / 100 * spec.RelativeMaxSize
	}

	if !spec.NegativeMaxSize {
		return size
	}

	if size >= disk {
		return spec.MinSize
	}

	return disk - size
}

func (v *volume) resize(size uint64) {
	v.status.Size, v.status.PrettySize = size, humanize.Bytes(size)
}

func (v *volume) setPartition(d disk, p blockdev.Partitioned) {
	s := &v.status
	s.Location, s.ParentLocation = blockdev.NodeOf(blockdev.PartitionName(d.name, p.Number)), d.spec.DevPath
	s.PartitionIndex, s.PartitionUUID = p.Number, p.GUID.String()
	v.resize(p.Length)
}
