package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	maxEvents = 25

	firstDelay  = 250 * time.Millisecond // before the first restart
	maxDelay    = 5 * time.Second        // before every later one
	stableAfter = 30 * time.Second       // a run of this length starts the delays anew

	settleTime = 10 * time.Millisecond // without change, before a wait is reported

	eagerPeriod    = 100 * time.Millisecond // between checks until the first success
	grace          = 10 * time.Second       // for which a failure is not reported before the first success
	defaultPeriod  = 5 * time.Second
	defaultTimeout = 500 * time.Millisecond
)

// unit is one service under supervision. All fields but the definition are
// guarded by the supervisor's mutex.
type unit struct {
	supervisor *Supervisor
	definition Definition

	status Status
	cancel context.CancelFunc // nil when the service does not run
	done   chan struct{}      // closed when the run has ended
}

func (u *unit) snapshot() Status {
	status := u.status
	status.Events = slices.Clone(status.Events)

	return status
}

// enter changes the state and tells the observer.
func (u *unit) enter(state State, format string, args ...any) {
	message := fmt.Sprintf(format, args...)

	u.change(func(status *Status) {
		if state != Running {
			status.PID = 0
			status.Health = Health{Unknown: true}
		}

		status.State = state
	}, message)

	u.supervisor.logger.Info("service changed", "service", u.definition.ID, "state", state.String(), "message", message)
}

// change modifies the status, appends an event and tells the observer. The
// observer is called under the mutex, which keeps the order.
func (u *unit) change(modify func(*Status), message string) {
	s := u.supervisor

	s.mu.Lock()
	defer s.mu.Unlock()

	u.status.ID = u.definition.ID
	modify(&u.status)

	u.status.Events = append(u.status.Events, Event{State: u.status.State, Message: message, Time: time.Now()})
	if extra := len(u.status.Events) - maxEvents; extra > 0 {
		u.status.Events = slices.Delete(u.status.Events, 0, extra)
	}

	s.observer.ServiceChanged(u.snapshot())

	close(s.changed)
	s.changed = make(chan struct{})
}

// start begins a run unless there is one.
func (u *unit) start() error {
	s := u.supervisor

	s.mu.Lock()
	defer s.mu.Unlock()

	if s.closed {
		return ErrClosed
	}

	if u.cancel != nil {
		return nil
	}

	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	u.cancel, u.done = cancel, done

	go func() {
		defer close(done)

		u.supervise(ctx)

		s.mu.Lock()
		defer s.mu.Unlock()

		cancel()

		u.cancel = nil
	}()

	return nil
}

