package block

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/basalt-os/basalt/internal/blockdev"
	"github.com/basalt-os/basalt/internal/blockdev/blockdevtest"
	"github.com/basalt-os/basalt/internal/gpt"
	"github.com/basalt-os/basalt/internal/metapart"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/reconcile/reconciletest"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/block"
	"github.com/basalt-os/basalt/internal/resources/runtime"
)

const (
	mib = 1 << 20
	gib = 1 << 30

	virtio = "pci0000:00/0000:00:04.0/virtio1/block"
)

// node runs controllers over made-up disks.
type node struct {
	*blockdevtest.Machine

	t     *testing.T
	store *resource.Store
	dev   string
	proc  string
	boot  string // identity of the partition that the machine was started from

	maintenance Maintenance
}

// start runs controllers until the test ends.
func (n *node) start(controllers ...reconcile.Controller) {
	n.t.Helper()

	reconciletest.Run(n.t, n.store, controllers...)
}

func newNode(t *testing.T) *node {
	t.Helper()

	return &node{Machine: blockdevtest.New(t), t: t, store: freshStore(t), dev: t.TempDir(), proc: t.TempDir()}
}

// freshStore says that the devices of the machine have settled.
func freshStore(t *testing.T) *resource.Store {
	t.Helper()

	store := resource.NewStore()
	if err := store.Create(t.Context(), resource.New(runtime.DevicesID, runtime.DevicesStatus{Ready: true}), "test"); err != nil {
		t.Fatal(err)
	}

	return store
}

func (n *node) discovery() []reconcile.Controller {
	return []reconcile.Controller{
		Devices(n.System(), n.Watch), Discovery(n.System(), n.Machine), Symlinks(n.System(), n.dev), Disks(n.System()), SystemDisk(),
	}
}

func (n *node) create(object resource.Object) {
	n.t.Helper()

	if err := n.store.Create(n.t.Context(), object, "test"); err != nil {
		n.t.Fatal(err)
	}
}

// wait waits until a condition holds for a resource, which is nil while it
// does not exist.
func wait[T resource.Spec](n *node, id string, holds func(spec *T) bool) T {
	n.t.Helper()

	ctx, cancel := context.WithTimeout(n.t.Context(), 20*time.Second)
	defer cancel()

	var last *T

	_, err := resource.WaitFor(ctx, n.store, id, func(r *resource.Resource[T]) bool {
		last = nil
		if r != nil && r.Meta.Phase == resource.Running {
			last = &r.Spec
		}

		return holds(last)
	})
	if err != nil {
		n.t.Fatalf("waiting for %T %s, which is %+v: %v", *new(T), id, last, err)
	}

	if last == nil {
		return *new(T)
	}

	return *last
}

func exists[T any](spec *T) bool { return spec != nil }

// install puts a table with META on a disk, as an image does. It returns the
// identity of the partition with the boot loader.
func (n *node) install(disk string, size int64) string {
	n.t.Helper()

	handle, err := n.Open(blockdev.NodeOf(disk), blockdev.Write)
	if err != nil {
		n.t.Fatal(err)
	}
	defer handle.Close()

	table, err := gpt.New(uuid.New(), size, 512)
	if err != nil {
		n.t.Fatal(err)
	}

	for _, p := range []struct {
		label string
		kind  uuid.UUID
		size  int64
	}{{gpt.LabelEFI, gpt.TypeEFI, 100 * mib}, {gpt.LabelMeta, gpt.TypeLinuxData, mib}} {
		part, err := table.Add(p.label, p.kind, uuid.New(), p.size, 0)
		if err != nil {
			n.t.Fatal(err)
		}

		r := blockdev.Range{Number: part.Number, Offset: uint64(table.Offset(part)), Length: uint64(table.Size(part))}
		if err := handle.AddPartition(r); err != nil {
			n.t.Fatal(err)
		}
	}

	if err := table.Write(handle); err != nil {
		n.t.Fatal(err)
	}

	meta, err := n.Open(blockdev.NodeOf(blockdev.PartitionName(disk, 2)), blockdev.Write)
	if err != nil {
		n.t.Fatal(err)
	}
	defer meta.Close()

	if err := metapart.Format(meta); err != nil {
		n.t.Fatal(err)
	}

	return table.Partitions[0].GUID.String()
}

