package resource

import (
	"fmt"
	"reflect"
	"sync"
)

// WithVerification has the store look for modified objects, for tests and debug
// builds: it keeps a copy of every stored resource, compares on every access,
// and panics with the name of one that somebody changed in place.
func WithVerification() Option {
	return func(s *Store) { s.verifier = &verifier{copies: map[Object]Object{}} }
}

// Verify compares all stored resources with their copies and panics as any
// access would. Without WithVerification it does nothing.
func (s *Store) Verify() {
	for _, kind := range s.Kinds() {
		for _, object := range s.snapshot(kind) {
			s.verifier.check(object)
		}
	}
}

// verifier knows what objects looked like when they were stored. A nil
// verifier does nothing.
type verifier struct {
	mu     sync.Mutex
	copies map[Object]Object
}

func (v *verifier) remember(object Object) {
	if v == nil {
		return
	}

	v.mu.Lock()
	defer v.mu.Unlock()

	v.copies[object] = object.Clone()
}

func (v *verifier) forget(object Object) {
	if v == nil {
		return
	}

	v.check(object)

	v.mu.Lock()
	defer v.mu.Unlock()

	delete(v.copies, object)
}

func (v *verifier) check(object Object) {
	if v == nil {
		return
	}

	v.mu.Lock()
	defer v.mu.Unlock()

	// An object that was replaced since it was looked up is not known any more.
	if c, ok := v.copies[object]; ok && !(c.EqualSpec(object) && reflect.DeepEqual(c.Metadata(), object.Metadata())) {
		panic(fmt.Sprintf("stored resource %s was modified in place", c.Metadata().Pointer()))
	}
}
