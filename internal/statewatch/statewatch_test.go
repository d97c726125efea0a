package statewatch_test

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources"
	"github.com/basalt-os/basalt/internal/resources/runtime"
	"github.com/basalt-os/basalt/internal/state"
	"github.com/basalt-os/basalt/internal/statewatch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve is machined's side; the returned function stops it.
func serve(t *testing.T, socket string, store *resource.Store) func() {
	t.Helper()

	table, err := resources.NewTable()
	if err != nil {
		t.Fatal(err)
	}

	server := grpc.NewServer()
	state.NewFor(store, table, runtime.APIServiceConfig{}.Definition().Type).Register(server)

	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}

	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()

	return func() {
		server.Stop()

		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestFollow(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "runtime.sock")
	store := resource.NewStore()
	stop := serve(t, socket, store)

	conn, err := statewatch.Dial(socket)
	if err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	seen, done := make(chan string, 16), make(chan error, 1)

	go func() {
		done <- statewatch.Follow(ctx, conn, "one", slog.New(slog.DiscardHandler), func(spec *runtime.APIServiceConfig) {
			if spec == nil {
				seen <- "gone"
			} else {
				seen <- spec.ListenAddress
			}
		})
	}()

	want := func(text string) {
		t.Helper()

		select {
		case got := <-seen:
			if got != text {
				t.Errorf("saw %q, want %q", got, text)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("never saw %q", text)
		}
	}
	create := func(id, address string) {
		t.Helper()

		object := resource.New(id, runtime.APIServiceConfig{ListenAddress: address})
		if err := store.Create(ctx, object, ""); err != nil {
			t.Fatal(err)
		}
	}

	create("other", "x") // of no interest
	create("one", "a")
	want("a")

	// After a break, what is there is told again.
	stop()

	stop = serve(t, socket, store)
	defer stop()

	want("a")

	if err := store.Destroy(ctx, resource.PointerOf[runtime.APIServiceConfig]("one"), ""); err != nil {
		t.Fatal(err)
	}

	want("gone")
	create("one", "b")
	want("b")
	cancel()

	if err := <-done; err != nil {
		t.Error(err)
	}

	if err := conn.Close(); err != nil {
		t.Error(err)
	}
}
