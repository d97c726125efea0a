package secrets

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/pkg/secrets"
)

func authority(t *testing.T) *secrets.CA {
	t.Helper()

	ca, err := secrets.NewCA(secrets.CAOptions{Organization: "test", NotBefore: time.Now().Add(-48 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}

	return ca
}

func TestEnsure(t *testing.T) {
	t.Parallel()

	ca, other := authority(t), authority(t)
	start := time.Now()

	request := secrets.Request{
		CommonName: "node", Organizations: []string{"os:admin"}, DNSNames: []string{"node", "localhost"},
		IPs: []netip.Addr{netip.MustParseAddr("10.5.0.2"), netip.MustParseAddr("::1")}, NotBefore: start, TTL: 24 * time.Hour,
	}

	current, err := ca.IssueServer(request)
	if err != nil {
		t.Fatal(err)
	}

	for _, test := range []struct {
		name   string
		ca     *secrets.CA
		now    time.Time
		change func(*secrets.Request)
		kept   bool
	}{
		{name: "fresh", ca: ca, now: start.Add(time.Hour), kept: true},
		{name: "other order", ca: ca, now: start, kept: true, change: func(r *secrets.Request) { r.DNSNames = []string{"localhost", "node", "node"} }},
		{name: "half its life over", ca: ca, now: start.Add(13 * time.Hour)},
		{name: "another authority", ca: other, now: start},
		{name: "a new address", ca: ca, now: start, change: func(r *secrets.Request) { r.IPs = append(r.IPs[:1:1], netip.MustParseAddr("10.5.0.9")) }},
		{name: "a new name", ca: ca, now: start, change: func(r *secrets.Request) { r.DNSNames = []string{"node"} }},
		{name: "another user", ca: ca, now: start, change: func(r *secrets.Request) { r.CommonName = "other" }},
		{name: "another group", ca: ca, now: start, change: func(r *secrets.Request) { r.Organizations = nil }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()

			want := request
			want.NotBefore = test.now

			if test.change != nil {
				test.change(&want)
			}

			i := &issuer{ca: test.ca, now: test.now}

			got, err := i.ensure(current, forServer, want)
			if err != nil {
				t.Fatal(err)
			}

			if kept := cmp.Equal(got, current); kept != test.kept {
				t.Errorf("the certificate was kept: %v, want %v", kept, test.kept)
			}

			if _, ok := i.check(got, want); !ok {
				t.Error("the result is not what was asked for")
			}

			if wait := i.wait(); wait <= 0 || wait > 13*time.Hour {
				t.Errorf("next renewal in %s", wait)
			}
		})
	}
}

func TestKubeconfigKeepsItsCredential(t *testing.T) {
	t.Parallel()

	ca := authority(t)

	pair, err := ca.IssueClient(secrets.Request{CommonName: "admin"})
	if err != nil {
		t.Fatal(err)
	}

	text, err := kubeconfig{Cluster: "c", User: "admin", Server: "https://10.5.0.2:6443", CA: ca.CertPEM(), Credential: pair}.render()
	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(pair, credential(text)); diff != "" {
		t.Errorf("credential (-want +got):\n%s", diff)
	}

	if got := credential("users: 1"); !got.IsZero() {
		t.Errorf("credential of broken text: %v", got)
	}
}

func TestBundle(t *testing.T) {
	t.Parallel()

	if got := string(bundle([]byte("a\n"), nil, []byte("b"), []byte("a"))); got != "a\nb\n" {
		t.Errorf("bundle = %q", got)
	}
}
