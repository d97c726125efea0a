package inject

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const before = `apiVersion: v1
kind: Namespace
metadata:
  name: backup
---
# Copies etcd every night.
apiVersion: batch/v1
kind: CronJob
metadata:
  name: nightly
  namespace: backup
spec:
  schedule: "0 3 * * *" # UTC
  jobTemplate:
    spec:
      template:
        spec:
          containers:
            - name: copy
              image: backup:1
`

const after = `apiVersion: v1
kind: Namespace
metadata:
  name: backup
---
apiVersion: talos.dev/v1alpha1
kind: ServiceAccount
metadata:
  name: nightly-talos-secrets
  namespace: backup
spec:
  roles:
    - os:etcd:backup
---
# Copies etcd every night.
apiVersion: batch/v1
kind: CronJob
metadata:
  name: nightly
  namespace: backup
spec:
  schedule: "0 3 * * *" # UTC
  jobTemplate:
    spec:
      template:
        spec:
          containers:
            - name: copy
              image: backup:1
              volumeMounts:
                - mountPath: /var/run/secrets/talos.dev
                  name: talos-secrets
          volumes:
            - name: talos-secrets
              secret:
                secretName: nightly-talos-secrets
`

func TestServiceAccounts(t *testing.T) {
	t.Parallel()

	got, err := ServiceAccounts([]byte(before), []string{"os:etcd:backup"})
	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(after, string(got)); diff != "" {
		t.Errorf("manifest (-want +got):\n%s", diff)
	}

	again, err := ServiceAccounts(got, []string{"os:etcd:backup"})
	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(after, string(again)); diff != "" {
		t.Errorf("done again (-want +got):\n%s", diff)
	}
}

func TestManifestsThatCannotBe(t *testing.T) {
	t.Parallel()

	for _, test := range []struct{ manifest, want string }{
		{"", "has no pod"},
		{"kind: Service\n", "has no pod"},
		{"- a\n", "not an object"},
		{"kind: [\n", "reading manifest"},
		{"kind: Deployment\nmetadata: {name: x}\nspec: {}\n", "Deployment x has no pod template"},
		{"kind: Pod\nspec: {}\n", "has no name"},
	} {
		if _, err := ServiceAccounts([]byte(test.manifest), nil); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: got %v, want %q", test.manifest, err, test.want)
		}
	}
}

func FuzzServiceAccounts(f *testing.F) {
	f.Add([]byte(before))
	f.Add([]byte("kind: Pod\nmetadata: {name: x}\nspec: {containers: [{}], volumes: 7}\n"))

	f.Fuzz(func(t *testing.T, manifest []byte) {
		once, err := ServiceAccounts(manifest, []string{"os:reader"})
		if err != nil {
			return
		}

		if _, err := ServiceAccounts(once, []string{"os:reader"}); err != nil {
			t.Errorf("what was made of %q is not accepted: %v\n%s", manifest, err, once)
		}
	})
}
