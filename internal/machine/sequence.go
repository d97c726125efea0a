package machine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Kind is what a sequence does.
type Kind uint8

// The kinds of sequences. The text form is the wire's.
const (
	None Kind = iota
	Initialize
	Install
	Boot
	Reboot
	Shutdown
	Reset
	Upgrade
	StageUpgrade
	MaintenanceUpgrade
	EmergencyVolumeCleanup
)

var kindNames = [...]string{
	"noop", "initialize", "install", "boot", "reboot", "shutdown", "reset",
	"upgrade", "stageUpgrade", "maintenanceUpgrade", "emergencyVolumeCleanup",
}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}

	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// CanTakeOver says whether a sequence of kind next may stop and replace the
// running one.
//
// A machine that cannot finish its boot, because a service never becomes
// healthy, must still accept to be switched off: so Shutdown is in the list of
// Initialize and Boot.
func CanTakeOver(running, next Kind) bool {
	switch running {
	case None:
		return true
	case Initialize:
		switch next {
		case MaintenanceUpgrade, Reboot, Shutdown, EmergencyVolumeCleanup:
			return true
		}
	case Boot:
		switch next {
		case Reboot, Reset, Shutdown, Upgrade, EmergencyVolumeCleanup:
			return true
		}
	case Reboot, Reset:
		return next == Reboot
	}

	return false
}

// Task is one step. Its function returns when the step is done, or soon after
// ctx has ended.
type Task struct {
	Name    string
	Timeout time.Duration // 0 means none
	Run     func(ctx context.Context) error
}

// Phase is a set of tasks that run concurrently.
type Phase struct {
	Name  string
	Tasks []Task

	// Tolerant says that the sequence goes on when a task fails: the way out
	// of a machine must not be blocked by what is broken on it.
	Tolerant bool
}

// Sequence is a list of phases, one after the other.
type Sequence struct {
	Kind   Kind
	Phases []Phase
}

// Action says what has happened to a sequence, a phase or a task.
type Action uint8

// What can happen.
const (
	Started Action = iota
	Ended
)

// SequenceObserver is told about every step. Calls for concurrent tasks may be
// concurrent. The context carries the actor, see package events.
type SequenceObserver interface {
	SequenceChanged(ctx context.Context, kind Kind, action Action, err error)
	PhaseChanged(ctx context.Context, phase string, action Action)
	TaskChanged(ctx context.Context, task string, action Action)
}

// ErrLocked means that the running sequence must not be interrupted by the one
// that was asked for.
var ErrLocked = errors.New("another sequence is running")

// ErrTakenOver means that another sequence replaced this one, and decides what
// becomes of the machine.
var ErrTakenOver = errors.New("another sequence took over")

// Sequencer runs one sequence at a time. Its methods may be called
// concurrently.
type Sequencer struct {
	logger   *slog.Logger
	observer SequenceObserver

	mu      sync.Mutex
	running Kind
	cancel  context.CancelCauseFunc
	done    chan struct{}
}

// NewSequencer returns a sequencer that runs nothing.
func NewSequencer(logger *slog.Logger, observer SequenceObserver) *Sequencer {
	return &Sequencer{logger: logger, observer: observer}
}

// Running returns the kind of the running sequence, or None.
func (s *Sequencer) Running() Kind {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.running
}

// Run runs a sequence to its end. When another one runs, it is replaced if
// [CanTakeOver] permits; else Run fails with [ErrLocked] at once.
func (s *Sequencer) Run(ctx context.Context, sequence Sequence) error {
	reservation, err := s.Reserve(ctx, sequence.Kind)
	if err != nil {
		return err
	}

	return reservation(sequence)
}

