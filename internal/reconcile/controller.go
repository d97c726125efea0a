// Package reconcile runs controllers over a resource store.
//
// A controller declares which resources it reads and which it writes, and has
// one function that makes the second follow from the first. The engine calls
// it once at the start and again after any of its inputs changed: changes that
// come while it runs, or in quick succession, lead to one call. A controller
// therefore looks at what is, never at what happened.
//
// Declarations are checked on every access, and form a graph that can be read.
// An error restarts one controller alone, with growing pauses; a panic is
// caught and treated the same. A controller that cannot go on before something
// else exists returns WaitingFor, which is no failure. What each controller is
// doing is itself a resource, a Status.
//
// Most controllers compute all their outputs from all their inputs: package
// derive, beside the controllers, has that form. Others are written by hand, such
// as actuators, which carry specs to the outside world and statuses back.
package reconcile

import (
	"context"

	"github.com/basalt-os/basalt/internal/resource"
)

// Controller makes its outputs follow from its inputs.
type Controller interface {
	// Name is unique, such as "network.AddressStatusController".
	Name() string
	Inputs() []Input
	Outputs() []Output
	// Reconcile is called at the start and after inputs changed, never
	// concurrently with itself. It must be ready to be called again after an
	// error, having done anything from nothing to everything.
	Reconcile(ctx context.Context, rt *Runtime) error
}

// Source is a controller with events from outside the store, such as netlink
// messages or timers.
type Source interface {
	Controller
	// Watch runs beside Reconcile until ctx ends. Each call of notify leads to
	// a call of Reconcile. When it returns early it is called again, with
	// growing pauses.
	Watch(ctx context.Context, notify func()) error
}

// InputKind says which changes of an input wake a controller, and what it may
// do with the resources.
type InputKind uint8

// The kinds of input.
const (
	// Weak inputs are read.
	Weak InputKind = iota
	// Strong inputs are read, and kept from going by finalizers while the
	// controller needs them.
	Strong
	// DestroyReady inputs are seen when they are tearing down and have no
	// finalizers left.
	DestroyReady
)

// Input is a set of resources that a controller reads: a kind, or the one of
// an ID.
type Input struct {
	Namespace, Type, ID string
	Mode                InputKind
}

// In is all T in its default namespace.
func In[T resource.Spec]() Input { return InIn[T](resource.KindOf[T]().Namespace) }

// InIn is all T in a namespace.
func InIn[T resource.Spec](namespace string) Input {
	return Input{Namespace: namespace, Type: resource.KindOf[T]().Type}
}

// WithID restricts the input to one resource.
func (i Input) WithID(id string) Input {
	i.ID = id

	return i
}

// Strong allows finalizers on the input.
func (i Input) Strong() Input {
	i.Mode = Strong

	return i
}

// DestroyReady restricts the input to what is ready to go.
func (i Input) DestroyReady() Input {
	i.Mode = DestroyReady

	return i
}

// String returns "namespace/type", or "namespace/type/id" for one resource.
func (i Input) String() string {
	if i.ID == "" {
		return i.kind().String()
	}

	return i.kind().String() + "/" + i.ID
}

// covers says whether a resource belongs to the input.
func (i Input) covers(pointer resource.Pointer) bool {
	return i.kind() == pointer.Kind() && (i.ID == "" || i.ID == pointer.ID)
}

// kind is the resources among which the input is.
func (i Input) kind() resource.Kind { return resource.Kind{Namespace: i.Namespace, Type: i.Type} }

// wakes says whether an event is of interest.
func (i Input) wakes(event resource.Event) bool {
	meta := event.Object.Metadata()

	if !i.covers(meta.Pointer()) {
		return false
	}

	return i.Mode != DestroyReady || event.Type != resource.Destroyed && meta.Phase == resource.TearingDown && len(meta.Finalizers) == 0
}

// Output is a type of resource that a controller writes, in any namespace.
type Output struct {
	Type string
	// Shared outputs are written by several controllers, each its own
	// resources.
	Shared bool
}

// Out is the exclusive output of T.
func Out[T resource.Spec]() Output { return Output{Type: resource.KindOf[T]().Type} }

// AsShared lets other controllers write the type too.
func (o Output) AsShared() Output {
	o.Shared = true

	return o
}

// waiting is what WaitingFor returns.
type waiting struct {
	pointer resource.Pointer
	reason  string
}

func (w *waiting) Error() string {
	if w.reason == "" {
		return "waiting for " + w.pointer.String()
	}

	return "waiting for " + w.pointer.String() + ": " + w.reason
}

// WaitingFor is what Reconcile returns when it cannot go on before a resource
// exists, or says something that it does not say yet. It is no failure: the
// controller is called again when an input changes.
func WaitingFor(pointer resource.Pointer, reason string) error {
	return &waiting{pointer: pointer, reason: reason}
}
