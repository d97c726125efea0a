package kubeaccess

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/basalt-os/basalt/internal/resources/kubeaccess"
	"github.com/basalt-os/basalt/internal/resources/pki"
	resources "github.com/basalt-os/basalt/internal/resources/secrets"
	"github.com/basalt-os/basalt/pkg/client/clientconfig"
	"github.com/basalt-os/basalt/pkg/secrets"
)

var today = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func testIssuer(t *testing.T) *issuer {
	t.Helper()

	bundle, err := secrets.NewBundle(secrets.Options{})
	if err != nil {
		t.Fatal(err)
	}

	pair := bundle.Certs.OS

	i, err := newIssuer(kubeaccess.Config{
		Enabled: true, AllowedAPIRoles: []string{"os:reader", "os:etcd:backup", "os:nonsense"},
		AllowedKubernetesNamespaces: []string{"kube-system", "backup"},
	}, "lab", resources.OSRoot{IssuingCA: &pki.CertificateAndKey{Crt: pki.PEM(pair.Cert), Key: pki.PEM(pair.Key)}}, today)
	if err != nil {
		t.Fatal(err)
	}

	return i
}

func TestRefuses(t *testing.T) {
	t.Parallel()

	i := testIssuer(t)

	for _, test := range []struct {
		namespace string
		roles     []string
		want      string
	}{
		{"backup", []string{"os:etcd:backup", "os:reader"}, ""},
		{"default", []string{"os:reader"}, `namespace "default" is not allowed: kubernetesTalosAPIAccess lists "kube-system", "backup"`},
		{"backup", nil, "no roles"},
		{"backup", []string{"os:reader", "os:admin"}, `role "os:admin" is not allowed`},
		{"backup", []string{"os:nonsense"}, "os:nonsense"},
	} {
		got := i.refuses(test.namespace, test.roles)
		if (test.want == "") != (got == "") || !strings.Contains(got, test.want) {
			t.Errorf("%s, %q: got %q, want %q", test.namespace, test.roles, got, test.want)
		}
	}
}

func TestIssue(t *testing.T) {
	t.Parallel()

	i := testIssuer(t)

	text, err := i.issue([]string{"os:reader", "os:etcd:backup", "os:reader"})
	if err != nil {
		t.Fatal(err)
	}

	config, err := clientconfig.Parse(text)
	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff([]string{"talos.default"}, config.Contexts["lab"].Endpoints); diff != "" {
		t.Errorf("endpoints (-want +got):\n%s", diff)
	}

	if !i.fresh(text, []string{"os:reader", "os:etcd:backup"}) {
		t.Error("what was just issued is not fresh")
	}

	if i.fresh(text, []string{"os:reader"}) {
		t.Error("it is taken for one with other roles")
	}

	if i.fresh([]byte("context: x"), nil) {
		t.Error("an empty configuration is taken")
	}

	if other := testIssuer(t); other.fresh(text, []string{"os:reader", "os:etcd:backup"}) {
		t.Error("it is taken for one of another authority")
	}

	i.now = today.Add(lifetime/2 - time.Hour)
	if !i.fresh(text, []string{"os:reader", "os:etcd:backup"}) {
		t.Error("it is renewed too early")
	}

	i.now = today.Add(lifetime / 2)
	if i.fresh(text, []string{"os:reader", "os:etcd:backup"}) {
		t.Error("it is not renewed in the middle of its life")
	}
}

func account(namespace string, roles ...any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "talos.dev/v1alpha1", "kind": "ServiceAccount",
		"metadata": map[string]any{"namespace": namespace, "name": "worker", "uid": "1"},
		"spec":     map[string]any{"roles": roles},
	}}
}

// world is a Kubernetes API with one account.
type world struct {
	t       *testing.T
	issuer  *issuer
	client  *fake.Clientset
	dynamic *dynamicfake.FakeDynamicClient
	ns      string
}

func newWorld(t *testing.T, object *unstructured.Unstructured, secrets ...runtime.Object) *world {
	t.Helper()

	kinds := map[schema.GroupVersionResource]string{accountResource: "ServiceAccountList"}

	return &world{
		t: t, issuer: testIssuer(t), client: fake.NewClientset(secrets...), ns: object.GetNamespace(),
		dynamic: dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), kinds, object),
	}
}

