package manager

import (
	"cmp"
	"context"
	"slices"

	"github.com/basalt-os/basalt/internal/blockdev"
	"github.com/basalt-os/basalt/internal/blockdev/selector"
	"github.com/basalt-os/basalt/internal/controllers/block/volumes"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/block"
)

// world is what is known of the disks.
type world struct {
	// ready says that all disks of the machine are known.
	ready bool
	disks []disk       // by name
	found []discovered // by name

	// system is the name of the disk that META is on. It is known once META has
	// been looked for; empty when there is none.
	system      string
	systemKnown bool

	compiled *compiled
}

// compiled keeps expressions over many looks at the world: to compile one takes
// longer than everything else.
type compiled struct {
	disks, volumes map[block.Expression]*selector.Selector
}

func newCompiled() *compiled {
	return &compiled{disks: map[block.Expression]*selector.Selector{}, volumes: map[block.Expression]*selector.Selector{}}
}

func cached(
	known map[block.Expression]*selector.Selector, expression block.Expression,
	compile func(block.Expression) (*selector.Selector, error),
) (*selector.Selector, error) {
	if s := known[expression]; s != nil {
		return s, nil
	}

	s, err := compile(expression)
	if err == nil {
		known[expression] = s
	}

	return s, err
}

type disk struct {
	name string
	spec *block.Disk
}

type discovered struct {
	name string
	spec *block.DiscoveredVolume
	disk disk // that it is on, or is
}

func look(ctx context.Context, rt *reconcile.Runtime, known *compiled) (*world, error) {
	status, err := resource.List[block.DiscoveredVolumesStatus](ctx, rt)
	if err != nil {
		return nil, err
	}

	disks, err := resource.List[block.Disk](ctx, rt)
	if err != nil {
		return nil, err
	}

	found, err := resource.List[block.DiscoveredVolume](ctx, rt)
	if err != nil {
		return nil, err
	}

	w := &world{ready: len(status) > 0 && status[0].Spec.Ready, compiled: known}
	byName := map[string]disk{}

	for _, r := range disks {
		d := disk{name: r.Meta.ID, spec: &r.Spec}
		byName[d.name] = d
		w.disks = append(w.disks, d)
	}

	for _, r := range found {
		d, ok := byName[cmp.Or(r.Spec.Parent, r.Meta.ID)]
		// What is on a disk is known before the disk is described.
		w.ready = w.ready && ok
		w.found = append(w.found, discovered{name: r.Meta.ID, spec: &r.Spec, disk: d})
	}

	return w, nil
}

func (w *world) subject(d disk) selector.Subject {
	return selector.Subject{Disk: d.spec, SystemDisk: w.system != "" && d.name == w.system}
}

// selects evaluates a selector of disks for one.
func (w *world) selects(expression block.Expression, d disk) (bool, error) {
	if expression == "" {
		return false, nil
	}

	s, err := cached(w.compiled.disks, expression, selector.ForDisks)
	if err != nil {
		return false, err
	}

	return s.Matches(w.subject(d))
}

// match are the volumes that a locator finds, by name.
func (w *world) match(expression block.Expression) ([]discovered, error) {
	if expression == "" {
		return nil, nil
	}

	s, err := cached(w.compiled.volumes, expression, selector.ForVolumes)
	if err != nil {
		return nil, err
	}

	var out []discovered

	for _, v := range w.found {
		subject := w.subject(v.disk)
		subject.Volume = v.spec

		ok, err := s.Matches(subject)
		if err != nil {
			return nil, err
		}

		if ok {
			out = append(out, v)
		}
	}

	return out, nil
}

// has says whether the system's disk has a partition with a label.
func (w *world) has(label string) bool {
	return slices.ContainsFunc(w.found, func(v discovered) bool {
		return v.spec.PartitionLabel == label && v.disk.name == w.system && w.system != ""
	})
}

// settle takes the system's disk from META.
func (w *world) settle(meta block.VolumeStatus) {
	switch {
	case meta.ParentLocation != "":
		w.system, w.systemKnown = blockdev.NameOf(meta.ParentLocation), true
	case meta.Phase != block.VolumePhaseWaiting:
		w.systemKnown = true
	}
}

// sortVolumes puts volumes into the order in which they are looked at.
func sortVolumes(list []*volume) {
	slices.SortFunc(list, func(a, b *volume) int { return volumes.Compare(a.id, a.config, b.id, b.config) })
}

// made says whether a volume has its place on a disk.
func made(v *volume) bool {
	switch v.status.Phase {
	case block.VolumePhaseProvisioned, block.VolumePhasePrepared, block.VolumePhaseReady, block.VolumePhaseClosed:
		return true
	case block.VolumePhaseWaiting, block.VolumePhaseFailed, block.VolumePhaseMissing, block.VolumePhaseLocated:
	}

	return false
}

// isProvisioned says whether a volume is one that is made on a disk.
func isProvisioned(v *volume) bool {
	onDisk := v.config.Type == block.VolumeTypePartition || v.config.Type == block.VolumeTypeDisk

	return onDisk && v.config.Provisioning.DiskSelector.Match != ""
}

// turn says whether it is a volume's turn to be made, and names the one that is
// waited for. Those of the system come first, each after those before it:
// EPHEMERAL would take the place of others. Partitions without labels, which
// are known by their numbers, are made one after the other too.
//
// Volumes may not all be known yet, so STATE, which is always there, has to be
// made before any other, and EPHEMERAL before those of users.
func turn(v *volume, all []*volume) (waitFor string, ok bool) {
	wave := v.config.Provisioning.Wave

	first := volumes.State
	if wave > volumes.WaveSystem {
		first = volumes.Ephemeral
	}

	if v.id != first && !slices.ContainsFunc(all, func(other *volume) bool { return other.id == first && made(other) }) {
		return first, false
	}

	for _, other := range all {
		if other == v {
			break
		}

		before := other.config.Provisioning.Wave
		if isProvisioned(other) && !made(other) && (before == volumes.WaveSystem || before >= volumes.WaveLegacy && wave > before) {
			return other.id, false
		}
	}

	return "", true
}
