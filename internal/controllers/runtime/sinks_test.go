package runtime

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/cmdline"
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
