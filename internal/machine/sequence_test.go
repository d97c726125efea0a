package machine_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/machine"
)

func TestCanTakeOver(t *testing.T) {
	allowed := map[machine.Kind][]machine.Kind{
		machine.Initialize: {machine.MaintenanceUpgrade, machine.Reboot, machine.Shutdown, machine.EmergencyVolumeCleanup},
		machine.Boot: {
			machine.Reboot, machine.Reset, machine.Shutdown, machine.Upgrade, machine.EmergencyVolumeCleanup,
		},
		machine.Reboot: {machine.Reboot},
		machine.Reset:  {machine.Reboot},
	}

	for running := machine.None; running <= machine.EmergencyVolumeCleanup; running++ {
		for next := machine.Initialize; next <= machine.EmergencyVolumeCleanup; next++ {
			want := running == machine.None
			for _, kind := range allowed[running] {
				want = want || kind == next
			}

			if got := machine.CanTakeOver(running, next); got != want {
				t.Errorf("%v while %v runs: got %v, want %v", next, running, got, want)
			}
		}
	}
}

type steps struct {
	mu    sync.Mutex
	lines []string
}

func (s *steps) add(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()

	s.lines = append(s.lines, fmt.Sprintf(format, args...))
}

var actions = map[machine.Action]string{machine.Started: "start", machine.Ended: "end"}

func (s *steps) SequenceChanged(_ context.Context, kind machine.Kind, action machine.Action, err error) {
	s.add("sequence %v %s: %v", kind, actions[action], err)
}

func (s *steps) PhaseChanged(_ context.Context, phase string, action machine.Action) {
	s.add("phase %s %s", phase, actions[action])
}

func (s *steps) TaskChanged(_ context.Context, task string, action machine.Action) {
	s.add("task %s %s", task, actions[action])
}

func newSequencer() (*machine.Sequencer, *steps) {
	s := &steps{}

	return machine.NewSequencer(slog.New(slog.DiscardHandler), s), s
}

func task(name string, err error) machine.Task {
	return machine.Task{Name: name, Run: func(context.Context) error { return err }}
}

func forever(name string, timeout time.Duration) machine.Task {
	return machine.Task{Name: name, Timeout: timeout, Run: func(ctx context.Context) error {
		<-ctx.Done()

		return context.Cause(ctx)
	}}
}

func phase(name string, tasks ...machine.Task) machine.Phase {
	return machine.Phase{Name: name, Tasks: tasks}
}

func TestSequenceReportsSteps(t *testing.T) {
	sequencer, steps := newSequencer()

	err := sequencer.Run(t.Context(), machine.Sequence{Kind: machine.Boot, Phases: []machine.Phase{
		phase("one", task("a", nil)),
		{Name: "two", Tasks: []machine.Task{task("b", errors.New("broken"))}, Tolerant: true},
		phase("three", task("c", nil)),
	}})
	if err != nil {
		t.Fatal(err)
	}

	want := []string{
		"sequence boot start: <nil>",
		"phase one start", "task a start", "task a end", "phase one end",
		"phase two start", "task b start", "task b end", "phase two end",
		"phase three start", "task c start", "task c end", "phase three end",
		"sequence boot end: <nil>",
	}
	if diff := cmp.Diff(want, steps.lines); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
}

func TestSequenceStopsAtFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sequencer, _ := newSequencer()

		err := sequencer.Run(t.Context(), machine.Sequence{Kind: machine.Boot, Phases: []machine.Phase{
			phase("one", forever("slow", time.Minute), task("a", nil)),
			phase("two", machine.Task{Name: "never", Run: func(context.Context) error {
				t.Error("the next phase runs")

				return nil
			}}),
		}})

		const want = "running sequence boot: phase one: task slow: context deadline exceeded"
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}

		if running := sequencer.Running(); running != machine.None {
			t.Errorf("%v is still running", running)
		}
	})
}

func TestTakeOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sequencer, _ := newSequencer()

		var (
			wg      sync.WaitGroup
			bootErr error
		)

		wg.Go(func() {
			bootErr = sequencer.Run(t.Context(), machine.Sequence{
				Kind: machine.Boot, Phases: []machine.Phase{phase("one", forever("wait", 0))},
			})
		})
		synctest.Wait()

		if err := sequencer.Run(t.Context(), machine.Sequence{Kind: machine.Boot}); !errors.Is(err, machine.ErrLocked) {
			t.Errorf("a second boot: got %v, want %v", err, machine.ErrLocked)
		}

		reboot := machine.Sequence{Kind: machine.Reboot, Phases: []machine.Phase{phase("one", task("a", nil))}}
		if err := sequencer.Run(t.Context(), reboot); err != nil {
			t.Errorf("reboot: %v", err)
		}

		wg.Wait()

		if bootErr == nil || bootErr.Error() != "running sequence boot: phase one: task wait: another sequence took over" {
			t.Errorf("boot ended with %v", bootErr)
		}
	})
}

// A task that hangs does not keep the machine from being restarted.
func TestTakeOverFromWhatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sequencer, _ := newSequencer()
		free := make(chan struct{})

		var wg sync.WaitGroup

		wg.Go(func() {
			hangs := machine.Task{Name: "hang", Run: func(context.Context) error { <-free; return nil }}
			_ = sequencer.Run(t.Context(), machine.Sequence{Kind: machine.Boot, Phases: []machine.Phase{phase("one", hangs)}})
		})
		synctest.Wait()

		reboot := machine.Sequence{Kind: machine.Reboot, Phases: []machine.Phase{phase("one", task("a", nil))}}
		if err := sequencer.Run(t.Context(), reboot); err != nil {
			t.Errorf("reboot: %v", err)
		}

		close(free)
		wg.Wait()
	})
}

// A task that is cancelled says so in its own words, or not at all.
func TestTakenOver(t *testing.T) {
	own := errors.New("unmounting was interrupted")

	for name, result := range map[string]error{"as a success": nil, "by an error of its own": own} {
		for _, tolerant := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				sequencer, _ := newSequencer()
				ends := machine.Task{Name: "ends", Run: func(ctx context.Context) error {
					<-ctx.Done()

					return result
				}}

				replaced := make(chan error)

				go func() {
					replaced <- sequencer.Run(t.Context(), machine.Sequence{Kind: machine.Reset, Phases: []machine.Phase{
						{Name: "one", Tolerant: tolerant, Tasks: []machine.Task{ends}},
					}})
				}()
				synctest.Wait()

				run, err := sequencer.Reserve(t.Context(), machine.Reboot)
				if err != nil {
					t.Fatal(err)
				}

				if err := <-replaced; !errors.Is(err, machine.ErrTakenOver) || !errors.Is(err, result) && result != nil {
					t.Errorf("a task ends %s, tolerant %v: the sequence ends with %v", name, tolerant, err)
				}

				if err := run(machine.Sequence{Kind: machine.Reboot}); err != nil {
					t.Error(err)
				}
			})
		}
	}
}