func TestDiscovery(t *testing.T) {
	n := newNode(t)
	n.Add("vda", virtio, 4*gib, map[string]string{"serial": "one"})
	n.install("vda", 4*gib)
	n.start(n.discovery()...)

	wait(n, discoveryStatusID, func(s *block.DiscoveredVolumesStatus) bool { return s != nil && s.Ready })

	got := wait(n, "vda2", exists[block.DiscoveredVolume])
	got.PartitionUUID = ""

	want := block.DiscoveredVolume{
		DevPath: "/dev/vda2", Type: "partition", DevicePath: "/devices/" + virtio + "/vda/vda2", Parent: "vda", ParentDevPath: "/dev/vda",
		Offset: 101 * mib, Size: mib, PrettySize: "1.0 MB", SectorSize: 512, IOSize: 512, Name: "talosmeta", ProbedSize: 512 << 10,
		PartitionType: gpt.TypeLinuxData.String(), PartitionLabel: "META", PartitionIndex: 2,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	if got := wait(n, "vda", exists[block.DiscoveredVolume]); got.Name != "gpt" || got.Type != "disk" {
		t.Errorf("disk: %+v", got)
	}

	disk := wait(n, "vda", exists[block.Disk])
	if disk.Size != 4*gib || disk.Serial != "one" || disk.PrettySize != "4.3 GB" || disk.DevPath != "/dev/vda" {
		t.Errorf("disk: %+v", disk)
	}

	wait(n, "vda2", exists[block.Symlink])

	if target, err := os.Readlink(filepath.Join(n.dev, "disk/by-partlabel/META")); err != nil || target != "../../vda2" {
		t.Errorf("link to META: %q, %v", target, err)
	}

	// A disk that comes, is written to, and goes.
	n.Add("vdb", virtio, gib, nil)
	wait(n, "vdb", func(v *block.DiscoveredVolume) bool { return v != nil && v.Name == "" })

	handle, err := n.Open("/dev/vdb", blockdev.Write)
	if err != nil {
		t.Fatal(err)
	}

	if _, err := handle.WriteAt([]byte("LUKS\xba\xbe\x00\x02"), 0); err != nil {
		t.Fatal(err)
	}

	handle.Close()

	wait(n, "vdb", func(v *block.DiscoveredVolume) bool { return v != nil && v.Name == "luks" })
	n.Remove("vdb")
	wait(n, "vdb", func(v *block.DiscoveredVolume) bool { return v == nil })
	wait(n, "vdb", func(v *block.Disk) bool { return v == nil })

	// Who asks for a new look is told when it is over.
	n.create(resource.New(block.RefreshID, block.DiscoveryRefreshRequest{Request: 3}))
	wait(n, block.RefreshID, func(s *block.DiscoveryRefreshStatus) bool { return s != nil && s.Request == 3 })
}

func TestSecondaryDisks(t *testing.T) {
	n := newNode(t)
	n.Add("vda", virtio, gib, nil)
	n.install("vda", gib)
	n.Add("dm-0", "virtual/block", mib, map[string]string{"slaves/vda2/x": ""})
	n.Add("dm-1", "virtual/block", mib, map[string]string{"slaves/dm-0/x": ""})
	n.start(n.discovery()...)

	got := wait(n, "dm-1", func(d *block.Disk) bool { return d != nil && len(d.SecondaryDisks) == 2 })
	if diff := cmp.Diff([]string{"dm-0", "vda"}, got.SecondaryDisks); diff != "" {
		t.Error(diff)
	}
}
