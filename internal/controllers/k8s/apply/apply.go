// Package apply brings bootstrap manifests into a Kubernetes cluster.
//
// Objects are created by server-side apply under one field manager and are
// recorded in an inventory. An object that exists already is never changed: it
// belongs to whoever runs the cluster from then on, and only an explicit
// upgrade updates it.
package apply

import (
	"context"
	"fmt"
	"log/slog"
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

// Names that tools of the cluster's owner look for.
const (
	FieldManager       = "talos"
	InventoryNamespace = metav1.NamespaceSystem
	InventoryName      = "talos-bootstrap-manifests-inventory"

	inventoryLabel   = "cli-utils.sigs.k8s.io/inventory-id"
	owningAnnotation = "config.k8s.io/owning-inventory"
)

var configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}

// Mapper finds the resource of a kind. Reset forgets what it knows, for when a
// kind has just been added to the cluster.
type Mapper interface {
	RESTMapping(kind schema.GroupKind, versions ...string) (*meta.RESTMapping, error)
	Reset()
}

// Applier creates objects in one cluster. It is not safe for concurrent use,
// within a node or over nodes: callers hold a lock of the cluster.
type Applier struct {
	Client dynamic.Interface
	Mapper Mapper
	Logger *slog.Logger
}

// Apply creates the objects that are missing, in the given order, and records
// all of them in the inventory. It stops at the first error; what was created
// until then stays and is recorded.
func (a *Applier) Apply(ctx context.Context, objects []map[string]any) error {
	inventory, err := a.readInventory(ctx)
	if err != nil {
		return err
	}

	known := maps.Clone(inventory)

	var failure error

	for _, content := range objects {
		object := &unstructured.Unstructured{Object: content}

		if failure = a.create(ctx, object); failure != nil {
			break
		}

		inventory[inventoryKey(object)] = ""
	}

	if !maps.Equal(known, inventory) {
		if err := a.writeInventory(ctx, inventory); err != nil {
			return err
		}
	}

	return failure
}

// create makes the object unless it exists.
func (a *Applier) create(ctx context.Context, object *unstructured.Unstructured) error {
	client, err := a.resource(object.GroupVersionKind(), object)
	if err != nil {
		return err
	}

	_, err = client.Get(ctx, object.GetName(), metav1.GetOptions{})
	if err == nil {
		return nil
	}

	if !apierrors.IsNotFound(err) {
		return fmt.Errorf("reading %s: %w", describe(object), err)
	}

	own(object)

	if _, err := client.Apply(ctx, object.GetName(), object, metav1.ApplyOptions{FieldManager: FieldManager, Force: true}); err != nil {
		return fmt.Errorf("creating %s: %w", describe(object), err)
	}

	a.Logger.Info("created Kubernetes object", "object", describe(object))

	return nil
}

func (a *Applier) readInventory(ctx context.Context) (map[string]string, error) {
	object, err := a.Client.Resource(configMaps).Namespace(InventoryNamespace).Get(ctx, InventoryName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return map[string]string{}, nil
	}

	if err != nil {
		return nil, fmt.Errorf("reading the manifest inventory: %w", err)
	}

	data, _, err := unstructured.NestedStringMap(object.Object, "data")
	if err != nil {
		return nil, fmt.Errorf("reading the manifest inventory: %w", err)
	}

	if data == nil {
		data = map[string]string{}
	}

	return data, nil
}

func (a *Applier) writeInventory(ctx context.Context, data map[string]string) error {
	object := &unstructured.Unstructured{}
	object.SetAPIVersion("v1")
	object.SetKind("ConfigMap")
	object.SetNamespace(InventoryNamespace)
	object.SetName(InventoryName)
	object.SetLabels(map[string]string{inventoryLabel: InventoryName})

	if err := unstructured.SetNestedStringMap(object.Object, data, "data"); err != nil {
		return fmt.Errorf("writing the manifest inventory: %w", err)
	}

	_, err := a.Client.Resource(configMaps).Namespace(InventoryNamespace).Apply(ctx, InventoryName, object,
		metav1.ApplyOptions{FieldManager: FieldManager, Force: true})
	if err != nil {
		return fmt.Errorf("writing the manifest inventory: %w", err)
	}

	return nil
}

// inventoryKey identifies an object in an inventory: namespace, name, group
// and kind. Colons, which only names of roles have, are doubled underscores,
// because a ConfigMap's keys cannot hold them.
func inventoryKey(object *unstructured.Unstructured) string {
	kind := object.GroupVersionKind()
	name := strings.ReplaceAll(object.GetName(), ":", "__")

	return strings.Join([]string{object.GetNamespace(), name, kind.Group, kind.Kind}, "_")
}

func describe(object *unstructured.Unstructured) string {
	return strings.Join(slices.DeleteFunc(
		[]string{object.GetKind(), object.GetNamespace(), object.GetName()},
		func(s string) bool { return s == "" }), "/")
}
