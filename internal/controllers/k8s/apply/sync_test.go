package apply

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/fake"
	clienttesting "k8s.io/client-go/testing"
)

// replaceOnApply gives the fake client what it lacks: a server-side apply.
func replaceOnApply(client *fake.FakeDynamicClient) {
	version := 0

	client.PrependReactor("patch", "*", func(action clienttesting.Action) (bool, runtime.Object, error) {
		patch := action.(clienttesting.PatchAction)

		object := &unstructured.Unstructured{}
		if err := json.Unmarshal(patch.GetPatch(), &object.Object); err != nil {
			return true, nil, err
		}

		version++
		object.SetResourceVersion(fmt.Sprint("v", version))

		err := client.Tracker().Update(patch.GetResource(), object, patch.GetNamespace())
		if apierrors.IsNotFound(err) {
			err = client.Tracker().Create(patch.GetResource(), object, patch.GetNamespace())
		}

		return true, object, err
	})
}

func owned(object map[string]any, inventory string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: object}
	u.SetAnnotations(map[string]string{owningAnnotation: inventory})

	return u
}

func TestSync(t *testing.T) {
	t.Parallel()

	inventory := object("ConfigMap", "v1", InventoryNamespace, InventoryName)
	inventory["data"] = map[string]any{
		"kube-system_same__ConfigMap": "", "kube-system_old__ConfigMap": "", "kube-system_given-away__ConfigMap": "",
		"kube-system_gone__ConfigMap": "", "_a__widget_example.com_Widget": "", "nonsense": "",
	}

	kinds := map[schema.GroupVersionResource]string{configMaps: "ConfigMapList"}
	client := fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), kinds,
		&unstructured.Unstructured{Object: inventory},
		owned(object("ConfigMap", "v1", "kube-system", "same"), InventoryName),
		owned(object("ConfigMap", "v1", "kube-system", "old"), InventoryName),
		owned(object("ConfigMap", "v1", "kube-system", "given-away"), "somebody"),
		&unstructured.Unstructured{Object: object("ConfigMap", "v1", "kube-system", "loose")})

	replaceOnApply(client)

	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{{Version: "v1"}})
	mapper.Add(schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}, meta.RESTScopeNamespace)

	applier := &Applier{Client: client, Mapper: staticMapper{mapper}, Logger: slog.New(slog.DiscardHandler)}

	var said []string

	err := applier.Sync(t.Context(), []map[string]any{
		object("ConfigMap", "v1", "kube-system", "same"),
		object("ConfigMap", "v1", "kube-system", "new"),
		object("ConfigMap", "v1", "kube-system", "loose"),
	}, SyncOptions{Policy: AdoptIfNoInventory, Say: func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }})
	if err != nil {
		t.Fatal(err)
	}

	want := []string{
		"updated ConfigMap/kube-system/same", "created ConfigMap/kube-system/new", "updated ConfigMap/kube-system/loose",
		"removed ConfigMap/kube-system/old",
	}
	if diff := cmp.Diff(want, said); diff != "" {
		t.Errorf("said (-want +got):\n%s", diff)
	}

	list, err := client.Resource(configMaps).Namespace("kube-system").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}

	var names []string
	for _, item := range list.Items {
		names = append(names, item.GetName())
	}

	slices.Sort(names)

	if diff := cmp.Diff([]string{"given-away", "loose", "new", "same", InventoryName}, names); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
}

func TestMayTake(t *testing.T) {
	t.Parallel()

	for owner, allowed := range map[string][]Policy{
		InventoryName: {MustMatch, AdoptIfNoInventory, AdoptAll},
		"":            {AdoptIfNoInventory, AdoptAll},
		"somebody":    {AdoptAll},
	} {
		for _, policy := range Policies() {
			err := mayTake(owned(object("ConfigMap", "v1", "", "x"), owner), policy)
			if (err == nil) != slices.Contains(allowed, policy) {
				t.Errorf("an object of %q under %s: %v", owner, policy, err)
			}
		}
	}
}

func TestParseKey(t *testing.T) {
	t.Parallel()

	for _, o := range []map[string]any{
		object("ConfigMap", "v1", "kube-system", "a-name"),
		object("ClusterRole", "rbac.authorization.k8s.io/v1", "", "system:coredns"),
		object("Namespace", "v1", "", "plain"),
	} {
		u := &unstructured.Unstructured{Object: o}

		namespace, name, kind, ok := parseKey(inventoryKey(u))
		if !ok || namespace != u.GetNamespace() || name != u.GetName() || kind != u.GroupVersionKind().GroupKind() {
			t.Errorf("%s: %q, %q, %v, %v", inventoryKey(u), namespace, name, kind, ok)
		}
	}

	for _, key := range []string{"", "x", "a_b", "___", strings.Repeat("_", 9)} {
		if _, name, _, ok := parseKey(key); ok && name == "" {
			t.Errorf("%q is taken", key)
		}
	}
}
