package meta

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/metapart"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/runtime"
)

// memory is a partition.
type memory struct {
	data []byte
	fail error
}

func newMemory() *memory { return &memory{data: make([]byte, metapart.Size)} }

func (m *memory) ReadAt(p []byte, offset int64) (int, error) { return copy(p, m.data[offset:]), nil }

func (m *memory) WriteAt(p []byte, offset int64) (int, error) {
	if m.fail != nil {
		return 0, m.fail
	}

	return copy(m.data[offset:], p), nil
}

func told(t *testing.T, store *resource.Store) map[string]string {
	t.Helper()

	list, err := resource.List[runtime.MetaKey](t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}

	out := map[string]string{}
	for _, r := range list {
		out[r.Meta.ID] = r.Spec.Value
	}

	return out
}

func TestValues(t *testing.T) {
	ctx, store, disk := t.Context(), resource.NewStore(), newMemory()

	if err := metapart.Write(disk, map[metapart.Key][]byte{0x0a: []byte("network"), 0x0b: []byte("old")}); err != nil {
		t.Fatal(err)
	}

	v := New(store)

	// Before there is a partition, values are kept for it.
	if err := v.Set(ctx, 0x0b, []byte("code")); err != nil {
		t.Fatal(err)
	}

	if _, err := v.Attach(ctx, disk); err != nil {
		t.Fatal(err)
	}

	if err := v.Set(ctx, 0x0c, []byte("mine")); err != nil {
		t.Fatal(err)
	}

	if err := v.Delete(ctx, 0x0a); err != nil {
		t.Fatal(err)
	}

	if err := v.Delete(ctx, 0x0a); !errors.Is(err, ErrUnknown) {
		t.Errorf("deleting twice: %v", err)
	}

	if diff := cmp.Diff(map[string]string{"0x0b": "code", "0x0c": "mine"}, told(t, store)); diff != "" {
		t.Errorf("resources (-want +got):\n%s", diff)
	}

	stored, _, err := metapart.Open(disk)
	if diff := cmp.Diff(map[metapart.Key][]byte{0x0b: []byte("code"), 0x0c: []byte("mine")}, stored); diff != "" || err != nil {
		t.Errorf("on disk (-want +got):\n%s%v", diff, err)
	}
}

// What could not be written is not believed either.
func TestFailedWrite(t *testing.T) {
	ctx, store, disk := t.Context(), resource.NewStore(), newMemory()

	v := New(store)
	if _, err := v.Attach(ctx, disk); err != nil {
		t.Fatal(err)
	}

	disk.fail = errors.New("disk is gone")

	if err := v.Set(ctx, 0x0c, []byte("lost")); !errors.Is(err, disk.fail) {
		t.Errorf("setting: %v", err)
	}

	if err := v.Set(ctx, 0x0c, make([]byte, metapart.Size)); !errors.Is(err, metapart.ErrNoSpace) {
		t.Errorf("setting too much: %v", err)
	}

	if value, ok := v.Get(0x0c); ok {
		t.Errorf("the value is %q", value)
	}

	if diff := cmp.Diff(map[string]string{}, told(t, store)); diff != "" {
		t.Errorf("resources (-want +got):\n%s", diff)
	}
}

// A partition of which no copy is whole is made anew, and said so.
func TestDamaged(t *testing.T) {
	ctx, disk := t.Context(), newMemory()
	for i := range disk.data {
		disk.data[i] = 0x55
	}

	v := New(resource.NewStore())

	health, err := v.Attach(ctx, disk)
	if !errors.Is(err, metapart.ErrDamaged) || health != metapart.Healed {
		t.Errorf("attached: %v, %v", health, err)
	}

	if err := v.Set(ctx, 0x0c, []byte("mine")); err != nil {
		t.Fatal(err)
	}

	if stored, _, err := metapart.Open(disk); err != nil || string(stored[0x0c]) != "mine" {
		t.Errorf("on disk: %v, %v", stored, err)
	}
}