func (w *world) answer() {
	w.t.Helper()

	if err := answer(context.Background(), w.issuer, w.client, w.dynamic, w.account()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) account() *unstructured.Unstructured {
	w.t.Helper()

	object, err := w.dynamic.Resource(accountResource).Namespace(w.ns).Get(w.t.Context(), "worker", metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}

	return object
}

func (w *world) reason() string {
	reason, _, _ := unstructured.NestedString(w.account().Object, "status", "failureReason")

	return reason
}

func (w *world) secret() *corev1.Secret {
	w.t.Helper()

	secret, err := w.client.CoreV1().Secrets(w.ns).Get(w.t.Context(), "worker", metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}

	return secret
}

func TestAnswer(t *testing.T) {
	t.Parallel()

	w := newWorld(t, account("backup", "os:reader"))
	w.answer()

	first := w.secret()
	if !metav1.IsControlledBy(first, w.account()) || !w.issuer.fresh(first.Data["config"], []string{"os:reader"}) || w.reason() != "" {
		t.Errorf("got %v, %q", first, w.reason())
	}

	w.answer()

	if again := w.secret(); string(again.Data["config"]) != string(first.Data["config"]) {
		t.Error("a fresh certificate is replaced")
	}

	w.issuer.now = today.Add(lifetime / 2)
	w.answer()

	if later := w.secret(); string(later.Data["config"]) == string(first.Data["config"]) {
		t.Error("an old certificate stays")
	}
}

func TestRefusal(t *testing.T) {
	t.Parallel()

	w := newWorld(t, account("backup", "os:admin"))
	w.answer()

	if !strings.Contains(w.reason(), "os:admin") {
		t.Errorf("got %q", w.reason())
	}

	// Once it is allowed, the status says so.
	w.issuer.access.AllowedAPIRoles = append(w.issuer.access.AllowedAPIRoles, "os:admin")
	w.answer()

	if w.reason() != "" || w.secret() == nil {
		t.Errorf("got %q", w.reason())
	}

	w = newWorld(t, account("backup", "os:reader"), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "backup", Name: "worker"}, Data: map[string][]byte{"password": []byte("x")},
	})
	w.answer()

	if !strings.Contains(w.reason(), "not of this service account") || string(w.secret().Data["password"]) != "x" {
		t.Errorf("somebody's secret: got %q, %v", w.reason(), w.secret().Data)
	}

	w = newWorld(t, account("backup", int64(7)))
	w.answer()

	if !strings.Contains(w.reason(), "list of texts") {
		t.Errorf("roles that are none: got %q", w.reason())
	}
}

func TestByFamily(t *testing.T) {
	t.Parallel()

	address := netip.MustParseAddr

	got := byFamily([]netip.Addr{address("10.5.0.3"), address("fd00::2"), address("10.5.0.2"), address("::ffff:10.5.0.3")})
	want := map[discoveryv1.AddressType][]netip.Addr{
		discoveryv1.AddressTypeIPv4: {address("10.5.0.2"), address("10.5.0.3")}, discoveryv1.AddressTypeIPv6: {address("fd00::2")},
	}

	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
}

func TestApplySlices(t *testing.T) {
	t.Parallel()

	client := fake.NewClientset()

	for _, addresses := range [][]netip.Addr{
		{netip.MustParseAddr("10.5.0.2"), netip.MustParseAddr("fd00::2")},
		{netip.MustParseAddr("10.5.0.3")},
	} {
		if err := applySlices(t.Context(), nil, client, addresses); err != nil {
			t.Fatal(err)
		}
	}

	list, err := client.DiscoveryV1().EndpointSlices("default").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}

	if len(list.Items) != 1 || list.Items[0].Labels[discoveryv1.LabelServiceName] != "talos" ||
		*list.Items[0].Ports[0].Port != 50000 || list.Items[0].Endpoints[len(list.Items[0].Endpoints)-1].Addresses[0] != "10.5.0.3" {
		t.Errorf("got %v", list.Items)
	}
}
