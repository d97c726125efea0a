package k8s

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/basalt-os/basalt/internal/resources/k8s"
	"github.com/basalt-os/basalt/internal/resources/network"
	"github.com/basalt-os/basalt/pkg/machineconfig"
)

var compareAddr = cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})

func prefixList(texts ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, text := range texts {
		out = append(out, netip.MustParsePrefix(text))
	}

	return out
}

func TestNodename(t *testing.T) {
	t.Parallel()

	for _, test := range []struct {
		host network.HostnameStatus
		fqdn bool
		want string
		err  bool
	}{
		{host: network.HostnameStatus{Hostname: "cp-1", Domainname: "example.com"}, want: "cp-1"},
		{host: network.HostnameStatus{Hostname: "cp-1", Domainname: "example.com"}, fqdn: true, want: "cp-1.example.com"},
		{host: network.HostnameStatus{Hostname: "cp-1"}, fqdn: true, want: "cp-1"},
		{host: network.HostnameStatus{Hostname: "CP_1!-"}, want: "cp-1"},
		{host: network.HostnameStatus{Hostname: "-_!"}, err: true},
	} {
		got, err := nodename(test.host, test.fqdn)
		if got != test.want || (err != nil) != test.err {
			t.Errorf("%v: %q, %v; want %q", test.host, got, err, test.want)
		}
	}
}

func TestFilterAddresses(t *testing.T) {
	t.Parallel()

	own := prefixList("10.5.0.2/24", "10.6.0.2/24", "fd00::2/64")

	for _, test := range []struct {
		name            string
		valid, excluded []string
		want            []string
		err             bool
	}{
		{name: "everything", want: []string{"10.5.0.2", "10.6.0.2", "fd00::2"}},
		{name: "a subnet", valid: []string{"10.6.0.0/16"}, want: []string{"10.6.0.2"}},
		{name: "without a subnet", valid: []string{"0.0.0.0/0"}, excluded: []string{"10.5.0.0/16"}, want: []string{"10.6.0.2"}},
		{name: "no subnet", valid: []string{"10.6.0.2"}, err: true},
	} {
		got, err := FilterAddresses(own, test.valid, test.excluded)

		var want []netip.Addr
		for _, text := range test.want {
			want = append(want, netip.MustParseAddr(text))
		}

		if diff := cmp.Diff(want, got, compareAddr); diff != "" || (err != nil) != test.err {
			t.Errorf("%s: error %v (-want +got):\n%s", test.name, err, diff)
		}
	}

	all, err := FilterAddresses(own, nil, nil)
	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff([]netip.Addr{all[0], all[2]}, onePerFamily(all), compareAddr); diff != "" {
		t.Errorf("one of each family (-want +got):\n%s", diff)
	}
}

func TestFamilies(t *testing.T) {
	t.Parallel()

	for _, test := range []struct {
		pods, services []netip.Prefix
		want           []string
	}{
		{prefixList("10.244.0.0/16"), prefixList("10.96.0.0/12"), []string{"0.0.0.0/0"}},
		{prefixList("10.244.0.0/16", "fd00:1::/64"), prefixList("10.96.0.0/12", "fd00:2::/112"), []string{"0.0.0.0/0", "::/0"}},
		{prefixList("10.244.0.0/16", "fd00:1::/64"), prefixList("fd00:2::/112"), []string{"::/0"}},
	} {
		got := families(machineconfig.KubeNetwork{PodSubnets: test.pods, ServiceSubnets: test.services})
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("families (-want +got):\n%s", diff)
		}
	}
}

func TestApplyToNode(t *testing.T) {
	t.Parallel()

	const control = "node-role.kubernetes.io/control-plane"

	want := desiredNode{
		labels: map[string]string{control: "", "rack": "a"},
		taints: map[string]k8s.NodeTaintSpec{control: {Key: control, Effect: "NoSchedule"}},
	}

	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"other": "stays"}},
		Spec:       corev1.NodeSpec{Taints: []corev1.Taint{{Key: "node.kubernetes.io/not-ready", Effect: "NoExecute"}}},
	}

	step := func(name string, desired desiredNode, changes bool, labels map[string]string, taints []string, cordoned bool) {
		t.Helper()

		changed, err := desired.applyTo(node)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}

		var keys []string
		for _, taint := range node.Spec.Taints {
			keys = append(keys, taint.Key+"="+taint.Value+":"+string(taint.Effect))
		}

		if changed != changes || node.Spec.Unschedulable != cordoned {
			t.Errorf("%s: changed %v, cordoned %v", name, changed, node.Spec.Unschedulable)
		}

		if diff := cmp.Diff(labels, node.Labels); diff != "" {
			t.Errorf("%s: labels (-want +got):\n%s", name, diff)
		}

		if diff := cmp.Diff(taints, keys); diff != "" {
			t.Errorf("%s: taints (-want +got):\n%s", name, diff)
		}
	}

	notReady := "node.kubernetes.io/not-ready=:NoExecute"
	all := map[string]string{"other": "stays", control: "", "rack": "a"}

	step("everything is new", want, true, all, []string{notReady, control + "=:NoSchedule"}, false)
	step("again", want, false, all, []string{notReady, control + "=:NoSchedule"}, false)

	want.cordoned = true
	want.taints = map[string]k8s.NodeTaintSpec{control: {Key: control, Value: "x", Effect: "NoExecute"}}
	step("another taint and cordoned", want, true, all, []string{notReady, control + "=x:NoExecute"}, true)

	step("nothing is wanted any more", desiredNode{}, true, map[string]string{"other": "stays"}, []string{notReady}, false)

	node.Spec.Unschedulable = true
	step("somebody else cordoned it", desiredNode{}, false, map[string]string{"other": "stays"}, []string{notReady}, true)

	node.Annotations[annotationOwnedLabels] = "not a list"
	if _, err := want.applyTo(node); err == nil {
		t.Error("a broken annotation was accepted")
	}
}

func TestPatchOfNode(t *testing.T) {
	t.Parallel()

	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{ResourceVersion: "7", Labels: map[string]string{"other": "stays"}},
		Spec:       corev1.NodeSpec{Taints: []corev1.Taint{{Key: "other", Effect: "NoExecute"}}},
	}

	for _, test := range []struct {
		name string
		want desiredNode
		text string
	}{
		{name: "nothing", text: ""},
		{
			name: "a label", want: desiredNode{labels: map[string]string{"rack": "a"}},
			text: `{"metadata":{"annotations":{"talos.dev/owned-labels":"[\"rack\"]"},"labels":{"rack":"a"}}}`,
		},
		{
			name: "a taint, which holds for the version that was seen",
			want: desiredNode{taints: map[string]k8s.NodeTaintSpec{"own": {Key: "own", Effect: "NoSchedule"}}},
			text: `{"metadata":{"annotations":{"talos.dev/owned-taints":"[\"own\"]"},"resourceVersion":"7"},` +
				`"spec":{"taints":[{"effect":"NoExecute","key":"other"},{"effect":"NoSchedule","key":"own"}]}}`,
		},
	} {
		got, err := test.want.patch(node)
		if err != nil || string(got) != test.text {
			t.Errorf("%s: %s, %v; want %s", test.name, got, err, test.text)
		}
	}
}
