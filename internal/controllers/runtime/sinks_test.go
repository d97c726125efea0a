package runtime

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	machineapi "github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/cmdline"
	"github.com/basalt-os/basalt/internal/events"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/network"
)

func TestTasks(t *testing.T) {
	t.Parallel()

	began, ended := make(chan string), make(chan string)
	task := func(name string) func(context.Context) {
		return func(ctx context.Context) {
			began <- name

			<-ctx.Done()
			ended <- name
		}
	}

	all := newTasks()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)

	go func() { done <- all.run(ctx, nil) }()

	all.set(map[string]func(context.Context){"a": task("a")})

	if got := <-began; got != "a" {
		t.Errorf("%s began", got)
	}

	// The one that runs is left alone: its other function is never called.
	all.set(map[string]func(context.Context){"a": task("another a"), "b": task("b")})

	if got := <-began; got != "b" {
		t.Errorf("%s began", got)
	}

	all.set(map[string]func(context.Context){"b": task("b")})

	if got := <-ended; got != "a" {
		t.Errorf("%s ended", got)
	}

	cancel()

	if got := <-ended; got != "b" {
		t.Errorf("%s ended", got)
	}

	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestKernelDestinations(t *testing.T) {
	t.Parallel()

	for _, test := range []struct {
		line string
		want []string
		err  string
	}{
		{line: "quiet talos.logging.kernelish=tcp://a:1 talos.logging.kernel="},
		{
			line: "talos.logging.kernel=tcp://[fdae::1]:8092 talos.logging.kernel=udp://a:1",
			want: []string{"tcp://[fdae::1]:8092", "udp://a:1"},
		},
		{line: "talos.logging.kernel=http://a:1", err: "not of the form"},
		{line: "talos.logging.kernel=tcp://%", err: "reading the kernel's argument"},
	} {
		destinations, err := kernelDestinations(cmdline.Parse(test.line))

		var got []string
		for _, d := range destinations {
			got = append(got, d.String())
		}

		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", test.line, diff)
		}

		if test.err == "" && err != nil || test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)) {
			t.Errorf("%q: got %v, want %q", test.line, err, test.err)
		}
	}
}

func TestAddressEvents(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		store, ring := resource.NewStore(), events.NewRing(10, nil)
		reader := ring.Follow(events.Start{}, "")
		engine := reconcile.NewEngine(store, slog.New(slog.DiscardHandler))

		if err := engine.Register(AddressEvents(ring)); err != nil {
			t.Fatal(err)
		}

		done := make(chan error)

		go func() { done <- engine.Run(ctx) }()

		name := func(host, domain string) error {
			return resource.Put(ctx, store, "test", network.HostnameID, network.HostnameStatus{Hostname: host, Domainname: domain})
		}
		addresses := func(list ...string) error {
			spec := network.NodeAddress{}
			for _, text := range list {
				spec.Addresses = append(spec.Addresses, netip.MustParsePrefix(text))
			}

			return resource.Put(ctx, store, "test", network.NodeAddressCurrentID, spec)
		}

		for _, step := range []struct {
			what   string
			change func() error
			want   string // name and addresses; empty when nothing is told
		}{
			{"a name without an address", func() error { return name("a", "") }, ""},
			{"an address", func() error { return addresses("10.5.0.2/24") }, "a [10.5.0.2]"},
			{"the same with another mask", func() error { return addresses("10.5.0.2/16") }, ""},
			{"one address more", func() error { return addresses("10.5.0.2/16", "fd00::2/64") }, "a [10.5.0.2 fd00::2]"},
			{"another name", func() error { return name("b", "") }, "b [10.5.0.2 fd00::2]"},
			{"no address", func() error { return addresses() }, "b []"},
		} {
			if err := step.change(); err != nil {
				t.Fatal(err)
			}

			synctest.Wait()

			if got := told(ctx, t, reader); got != step.want {
				t.Errorf("%s: told %q, want %q", step.what, got, step.want)
			}
		}

		cancel()

		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// told is the next event about addresses, if there is one by now.
func told(ctx context.Context, t *testing.T, reader *events.Reader) string {
	t.Helper()

	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()

	event, err := reader.Next(ctx)
	if err != nil {
		return ""
	}

	address, ok := event.Payload.(*machineapi.AddressEvent)
	if !ok {
		t.Fatalf("told %v", event.Payload)
	}

	return fmt.Sprint(address.GetHostname(), " ", address.GetAddresses())
}
