package service_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/logs"
	"github.com/basalt-os/basalt/internal/service"
)

// recorder keeps the history as "id: State" lines.
type recorder struct {
	mu    sync.Mutex
	lines []string
}

func (r *recorder) ServiceChanged(status service.Status) {
	r.mu.Lock()
	defer r.mu.Unlock()

	line := fmt.Sprintf("%s: %v", status.ID, status.State)
	if status.State == service.Running {
		switch {
		case status.Health.Unknown:
		case status.Health.Healthy:
			line += ", healthy"
		default:
			line += ", unhealthy"
		}
	}

	r.lines = append(r.lines, line)
}

// take returns the lines since the last call for one service, or all.
func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()

	lines := r.lines
	r.lines = nil

	return lines
}

func newSupervisor(definitions ...service.Definition) (*service.Supervisor, *recorder) {
	r := &recorder{}
	s := service.NewSupervisor(slog.New(slog.DiscardHandler), logs.NewBook(1000, nil), r)

	if err := s.Add(definitions...); err != nil {
		panic(err)
	}

	return s, r
}

// runs returns a definition whose runner is f.
func runs(id string, f service.Function, dependsOn ...string) service.Definition {
	return service.Definition{
		ID:        id,
		DependsOn: dependsOn,
		Prepare:   func(context.Context) (service.Runner, error) { return f, nil },
	}
}

func untilStopped(ctx context.Context, _ io.Writer) error {
	<-ctx.Done()

	return ctx.Err()
}

func diff(t *testing.T, want, got []string) {
	t.Helper()

	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
}

func TestStartInOrderStopInReverse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := newSupervisor(
			runs("kubelet", untilStopped, "containerd"),
			runs("containerd", untilStopped),
		)
		r.take()

		if err := s.Start("kubelet"); err != nil {
			t.Fatal(err)
		}

		time.Sleep(time.Second) // of the bubble's clock
		diff(t, []string{"kubelet: Starting", "kubelet: Waiting"}, r.take())

		if err := s.Start("containerd"); err != nil {
			t.Fatal(err)
		}

		if err := s.WaitUp(t.Context(), "kubelet"); err != nil {
			t.Fatal(err)
		}

		diff(t, []string{
			"containerd: Starting", "containerd: Preparing", "containerd: Running, healthy",
			"kubelet: Preparing", "kubelet: Running, healthy",
		}, r.take())

		if err := s.Stop(t.Context(), "containerd"); err != nil {
			t.Fatal(err)
		}

		diff(t, []string{
			"kubelet: Stopping", "kubelet: Finished", "containerd: Stopping", "containerd: Finished",
		}, r.take())
	})
}

