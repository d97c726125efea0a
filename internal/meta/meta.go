// Package meta has the values of META as the node uses them: in memory, as
// resources, and on the partition as soon as there is one.
//
// A machine that is not installed has no META yet. Values that are set before
// are kept in memory and written when the partition appears.
package meta

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/basalt-os/basalt/internal/metapart"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/runtime"
)

// owner owns the resources.
const owner = "runtime.Meta"

// ErrUnknown says that there is no value under a key.
var ErrUnknown = errors.New("META has no value under this key")

// Values are the values of META. They are safe for concurrent use. The zero
// value is not ready, see New.
type Values struct {
	store *resource.Store

	mu     sync.Mutex
	disk   metapart.Disk // nil while there is no partition
	values map[metapart.Key][]byte
}

// New returns values in memory, which tells a store about them.
func New(store *resource.Store) *Values {
	return &Values{store: store, values: map[metapart.Key][]byte{}}
}

// Attach opens a META partition: its values come in, and those that were set
// before go out to it. From then on every change is on the disk when it
// returns. The disk belongs to v until [Values.Detach]. A partition that is
// damaged beyond repair is made anew; the error, metapart.ErrDamaged, then only
// tells of it.
func (v *Values) Attach(ctx context.Context, disk metapart.Disk) (metapart.Health, error) {
	v.mu.Lock()
	defer v.mu.Unlock()

	found, health, damaged := metapart.Open(disk)
	if errors.Is(damaged, metapart.ErrDamaged) {
		// What was in it is lost. A machine that does not boot for that would
		// lose more.
		found, health = nil, metapart.Healed
		if err := metapart.Format(disk); err != nil {
			return health, fmt.Errorf("making META anew: %w", errors.Join(damaged, err))
		}
	} else if damaged != nil {
		return health, fmt.Errorf("opening META: %w", damaged)
	}

	merged := map[metapart.Key][]byte{}
	maps.Copy(merged, found)
	maps.Copy(merged, v.values)

	if !maps.EqualFunc(found, merged, bytes.Equal) {
		if err := metapart.Write(disk, merged); err != nil {
			return health, fmt.Errorf("writing META: %w", err)
		}
	}

	v.disk, v.values = disk, merged

	for key := range merged {
		if err := v.tell(ctx, key); err != nil {
			return health, err
		}
	}

	return health, damaged
}

// Detach forgets the partition, which is about to go; values stay in memory.
func (v *Values) Detach() metapart.Disk {
	v.mu.Lock()
	defer v.mu.Unlock()

	disk := v.disk
	v.disk = nil

	return disk
}

// Loaded tells the store that META was read, or that there is none to be read.
func (v *Values) Loaded(ctx context.Context) error {
	return resource.Put(ctx, v.store, owner, runtime.MetaLoadedID, runtime.MetaLoaded{Done: true})
}

// Get returns a value, which the caller must not change.
func (v *Values) Get(key metapart.Key) ([]byte, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()

	value, ok := v.values[key]

	return value, ok
}

// All returns all values that are set now.
func (v *Values) All() map[metapart.Key][]byte {
	v.mu.Lock()
	defer v.mu.Unlock()

	return maps.Clone(v.values)
}

// Set sets a value. It takes ownership of the bytes.
func (v *Values) Set(ctx context.Context, key metapart.Key, value []byte) error {
	return v.change(ctx, key, func(values map[metapart.Key][]byte) error {
		values[key] = value

		return nil
	})
}

// Delete removes a value, or fails with ErrUnknown.
func (v *Values) Delete(ctx context.Context, key metapart.Key) error {
	return v.change(ctx, key, func(values map[metapart.Key][]byte) error {
		if _, ok := values[key]; !ok {
			return fmt.Errorf("%w: 0x%02x", ErrUnknown, uint32(key))
		}

		delete(values, key)

		return nil
	})
}

// change changes a copy, and takes it when it is on the disk.
func (v *Values) change(ctx context.Context, key metapart.Key, apply func(map[metapart.Key][]byte) error) error {
	v.mu.Lock()
	defer v.mu.Unlock()

	next := maps.Clone(v.values)
	if err := apply(next); err != nil {
		return err
	}

	// Whether it can be stored is told at once, not when the machine is
	// installed one day.
	if _, err := metapart.Encode(next); err != nil {
		return err
	}

	if v.disk != nil {
		if err := metapart.Write(v.disk, next); err != nil {
			return fmt.Errorf("writing META: %w", err)
		}
	}

	v.values = next

	return v.tell(ctx, key)
}

// tell makes the resource of a key say what the value is.
func (v *Values) tell(ctx context.Context, key metapart.Key) error {
	id := fmt.Sprintf("0x%02x", uint32(key))

	value, ok := v.values[key]
	if !ok {
		return resource.Drop[runtime.MetaKey](ctx, v.store, owner, id)
	}

	return resource.Put(ctx, v.store, owner, id, runtime.MetaKey{Value: string(value)})
}

// Keys are the keys with a value, in order.
func (v *Values) Keys() []metapart.Key {
	v.mu.Lock()
	defer v.mu.Unlock()

	return slices.Sorted(maps.Keys(v.values))
}
