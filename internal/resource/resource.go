// Package resource is the database of a node: typed, versioned resources in
// memory, and watches over them.
//
// A resource is metadata and a spec. The spec is a Go struct; what it is called
// on the wire is told by its Definition. Resources of one type in one
// namespace form a kind; a kind is what is listed and watched.
//
// Writes are compare-and-swap on the version and are checked against the
// owner. Removal has two phases: a resource that is tearing down goes when
// those who put a finalizer on it have taken it off again.
//
// What is stored is never modified: Get, List and watches hand out the stored
// objects themselves, which readers must not change. A change is made on a
// Clone and written with Update.
//
// The package does no I/O and starts no goroutine.
package resource

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Phase says whether a resource is there to stay.
type Phase uint8

// The phases.
const (
	Running Phase = iota
	TearingDown
)

// String returns the phase as the wire names it.
func (p Phase) String() string {
	if p == TearingDown {
		return "tearingDown"
	}

	return "running"
}

// Metadata is what every resource has beside its spec.
type Metadata struct {
	Namespace, Type, ID string
	// Version counts the writes; 0 is a resource that is not stored yet.
	Version uint64
	// Owner is the controller that wrote the resource and alone may change
	// it; empty when anybody may.
	Owner               string
	Phase               Phase
	Labels, Annotations map[string]string
	// Finalizers names those who must let go before the resource goes.
	Finalizers       []string
	Created, Updated time.Time
}

// Kind is the resource's namespace and type.
func (m *Metadata) Kind() Kind { return Kind{m.Namespace, m.Type} }

// Pointer is the resource's place in a store.
func (m *Metadata) Pointer() Pointer { return Pointer{m.Namespace, m.Type, m.ID} }

// SetLabel sets a label; the metadata must not be that of a stored resource.
func (m *Metadata) SetLabel(key, value string) {
	if m.Labels == nil {
		m.Labels = map[string]string{}
	}

	m.Labels[key] = value
}

func (m *Metadata) clone() Metadata {
	c := *m
	c.Labels, c.Annotations = maps.Clone(m.Labels), maps.Clone(m.Annotations)
	c.Finalizers = slices.Clone(m.Finalizers)

	return c
}

// Column is a column of the table in which clients print a type.
type Column struct{ Name, JSONPath string }

// Definition describes a resource type to stores and clients.
type Definition struct {
	Type        string // such as "LinkStatuses.net.talos.dev"
	Namespace   string // the default namespace
	DisplayType string // such as "LinkStatus"
	Aliases     []string
	Columns     []Column
	Sensitive   bool // readable by administrators alone
}

// Spec is the payload of a resource. Definition is called on the zero value.
type Spec interface{ Definition() Definition }

// Kind is all resources of one type in one namespace.
type Kind struct{ Namespace, Type string }

// String returns the kind as "namespace/type".
func (k Kind) String() string { return k.Namespace + "/" + k.Type }

// Pointer is the place of one resource.
type Pointer struct{ Namespace, Type, ID string }

// Kind is the kind that the resource belongs to.
func (p Pointer) Kind() Kind { return Kind{p.Namespace, p.Type} }

// String returns the pointer as "namespace/type/id".
func (p Pointer) String() string { return fmt.Sprintf("%s/%s/%s", p.Namespace, p.Type, p.ID) }

// KindOf is the kind of T in its default namespace.
func KindOf[T Spec]() Kind {
	definition := (*new(T)).Definition()

	return Kind{definition.Namespace, definition.Type}
}

// PointerOf is the place of the T of that ID in its default namespace.
func PointerOf[T Spec](id string) Pointer {
	kind := KindOf[T]()

	return Pointer{kind.Namespace, kind.Type, id}
}

// Object is a resource of any type.
type Object interface {
	// Metadata is the object's own; it is not to be changed on a stored one.
	Metadata() *Metadata
	// SpecValue is a pointer to the spec, *T for a Resource[T].
	SpecValue() any
	// Clone is a deep copy, to be changed and written back.
	Clone() Object
	// EqualSpec compares the spec with another object's.
	EqualSpec(Object) bool
}

// Resource is a resource with a spec of type T.
type Resource[T Spec] struct {
	Meta Metadata
	Spec T
}

// New returns a resource in the default namespace of its type.
func New[T Spec](id string, spec T) *Resource[T] {
	return NewIn(KindOf[T]().Namespace, id, spec)
}

// NewIn returns a resource in a namespace.
func NewIn[T Spec](namespace, id string, spec T) *Resource[T] {
	return &Resource[T]{Meta: Metadata{Namespace: namespace, Type: spec.Definition().Type, ID: id}, Spec: spec}
}

// Metadata implements Object.
func (r *Resource[T]) Metadata() *Metadata { return &r.Meta }

// SpecValue implements Object.
func (r *Resource[T]) SpecValue() any { return &r.Spec }

// Clone implements Object.
func (r *Resource[T]) Clone() Object { return r.Copy() }

// Copy is Clone with its type.
func (r *Resource[T]) Copy() *Resource[T] {
	return &Resource[T]{Meta: r.Meta.clone(), Spec: DeepCopy(r.Spec)}
}

// EqualSpec implements Object.
func (r *Resource[T]) EqualSpec(other Object) bool {
	o, ok := other.(*Resource[T])

	return ok && Equal(r.Spec, o.Spec)
}