func TestRestartPolicies(t *testing.T) {
	boom := errors.New("boom")

	for _, test := range []struct {
		name    string
		restart service.Restart
		results []error // of the runs; the last run goes on until it is stopped
		want    []string
		delay   time.Duration
	}{
		{"always after error", service.Always, []error{boom, boom, nil}, []string{
			"Running, healthy", "Waiting", "Preparing", "Running, healthy", "Waiting", "Preparing",
			"Running, healthy", "Waiting", "Preparing", "Running, healthy",
		}, 250*time.Millisecond + 500*time.Millisecond + time.Second},
		{"once after error", service.Once, []error{boom}, []string{"Running, healthy", "Failed"}, 0},
		{"once after success", service.Once, []error{nil}, []string{"Running, healthy", "Finished"}, 0},
		{"until success", service.UntilSuccess, []error{boom, nil}, []string{
			"Running, healthy", "Waiting", "Preparing", "Running, healthy", "Finished",
		}, 250 * time.Millisecond},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				results := slices.Clone(test.results)

				definition := runs("a", func(ctx context.Context, log io.Writer) error {
					if len(results) == 0 {
						return untilStopped(ctx, log)
					}

					err := results[0]
					results = results[1:]

					return err
				})
				definition.Restart = test.restart

				s, r := newSupervisor(definition)
				begin := time.Now()

				if err := s.Start("a"); err != nil {
					t.Fatal(err)
				}

				time.Sleep(test.delay) // of the bubble's clock
				synctest.Wait()

				want := []string{"a: Initialized", "a: Starting", "a: Preparing"}
				for _, line := range test.want {
					want = append(want, "a: "+line)
				}

				diff(t, want, r.take())

				if took := time.Since(begin); took != test.delay {
					t.Errorf("took %v, want %v", took, test.delay)
				}

				if err := s.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

func TestHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var (
			mu  sync.Mutex
			err = errors.New("not yet")
		)

		set := func(e error) {
			mu.Lock()
			defer mu.Unlock()

			err = e
		}

		definition := runs("a", untilStopped)
		definition.Check = &service.Check{Period: time.Second, Probe: func(context.Context) error {
			mu.Lock()
			defer mu.Unlock()

			return err
		}}

		s, r := newSupervisor(definition, runs("b", untilStopped, "a"))
		if err := s.Start("a", "b"); err != nil {
			t.Fatal(err)
		}

		time.Sleep(time.Second)
		synctest.Wait()

		if status, _ := s.Status("b"); status.State != service.Waiting {
			t.Errorf("the dependant of an unhealthy service is %v", status.State)
		}

		set(nil)

		if err := s.WaitUp(t.Context(), "b"); err != nil {
			t.Fatal(err)
		}

		r.take()
		set(errors.New("ill"))
		time.Sleep(2 * time.Second)
		synctest.Wait()

		diff(t, []string{"a: Running, unhealthy"}, r.take())

		status, err := s.Status("a")
		if err != nil || status.Health.LastMessage != "Health check failed: ill" {
			t.Errorf("status is %+v, %v", status, err)
		}

		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestNeverHealthyIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		definition := runs("a", untilStopped)
		definition.Check = &service.Check{Probe: func(context.Context) error { return errors.New("ill") }}

		s, r := newSupervisor(definition)
		if err := s.Start("a"); err != nil {
			t.Fatal(err)
		}

		time.Sleep(time.Minute)
		synctest.Wait()
		diff(t, []string{"a: Initialized", "a: Starting", "a: Preparing", "a: Running", "a: Running, unhealthy"}, r.take())

		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestStaleServiceRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stale := make(chan struct{}, 1)

		definition := runs("a", untilStopped)
		definition.Stale = func(ctx context.Context) error {
			select {
			case <-stale:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}

		s, r := newSupervisor(definition)
		if err := s.Start("a"); err != nil {
			t.Fatal(err)
		}

		synctest.Wait()
		r.take()

		stale <- struct{}{}

		synctest.Wait()
		diff(t, []string{"a: Preparing", "a: Preparing", "a: Running, healthy"}, r.take())

		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestSkip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		skipped := service.Definition{ID: "etcd", Prepare: func(context.Context) (service.Runner, error) {
			return nil, fmt.Errorf("worker: %w", service.ErrSkip)
		}}

		s, r := newSupervisor(skipped)
		if err := s.Start("etcd"); err != nil {
			t.Fatal(err)
		}

		if err := s.WaitUp(t.Context(), "etcd"); err != nil {
			t.Error(err)
		}

		diff(t, []string{"etcd: Initialized", "etcd: Starting", "etcd: Preparing", "etcd: Skipped"}, r.take())
	})
}

func TestOperate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open := runs("open", untilStopped)
		open.Allow = service.CanStart | service.CanStop | service.CanRestart

		s, _ := newSupervisor(open, runs("shut", untilStopped))

		for _, operation := range []service.Operations{service.CanStart, service.CanRestart, service.CanStop} {
			if err := s.Operate(t.Context(), "open", operation); err != nil {
				t.Errorf("operation %d: %v", operation, err)
			}

			if err := s.Operate(t.Context(), "shut", operation); !errors.Is(err, service.ErrNotAllowed) {
				t.Errorf("operation %d: got %v, want %v", operation, err, service.ErrNotAllowed)
			}
		}

		if err := s.Operate(t.Context(), "none", service.CanStart); !errors.Is(err, service.ErrUnknown) {
			t.Errorf("got %v, want %v", err, service.ErrUnknown)
		}
	})
}

func TestClosedSupervisorStartsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newSupervisor(runs("a", untilStopped), runs("machined", untilStopped))
		if err := s.Start("a", "machined"); err != nil {
			t.Fatal(err)
		}

		synctest.Wait()

		if err := s.Close(t.Context(), "machined"); err != nil {
			t.Fatal(err)
		}

		if err := s.Start("a"); !errors.Is(err, service.ErrClosed) {
			t.Errorf("got %v, want %v", err, service.ErrClosed)
		}

		if status, _ := s.Status("machined"); status.State != service.Running {
			t.Errorf("the excepted service is %v", status.State)
		}

		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestStopGivesUpWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})

		s, _ := newSupervisor(runs("stubborn", func(context.Context, io.Writer) error {
			<-release

			return nil
		}))
		if err := s.Start("stubborn"); err != nil {
			t.Fatal(err)
		}

		synctest.Wait()

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()

		err := s.Stop(ctx, "stubborn")
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "stubborn") {
			t.Errorf("got %v", err)
		}

		close(release)

		if err := s.Stop(t.Context(), "stubborn"); err != nil {
			t.Error(err)
		}
	})
}
