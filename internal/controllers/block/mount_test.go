package block

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/controllers/block/mount"
	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/block"
	"github.com/basalt-os/basalt/internal/volume"
)

// mounter keeps the order of what was asked of it.
type mounter struct {
	mu   sync.Mutex
	log  []string
	busy map[string]bool
}

func (m *mounter) note(text string) {
	m.mu.Lock()
	defer m.mu.Unlock()

	m.log = append(m.log, text)
}

func (m *mounter) Mount(_ context.Context, w mount.Mount) error {
	m.note("mount " + w.Target)

	return nil
}

func (m *mounter) Remount(_ context.Context, w mount.Mount) error {
	m.note("remount " + w.Target)

	return nil
}

func (m *mounter) Unmount(_ context.Context, w mount.Mount) error {
	m.mu.Lock()
	busy := m.busy[w.Target]
	m.mu.Unlock()

	if busy {
		return errors.New("busy")
	}

	m.note("unmount " + w.Target)

	return nil
}

// taken returns what was noted since.
func (m *mounter) taken() []string {
	m.mu.Lock()
	defer m.mu.Unlock()

	log := m.log
	m.log = nil

	return log
}

// boots runs all controllers of a machine; nothing is really mounted.
func (n *node) boots() { n.bootsWith(&mounter{}) }

func (n *node) bootsWith(mounter mount.Mounter) {
	n.start(Machine(Dependencies{
		Config: &configured.Reader{}, System: n.System(), Opener: n.Machine, Watch: n.Watch, Dev: n.dev,
		Maker: maker{n.Machine}, Mounter: mounter, Maintenance: n.maintenance, Proc: n.proc, Now: time.Now,
		BootPartition: func() string { return n.boot },
	})...)
}

func (n *node) context() context.Context {
	ctx, cancel := context.WithTimeout(n.t.Context(), 20*time.Second)
	n.t.Cleanup(cancel)

	return ctx
}

func (n *node) mount(id, requester string) {
	n.t.Helper()

	if _, err := volume.Mount(n.context(), n.store, id, requester); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) unmount(id, requester string) {
	n.t.Helper()

	if err := volume.Unmount(n.context(), n.store, id, requester); err != nil {
		n.t.Fatal(err)
	}
}

func TestMounts(t *testing.T) {
	n := newNode(t)
	n.Add("vda", virtio, 10*gib, nil)
	n.install("vda", 10*gib)

	m := &mounter{busy: map[string]bool{}}
	n.bootsWith(m)

	if err := volume.Open(n.context(), n.store); err != nil {
		t.Fatal(err)
	}

	if err := volume.WaitDiscovered(n.context(), n.store); err != nil {
		t.Fatal(err)
	}

	if _, err := volume.Locate(n.context(), n.store, "STATE"); !errors.Is(err, volume.ErrMissing) {
		t.Errorf("STATE before there is a configuration: %v", err)
	}

	got, err := volume.Locate(n.context(), n.store, "META")
	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(volume.Location{Device: "/dev/vda2", Disk: "/dev/vda", Partition: 2, Offset: 101 * mib, Size: mib}, got); diff != "" {
		t.Error(diff)
	}

	n.configure(base + `
---
apiVersion: v1alpha1
kind: UserVolumeConfig
name: data
volumeType: directory
`)

	if path, err := volume.Mount(n.context(), n.store, "STATE", "machined"); err != nil || path != "/system/state" {
		t.Errorf("STATE is at %q, %v", path, err)
	}

	// The volume of the user is below two others, which are mounted for it.
	wait(n, "user-volumes-u-data", exists[block.VolumeMountStatus])

	if path, err := volume.Mount(n.context(), n.store, "/var/lib/kubelet/seccomp", "kubelet"); err != nil || path != "/var/lib/kubelet/seccomp" {
		t.Errorf("seccomp is at %q, %v", path, err)
	}

	log := m.taken()
	slices.Sort(log)

	want := []string{
		"mount /system/state", "mount /var", "mount /var/lib", "mount /var/lib/kubelet", "mount /var/lib/kubelet/seccomp",
		"mount /var/mnt", "mount /var/mnt/data",
	}
	if diff := cmp.Diff(want, log); diff != "" {
		t.Error(diff)
	}

	// Two want it: it stays until the second lets go.
	n.mount("/var/lib/kubelet/seccomp", "other")
	n.unmount("/var/lib/kubelet/seccomp", "kubelet")

	if log := m.taken(); len(log) > 0 {
		t.Errorf("noted: %q", log)
	}

	n.unmount("/var/lib/kubelet/seccomp", "other")
	wait(n, "/var/lib", func(s *block.MountStatus) bool { return s == nil })

	want = []string{"unmount /var/lib/kubelet/seccomp", "unmount /var/lib/kubelet", "unmount /var/lib"}
	if diff := cmp.Diff(want, m.taken()); diff != "" {
		t.Error(diff)
	}

	n.mount("EPHEMERAL", "machined")

	if err := volume.Close(n.context(), n.store); err != nil {
		t.Fatal(err)
	}

	log = m.taken()
	if i, j := slices.Index(log, "unmount /var/mnt"), slices.Index(log, "unmount /var"); i < 0 || j < i || !slices.Contains(log, "unmount /system/state") {
		t.Errorf("noted: %q", log)
	}
}

// A mount that is in use goes when it is not any more, and one that is read
// only becomes writable for the first that wants to write.
func TestMountInUse(t *testing.T) {
	n := newNode(t)
	n.Add("vda", virtio, 10*gib, nil)
	n.install("vda", 10*gib)
	n.configure(base)

	m := &mounter{busy: map[string]bool{"/var": true}}
	n.bootsWith(m)

	if _, err := volume.MountWith(n.context(), n.store, "EPHEMERAL", "reader", volume.Request{ReadOnly: true}); err != nil {
		t.Fatal(err)
	}

	n.mount("EPHEMERAL", "writer")
	wait(n, "EPHEMERAL", func(s *block.MountStatus) bool { return s != nil && !s.ReadOnly })

	n.unmount("EPHEMERAL", "reader")

	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()

	if err := volume.Unmount(ctx, n.store, "EPHEMERAL", "writer"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("unmounting what is in use: %v", err)
	}

	m.mu.Lock()
	m.busy = nil
	m.mu.Unlock()

	n.unmount("EPHEMERAL", "writer")

	want := []string{"mount /var", "remount /var", "unmount /var"}
	if diff := cmp.Diff(want, m.taken()); diff != "" {
		t.Error(diff)
	}

	if _, err := resource.Get[block.MountRequest](t.Context(), n.store, "EPHEMERAL"); !errors.Is(err, resource.ErrNotFound) {
		t.Errorf("the request is still there: %v", err)
	}
}

func TestMountOfFailedVolume(t *testing.T) {
	n := newNode(t)
	n.Add("vda", virtio, gib, nil)
	n.install("vda", gib) // too small for EPHEMERAL
	n.configure(base)
	n.boots()

	if _, err := volume.Mount(n.context(), n.store, "EPHEMERAL", "machined"); !errors.Is(err, volume.ErrFailed) {
		t.Errorf("got %v", err)
	}

	n.unmount("EPHEMERAL", "machined")
}

func TestRediscover(t *testing.T) {
	n := newNode(t)
	n.Add("vda", virtio, gib, nil)
	n.start(n.discovery()...)

	for range 2 {
		if err := volume.Rediscover(n.context(), n.store); err != nil {
			t.Fatal(err)
		}
	}
}
