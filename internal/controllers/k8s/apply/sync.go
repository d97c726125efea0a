package apply

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

// Policy says which objects that exist may be taken over.
type Policy string

// Policies, by the words of the command line.
const (
	MustMatch          Policy = "MustMatch"          // only those of our inventory
	AdoptIfNoInventory Policy = "AdoptIfNoInventory" // and those of no inventory
	AdoptAll           Policy = "AdoptAll"           // and those of others
)

// Policies are all policies.
func Policies() []Policy { return []Policy{MustMatch, AdoptIfNoInventory, AdoptAll} }

// SyncOptions say how objects are brought up to date.
type SyncOptions struct {
	Policy Policy
	// Force takes fields over that somebody else manages.
	Force bool
	// Keep leaves objects that are in the inventory and no longer wanted.
	Keep bool
	// Say is told what happens.
	Say func(format string, args ...any)
}

// Sync makes the objects in the cluster what they are here, and removes those
// that an earlier version brought and this one does not. Objects that cannot be
// changed are reported together, after the others.
func (a *Applier) Sync(ctx context.Context, objects []map[string]any, options SyncOptions) error {
	inventory, err := a.readInventory(ctx)
	if err != nil {
		return err
	}

	known := maps.Clone(inventory)
	wanted := map[string]bool{}

	var errs []error

	for _, content := range objects {
		object := &unstructured.Unstructured{Object: content}

		if err := a.update(ctx, object, options); err != nil {
			errs = append(errs, err)
		} else {
			inventory[inventoryKey(object)] = ""
		}

		wanted[inventoryKey(object)] = true
	}

	// What could not be applied may be what others need: nothing is removed.
	if len(errs) == 0 && !options.Keep {
		for _, key := range slices.Sorted(maps.Keys(inventory)) {
			if wanted[key] {
				continue
			}

			if err := a.prune(ctx, key, options.Say); err != nil {
				errs = append(errs, err)

				continue
			}

			delete(inventory, key)
		}
	}

	if !maps.Equal(known, inventory) {
		errs = append(errs, a.writeInventory(ctx, inventory))
	}

	return errors.Join(errs...)
}

// update applies one object.
func (a *Applier) update(ctx context.Context, object *unstructured.Unstructured, options SyncOptions) error {
	client, err := a.resource(object.GroupVersionKind(), object)
	if err != nil {
		return err
	}

	present, err := client.Get(ctx, object.GetName(), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		present = nil
	} else if err != nil {
		return fmt.Errorf("reading %s: %w", describe(object), err)
	}

	if present != nil {
		if err := mayTake(present, options.Policy); err != nil {
			return err
		}
	}

	own(object)

	applied, err := client.Apply(ctx, object.GetName(), object, metav1.ApplyOptions{FieldManager: FieldManager, Force: options.Force})
	if err != nil {
		return fmt.Errorf("applying %s: %w", describe(object), err)
	}

	switch {
	case present == nil:
		options.Say("created %s", describe(object))
	case present.GetResourceVersion() != applied.GetResourceVersion():
		options.Say("updated %s", describe(object))
	}

	return nil
}

// mayTake says whether an object that exists may become one of ours.
func mayTake(present *unstructured.Unstructured, policy Policy) error {
	owner := present.GetAnnotations()[owningAnnotation]

	if owner == InventoryName || owner == "" && policy != MustMatch || policy == AdoptAll {
		return nil
	}

	if owner == "" {
		return fmt.Errorf("applying %s: it exists and belongs to no inventory, which the policy %s does not take over", describe(present), policy)
	}

	return fmt.Errorf("applying %s: it belongs to the inventory %q, which the policy %s does not take over", describe(present), owner, policy)
}

// own marks an object as one of ours.
func own(object *unstructured.Unstructured) {
	annotations := object.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}

	annotations[owningAnnotation] = InventoryName
	object.SetAnnotations(annotations)
}

// prune removes an object of the inventory, unless it is somebody else's by
// now.
func (a *Applier) prune(ctx context.Context, key string, say func(string, ...any)) error {
	namespace, name, kind, ok := parseKey(key)
	if !ok {
		return nil // not written by us
	}

	stub := &unstructured.Unstructured{}
	stub.SetNamespace(namespace)
	stub.SetName(name)
	stub.SetKind(kind.Kind)

	client, err := a.resource(kind.WithVersion(""), stub)
	if meta.IsNoMatchError(err) {
		return nil // the kind has gone with the version that had it
	}

	if err != nil {
		return err
	}

	present, err := client.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}

	if err != nil {
		return fmt.Errorf("reading %s: %w", describe(stub), err)
	}

	if present.GetAnnotations()[owningAnnotation] != InventoryName {
		return nil
	}

	policy := metav1.DeletePropagationForeground

	err = client.Delete(ctx, name, metav1.DeleteOptions{PropagationPolicy: &policy})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("removing %s: %w", describe(stub), err)
	}

	say("removed %s", describe(stub))

	return nil
}

// parseKey takes the key of an inventory apart.
func parseKey(key string) (namespace, name string, kind schema.GroupKind, ok bool) {
	last := strings.LastIndexByte(key, '_')
	if last < 0 {
		return "", "", kind, false
	}

	kind.Kind, key = key[last+1:], key[:last]

	if last = strings.LastIndexByte(key, '_'); last < 0 {
		return "", "", kind, false
	}

	kind.Group, key = key[last+1:], key[:last]

	namespace, name, ok = strings.Cut(key, "_")

	return namespace, strings.ReplaceAll(name, "__", ":"), kind, ok && name != "" && kind.Kind != ""
}

// resource is how objects of a kind are reached, in the namespace of this one,
// which gets the default namespace if it needs one and has none.
func (a *Applier) resource(kind schema.GroupVersionKind, object *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	versions := []string{kind.Version}
	if kind.Version == "" {
		versions = nil
	}

	mapping, err := a.Mapper.RESTMapping(kind.GroupKind(), versions...)
	if meta.IsNoMatchError(err) {
		a.Mapper.Reset()

		mapping, err = a.Mapper.RESTMapping(kind.GroupKind(), versions...)
	}

	if err != nil {
		return nil, fmt.Errorf("finding the resource of %s: %w", kind, err)
	}

	if mapping.Scope.Name() != meta.RESTScopeNameNamespace {
		return a.Client.Resource(mapping.Resource), nil
	}

	if object.GetNamespace() == "" {
		object.SetNamespace(metav1.NamespaceDefault)
	}

	return a.Client.Resource(mapping.Resource).Namespace(object.GetNamespace()), nil
}