// Reserve makes kind the running sequence, or fails with [ErrLocked]. The
// returned function, which must be called exactly once, then runs it: an API
// call can so be answered before the sequence has ended. It fails with
// [ErrTakenOver] when another sequence replaced this one before its end.
func (s *Sequencer) Reserve(ctx context.Context, kind Kind) (func(Sequence) error, error) {
	s.mu.Lock()
	defer s.mu.Unlock()

	if !CanTakeOver(s.running, kind) {
		return nil, fmt.Errorf("starting sequence %s while %s runs: %w", kind, s.running, ErrLocked)
	}

	previous := s.done
	if s.cancel != nil {
		s.cancel(ErrTakenOver)
	}

	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})

	s.running, s.cancel, s.done = kind, cancel, done

	return func(sequence Sequence) error {
		defer s.release(done, cancel)

		if previous != nil {
			s.await(previous)
		}

		return s.run(ctx, sequence)
	}, nil
}

// takeOverPatience is how long the tasks of a sequence that is replaced may take
// to end. One that hangs in the kernel does not keep the machine.
const takeOverPatience = time.Minute

func (s *Sequencer) await(previous <-chan struct{}) {
	select {
	case <-previous:
	case <-time.After(takeOverPatience):
		s.logger.Warn("the sequence before does not end: going on without it")
	}
}

// release ends the reservation unless another sequence has taken over.
func (s *Sequencer) release(done chan struct{}, cancel context.CancelCauseFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()

	cancel(nil)
	close(done)

	if s.done == done {
		s.running, s.cancel, s.done = None, nil, nil
	}
}

func (s *Sequencer) run(ctx context.Context, sequence Sequence) error {
	s.logger.Info("sequence started", "sequence", sequence.Kind.String())
	s.observer.SequenceChanged(ctx, sequence.Kind, Started, nil)

	begin := time.Now()
	err := s.phases(ctx, sequence)

	s.observer.SequenceChanged(ctx, sequence.Kind, Ended, err)

	if err != nil {
		s.logger.Error("sequence ended", "sequence", sequence.Kind.String(), "error", err)

		return fmt.Errorf("running sequence %s: %w", sequence.Kind, err)
	}

	s.logger.Info("sequence ended", "sequence", sequence.Kind.String(), "took", time.Since(begin))

	return nil
}

func (s *Sequencer) phases(ctx context.Context, sequence Sequence) error {
	for _, phase := range sequence.Phases {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}

		s.observer.PhaseChanged(ctx, phase.Name, Started)

		err := s.tasks(ctx, phase)

		s.observer.PhaseChanged(ctx, phase.Name, Ended)

		if err != nil && (!phase.Tolerant || ctx.Err() != nil) {
			return fmt.Errorf("phase %s: %w", phase.Name, takenOver(ctx, err))
		}
	}

	return takenOver(ctx, nil)
}

// takenOver adds to err that another sequence took over, if one did: a task that
// is cancelled may fail in its own words, or not at all.
func takenOver(ctx context.Context, err error) error {
	switch {
	case !errors.Is(context.Cause(ctx), ErrTakenOver) || errors.Is(err, ErrTakenOver):
		return err
	case err == nil:
		return ErrTakenOver
	default:
		return fmt.Errorf("%w: %w", ErrTakenOver, err)
	}
}

func (s *Sequencer) tasks(ctx context.Context, phase Phase) error {
	var wg sync.WaitGroup

	errs := make([]error, len(phase.Tasks))

	for i, task := range phase.Tasks {
		wg.Go(func() { errs[i] = s.task(ctx, phase.Name, task) })
	}

	wg.Wait()

	return errors.Join(errs...)
}

func (s *Sequencer) task(ctx context.Context, phase string, task Task) (err error) {
	if task.Timeout > 0 {
		var cancel context.CancelFunc

		ctx, cancel = context.WithTimeout(ctx, task.Timeout)
		defer cancel()
	}

	s.observer.TaskChanged(ctx, task.Name, Started)

	begin := time.Now()

	defer func() {
		s.observer.TaskChanged(ctx, task.Name, Ended)

		if err != nil {
			err = fmt.Errorf("task %s: %w", task.Name, err)
			s.logger.Error("task ended", "phase", phase, "task", task.Name, "error", err)

			return
		}

		s.logger.Info("task ended", "phase", phase, "task", task.Name, "took", time.Since(begin))
	}()

	return task.Run(ctx)
}
