package apply

import (
	"encoding/json"
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/fake"
	clienttesting "k8s.io/client-go/testing"
)

type staticMapper struct{ *meta.DefaultRESTMapper }

func (staticMapper) Reset() {}

func object(kind, apiVersion, namespace, name string) map[string]any {
	metadata := map[string]any{"name": name}
	if namespace != "" {
		metadata["namespace"] = namespace
	}

	return map[string]any{"apiVersion": apiVersion, "kind": kind, "metadata": metadata}
}

// createOnApply gives the fake client what it lacks: a server-side apply that
// creates.
func createOnApply(client *fake.FakeDynamicClient) {
	client.PrependReactor("patch", "*", func(action clienttesting.Action) (bool, runtime.Object, error) {
		patch := action.(clienttesting.PatchAction)

		object := &unstructured.Unstructured{}
		if err := json.Unmarshal(patch.GetPatch(), &object.Object); err != nil {
			return true, nil, err
		}

		return true, object, client.Tracker().Create(patch.GetResource(), object, patch.GetNamespace())
	})
}

func TestApply(t *testing.T) {
	t.Parallel()

	existing := object("ConfigMap", "v1", "kube-system", "coredns")
	existing["data"] = map[string]any{"Corefile": "the owner's"}

	scheme := runtime.NewScheme()
	roles := schema.GroupVersionResource{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterroles"}
	client := fake.NewSimpleDynamicClientWithCustomListKinds(scheme,
		map[schema.GroupVersionResource]string{configMaps: "ConfigMapList", roles: "ClusterRoleList"},
		&unstructured.Unstructured{Object: existing})

	createOnApply(client)

	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}, meta.RESTScopeNamespace)
	mapper.Add(schema.GroupVersionKind{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRole"}, meta.RESTScopeRoot)

	applier := &Applier{Client: client, Mapper: staticMapper{mapper}, Logger: slog.New(slog.DiscardHandler)}

	ours := object("ConfigMap", "v1", "kube-system", "coredns")
	ours["data"] = map[string]any{"Corefile": "ours"}

	err := applier.Apply(t.Context(), []map[string]any{
		ours,
		object("ClusterRole", "rbac.authorization.k8s.io/v1", "", "system:coredns"),
		object("Widget", "example.com/v1", "", "unknown kind"),
		object("ConfigMap", "v1", "kube-system", "never reached"),
	})
	if err == nil || !meta.IsNoMatchError(err) {
		t.Fatalf("error = %v, want that the kind Widget is not known", err)
	}

	kept, err := client.Resource(configMaps).Namespace("kube-system").Get(t.Context(), "coredns", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}

	if text, _, _ := unstructured.NestedString(kept.Object, "data", "Corefile"); text != "the owner's" {
		t.Errorf("an existing object was changed to %q", text)
	}

	if _, err := client.Resource(roles).Get(t.Context(), "system:coredns", metav1.GetOptions{}); err != nil {
		t.Errorf("the missing role was not created: %v", err)
	}

	inventory, err := applier.readInventory(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	want := map[string]string{
		"kube-system_coredns__ConfigMap":                         "",
		"_system__coredns_rbac.authorization.k8s.io_ClusterRole": "",
	}
	if diff := cmp.Diff(want, inventory); diff != "" {
		t.Errorf("inventory (-want +got):\n%s", diff)
	}
}
