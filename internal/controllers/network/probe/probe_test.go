package probe

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/basalt-os/basalt/internal/reconcile/reconciletest"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/network"
)

func TestOver(t *testing.T) {
	t.Parallel()

	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/redirect":
			http.Redirect(w, r, "/none", http.StatusFound)
		case "/":
		default:
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()

	at := func(path string) network.ProbeSpec {
		u, err := url.Parse(strings.Replace(server.URL, "http://", "http://user:secret@", 1) + path)
		if err != nil {
			t.Fatal(err)
		}

		return network.ProbeSpec{HTTP: network.HTTPProbeSpec{URL: u, Timeout: 10 * time.Second}}
	}

	tcp := func(endpoint string) network.ProbeSpec {
		return network.ProbeSpec{TCP: network.TCPProbeSpec{Endpoint: endpoint, Timeout: 10 * time.Second}}
	}

	// A port at which nobody listens any more.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	closed := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}

	refused := at("/")
	refused.HTTP.URL.Host = closed

	for _, test := range []struct {
		name string
		spec network.ProbeSpec
		ok   bool
	}{
		{"a page", at("/"), true},
		{"a page that leads elsewhere", at("/redirect"), true},
		{"an error", at("/none"), false},
		{"a server that is not there", refused, false},
		{"a port", tcp(server.Listener.Addr().String()), true},
		{"a closed port", tcp(closed), false},
	} {
		err := Over(nil)(t.Context(), test.spec)
		if (err == nil) != test.ok {
			t.Errorf("%s: %v", test.name, err)
		}

		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error has the password: %v", test.name, err)
		}
	}
}

func TestOutcome(t *testing.T) {
	t.Parallel()

	bad := errors.New("bad")
	status := network.ProbeStatus{}

	for i, step := range []struct {
		err      error
		failures int
		want     bool
	}{
		{bad, 1, false}, // never succeeded
		{nil, 0, true},
		{bad, 1, true},
		{bad, 2, true},
		{bad, 3, false},
		{bad, 4, false},
		{nil, 0, true},
	} {
		status = outcome(step.err, step.failures, 3)(status)
		if status.Success != step.want || (status.LastError == "") != (step.err == nil) {
			t.Errorf("step %d: %+v", i, status)
		}
	}
}

// Probes run while their specs are there.
func TestController(t *testing.T) {
	t.Parallel()

	results := make(chan error)
	ticks := make(chan time.Time)

	c := newController(
		func(ctx context.Context, _ network.ProbeSpec) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case err := <-results:
				return err
			}
		},
		func(time.Duration) <-chan time.Time { return ticks })

	store := resource.NewStore()

	defer reconciletest.Run(t, store, c)()

	ctx := t.Context()

	await := func(ok func(*resource.Resource[network.ProbeStatus]) bool) {
		t.Helper()

		if _, err := resource.WaitFor(ctx, store, "tcp:a", ok); err != nil {
			t.Fatal(err)
		}
	}

	if err := store.Create(ctx, resource.New("tcp:a", network.ProbeSpec{}), "test"); err != nil {
		t.Fatal(err)
	}

	await(func(r *resource.Resource[network.ProbeStatus]) bool { return r != nil && !r.Spec.Success })

	results <- nil
	await(func(r *resource.Resource[network.ProbeStatus]) bool { return r.Spec.Success })

	ticks <- time.Time{}
	results <- errors.New("gone")
	await(func(r *resource.Resource[network.ProbeStatus]) bool {
		return !r.Spec.Success && r.Spec.LastError == "gone"
	})

	if err := store.Destroy(ctx, resource.PointerOf[network.ProbeSpec]("tcp:a"), "test"); err != nil {
		t.Fatal(err)
	}

	await(func(r *resource.Resource[network.ProbeStatus]) bool { return r == nil })
}