// stop ends the run and waits for its end.
func (u *unit) stop(ctx context.Context) error {
	s := u.supervisor

	s.mu.Lock()
	cancel, done := u.cancel, u.done
	running := u.status.State == Running
	s.mu.Unlock()

	if cancel == nil {
		return nil
	}

	if running {
		u.enter(Stopping, "Stopping service")
	}

	cancel()

	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// supervise runs the service again and again until it is stopped, or ends and
// its policy lets it.
func (u *unit) supervise(ctx context.Context) {
	u.enter(Starting, "Starting service")

	delay := firstDelay

	for {
		begin := time.Now()
		err := u.run(ctx)

		switch {
		case ctx.Err() != nil:
			u.enter(Finished, "Service finished successfully")

			return
		case errors.Is(err, ErrSkip):
			u.enter(Skipped, "Service skipped: %v", err)

			return
		case errors.Is(err, errStale):
			delay = firstDelay

			u.enter(Preparing, "Restarting service: what it is made from has changed")

			continue
		case err == nil && u.definition.Restart != Always:
			u.enter(Finished, "Service finished successfully")

			return
		case u.definition.Restart == Once:
			u.enter(Failed, "%v", err)

			return
		case err == nil:
			err = errors.New("service ended")
		}

		if time.Since(begin) > stableAfter {
			delay = firstDelay
		}

		u.enter(Waiting, "Restarting service in %v: %v", delay, err)

		select {
		case <-time.After(delay):
		case <-ctx.Done():
		}

		delay = min(delay*2, maxDelay)
	}
}

// errStale ends a run whose inputs have changed.
var errStale = errors.New("the service is out of date")

// run waits for what the service needs and runs one instance of it.
func (u *unit) run(ctx context.Context) error {
	if err := u.wait(ctx); err != nil {
		return err
	}

	u.enter(Preparing, "Preparing service")

	runCtx, cancel := context.WithCancelCause(ctx)

	var watches []func()

	watch := func(f func()) { watches = append(watches, spawn(f)) }

	// The watch begins before the preparation, which may take long and would
	// otherwise miss what changes meanwhile.
	if u.definition.Stale != nil {
		watch(func() {
			if u.definition.Stale(runCtx) == nil {
				cancel(errStale)
			}
		})
	}

	err := u.instance(runCtx, watch)
	stale := errors.Is(context.Cause(runCtx), errStale)

	cancel(nil)

	for _, wait := range watches {
		wait()
	}

	if stale {
		return errStale
	}

	return err
}

// instance prepares the service and runs it. What it starts by watch ends with
// ctx.
func (u *unit) instance(ctx context.Context, watch func(func())) error {
	say := func(message string) { u.enter(Preparing, "%s", message) }

	runner, err := u.definition.Prepare(context.WithValue(ctx, sayKey{}, say))
	if err != nil {
		return fmt.Errorf("preparing service: %w", err)
	}

	return runner.Run(ctx, u.supervisor.logs.Open(u.definition.ID), func(started Started) {
		u.change(func(status *Status) {
			status.State = Running
			status.PID = started.PID
			status.Health = Health{Unknown: u.definition.Check != nil, Healthy: u.definition.Check == nil}
		}, started.Message)

		u.supervisor.logger.Info("service runs", "service", u.definition.ID, "message", started.Message)

		if u.definition.Check != nil {
			watch(func() { u.check(ctx) })
		}
	})
}

// spawn runs f in a goroutine and returns a function that waits for its end.
func spawn(f func()) func() {
	done := make(chan struct{})

	go func() {
		defer close(done)
		f()
	}()

	return func() { <-done }
}

// wait returns when all dependencies are up and all conditions hold.
func (u *unit) wait(ctx context.Context) error {
	conditions := slices.Clone(u.definition.Conditions)
	for _, id := range u.definition.DependsOn {
		conditions = append(conditions, up{u.supervisor, id})
	}

	if len(conditions) == 0 {
		return nil
	}

	ctx, cancel := context.WithCancel(ctx)

	var waiting sync.WaitGroup
	defer waiting.Wait()
	defer cancel()

	type result struct {
		condition Condition
		err       error
	}

	results := make(chan result, len(conditions))

	for _, condition := range conditions {
		waiting.Go(func() { results <- result{condition, condition.Wait(ctx)} })
	}

	// What is met at once, or together with others, is not worth an event.
	settled := time.NewTimer(settleTime)
	defer settled.Stop()

	for len(conditions) > 0 {
		select {
		case r := <-results:
			if r.err != nil {
				return fmt.Errorf("waiting for %s: %w", r.condition, r.err)
			}

			conditions = slices.DeleteFunc(conditions, func(c Condition) bool { return c.String() == r.condition.String() })
			settled.Reset(settleTime)
		case <-settled.C:
			u.enter(Waiting, "Waiting for %s", list(conditions))
		}
	}

	return nil
}

// list names conditions for people.
func list(conditions []Condition) string {
	names := make([]string, 0, len(conditions))
	for _, condition := range conditions {
		names = append(names, condition.String())
	}

	return strings.Join(names, ", ")
}

// up is the condition that another service is up.
type up struct {
	supervisor *Supervisor
	id         string
}

func (c up) Wait(ctx context.Context) error { return c.supervisor.WaitUp(ctx, c.id) }
func (c up) String() string                 { return fmt.Sprintf("service %q to be up", c.id) }

// check examines the health of the running service until ctx ends: often until
// it is healthy, then once per period.
func (u *unit) check(ctx context.Context) {
	check := *u.definition.Check
	if check.Period == 0 {
		check.Period = defaultPeriod
	}

	if check.Timeout == 0 {
		check.Timeout = defaultTimeout
	}

	period := eagerPeriod
	begin := time.Now()

	for ctx.Err() == nil {
		probeCtx, cancel := context.WithTimeout(ctx, check.Timeout)
		err := check.Probe(probeCtx)

		cancel()

		if ctx.Err() != nil {
			return
		}

		if err == nil {
			period = check.Period
		}

		u.report(err, time.Since(begin) < grace)

		select {
		case <-time.After(period):
		case <-ctx.Done():
		}
	}
}

// report notes the outcome of a check; only a change becomes an event. While
// the service is young, failures before the first success are no change: the
// health stays unknown.
func (u *unit) report(err error, young bool) {
	s := u.supervisor

	message, healthy := "Health check successful", err == nil
	if err != nil {
		message = fmt.Sprintf("Health check failed: %v", err)
	}

	s.mu.Lock()
	health := u.status.Health
	same := u.status.State != Running || (!health.Unknown && health.Healthy == healthy) ||
		(health.Unknown && !healthy && young)

	if same && u.status.State == Running {
		u.status.Health.LastMessage = message
	}
	s.mu.Unlock()

	if same {
		return
	}

	u.change(func(status *Status) {
		status.Health = Health{Healthy: healthy, LastMessage: message, LastChange: time.Now()}
	}, message)
}
