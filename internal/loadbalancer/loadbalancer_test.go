package loadbalancer_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"testing"

	"github.com/basalt-os/basalt/internal/loadbalancer"
)

// echo starts a server that answers each connection with its name and ends it.
func echo(t *testing.T, name string) (address string, stop func()) {
	t.Helper()

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	done := make(chan struct{})

	go func() {
		defer close(done)

		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}

			io.WriteString(conn, name) //nolint:errcheck // probes go away early
			conn.Close()               //nolint:errcheck // test server
		}
	}()

	stop = func() {
		listener.Close() //nolint:errcheck // ends the server
		<-done
	}
	t.Cleanup(stop)

	return listener.Addr().String(), stop
}

func ask(t *testing.T, address string) string {
	t.Helper()

	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // test client

	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}

	return string(answer)
}

func TestConnectionsGoToLiveBackends(t *testing.T) {
	a, stopA := echo(t, "a")
	b, _ := echo(t, "b")

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	balancer := loadbalancer.New(slog.New(slog.DiscardHandler))
	balancer.SetBackends([]string{a, b})

	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)

	go func() { served <- balancer.Serve(ctx, listener) }()

	seen := map[string]int{}
	for range 10 {
		seen[ask(t, listener.Addr().String())]++
	}

	if seen["a"] == 0 || seen["b"] == 0 || seen["a"]+seen["b"] != 10 {
		t.Errorf("both backends should answer in turn, got %v", seen)
	}

	stopA()

	for range 5 {
		if got := ask(t, listener.Addr().String()); got != "b" {
			t.Errorf("with a stopped, %q answered", got)
		}
	}

	balancer.SetBackends(nil)

	if got := ask(t, listener.Addr().String()); got != "" {
		t.Errorf("without backends, %q answered", got)
	}

	cancel()

	if err := <-served; err != nil {
		t.Errorf("serve ended with %v", err)
	}
}
