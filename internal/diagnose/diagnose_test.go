package diagnose_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/diagnose"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
)

// moment is a control plane node whose etcd has no spec, because the clock is not
// synchronized, and no certificates, because they are about to be issued.
func moment() diagnose.Moment {
	statuses := map[string]reconcile.Status{
		"etcd.SpecController": {
			State: reconcile.StateWaiting, Inputs: []string{"etcd/EtcdConfigs.etcd.talos.dev"}, Outputs: []string{"EtcdSpecs.etcd.talos.dev"},
			WaitingFor: "v1alpha1/TimeStatuses.v1alpha1.talos.dev/node", Reason: "the clock is not synchronized",
		},
		"etcd.PKIController": {
			State: reconcile.StateWaiting, Outputs: []string{"PKIStatuses.etcd.talos.dev"},
			WaitingFor: "secrets/EtcdSecrets.secrets.talos.dev/etcd",
		},
		"secrets.EtcdController": {
			State: reconcile.StateStarting, Outputs: []string{"EtcdSecrets.secrets.talos.dev"},
		},
		"time.SyncController": {
			State: reconcile.StateFailing, Outputs: []string{"TimeStatuses.v1alpha1.talos.dev"}, Failures: 3, Error: "no time server answers",
		},
	}

	return diagnose.Moment{
		Stage: "booting",
		Unmet: []diagnose.Unmet{
			{Name: "services", Reason: `service "etcd" is not running`},
			{Name: "nodeReady", Reason: "node is not ready"},
			{Name: "staticPods", Reason: `static pod "kube-apiserver" is not ready`},
		},
		Services: []diagnose.Service{
			{ID: "containerd", State: "Running", Health: "connection refused"},
			{ID: "etcd", State: "Waiting", Event: `Waiting for etcd spec, etcd certificates, service "containerd" to be up`},
			{ID: "kubelet", State: "Running", Healthy: true},
			{ID: "machined", State: "Running", Unknown: true},
			{ID: "first", State: "Waiting", Event: `Waiting for service "second" to be up`},
			{ID: "second", State: "Waiting", Event: `Waiting for service "first" to be up`},
			{ID: "broken", State: "Failed", Event: "exit status 1"},
		},
		Situation: reconcile.Situation{
			Graph: reconcile.GraphOf(statuses), Statuses: statuses,
			Present: func(reconcile.Input) bool { return false },
		},
	}
}

const etcdChain = `service "etcd" is waiting
  it waits for etcd spec
    etcd/EtcdSpecs.etcd.talos.dev/etcd does not exist
      etcd.SpecController is waiting for v1alpha1/TimeStatuses.v1alpha1.talos.dev/node: the clock is not synchronized
        v1alpha1/TimeStatuses.v1alpha1.talos.dev/node does not exist
          time.SyncController is failing (3 times in a row): no time server answers
  it waits for etcd certificates
    etcd/PKIStatuses.etcd.talos.dev/etcd does not exist
      etcd.PKIController is waiting for secrets/EtcdSecrets.secrets.talos.dev/etcd
        secrets/EtcdSecrets.secrets.talos.dev/etcd does not exist
          secrets.EtcdController has not finished its first run
  it waits for service "containerd" to be up
    service "containerd" is running, but not healthy: connection refused
`

func TestAbout(t *testing.T) {
	for name, want := range map[string]string{
		"etcd":     etcdChain,
		"kubelet":  "service \"kubelet\" is running and healthy\n",
		"machined": "service \"machined\" is running; its health has not been checked\n",
		"broken":   "service \"broken\" is failed: exit status 1\n",
		"first": `service "first" is waiting
  it waits for service "second" to be up
    service "second" is waiting
      it waits for service "first" to be up
        service "first" waits for itself: the chain is a circle
`,
		"staticpods": `condition "staticpods" does not hold
  staticPods: static pod "kube-apiserver" is not ready
    "basaltctl containers -k" shows its containers, and "basaltctl logs -k" what they say
`,
		"time.SyncController": `controller time.SyncController
  time.SyncController is failing (3 times in a row): no time server answers
`,
	} {
		cause, err := moment().About(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)

			continue
		}

		if diff := cmp.Diff(want, cause.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}

	if _, err := moment().About("nobody"); !errors.Is(err, diagnose.ErrUnknown) {
		t.Errorf("got %v for a name that is not there", err)
	}
}

func TestNode(t *testing.T) {
	m := moment()
	cause := m.Node()

	if cause.Text != "the node is not ready (booting)" || len(cause.Because) != 3 {
		t.Fatalf("got %s", cause)
	}

	if got := cause.Because[0].Because[0].String(); got != etcdChain {
		t.Errorf("services: got %s", got)
	}

	want := "nodeReady: node is not ready\n" +
		"  the kubelet runs, but Kubernetes does not have the node as ready: \"kubectl describe node\" says more\n"
	if got := cause.Because[1].String(); got != want {
		t.Errorf("nodeReady: got %s", got)
	}

	m.Stage, m.Ready, m.Unmet = "running", true, nil
	want = `the node is ready (running)
  but a controller fails
    time.SyncController is failing (3 times in a row): no time server answers
`

	if diff := cmp.Diff(want, m.Node().String()); diff != "" {
		t.Error(diff)
	}
}

func TestResource(t *testing.T) {
	got := moment().Resource(resource.Pointer{Namespace: "v1alpha1", Type: "TimeStatuses.v1alpha1.talos.dev", ID: "node"}).String()
	want := `v1alpha1/TimeStatuses.v1alpha1.talos.dev/node does not exist
  time.SyncController is failing (3 times in a row): no time server answers
`

	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
