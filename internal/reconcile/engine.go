package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/basalt-os/basalt/internal/resource"
)

// Pauses between attempts of a failing controller: they double from the first
// to the last, each shortened at random by up to half so that controllers that
// fail together do not stay in step.
const (
	firstPause = 250 * time.Millisecond
	lastPause  = time.Minute
)

// engineOwner owns the statuses.
const engineOwner = "reconcile.Engine"

// Engine runs controllers over one store. Controllers are registered before
// Run; Graph may be called at any time.
type Engine struct {
	store  *resource.Store
	logger *slog.Logger
	jitter func(limit time.Duration) time.Duration

	mu          sync.Mutex
	controllers []*entry
	running     bool
}

// entry is one registered controller.
type entry struct {
	controller Controller
	inputs     []Input
	outputs    []Output
	wake       chan struct{}         // holds at most one token
	outside    atomic.Pointer[error] // why a Source watches nothing at the moment
}

func (e *entry) notify() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// Option changes how an engine works.
type Option func(*Engine)

// WithJitter sets by how much a pause after a failure is shortened. The
// function returns a random duration that is not negative and below the limit.
func WithJitter(jitter func(limit time.Duration) time.Duration) Option {
	return func(e *Engine) { e.jitter = jitter }
}

// NewEngine returns an engine without controllers.
func NewEngine(store *resource.Store, logger *slog.Logger, options ...Option) *Engine {
	e := &Engine{store: store, logger: logger, jitter: rand.N[time.Duration]}
	for _, option := range options {
		option(e)
	}

	return e
}

// Register adds a controller. It fails when the name is taken, or when a type
// would be written by two controllers that do not both share it.
func (e *Engine) Register(controller Controller) error {
	e.mu.Lock()
	defer e.mu.Unlock()

	name := controller.Name()

	if e.running {
		return fmt.Errorf("registering %s: the engine runs already", name)
	}

	added := &entry{controller: controller, inputs: controller.Inputs(), outputs: controller.Outputs(), wake: make(chan struct{}, 1)}

	for _, other := range e.controllers {
		if other.controller.Name() == name {
			return fmt.Errorf("registering %s: the name is taken", name)
		}

		for _, output := range added.outputs {
			for _, taken := range other.outputs {
				if output.Type == taken.Type && !(output.Shared && taken.Shared) {
					return fmt.Errorf("registering %s: %s is written by %s already", name, output.Type, other.controller.Name())
				}
			}
		}
	}

	e.controllers = append(e.controllers, added)

	return nil
}

// Run runs all controllers until ctx ends, waits for them and returns nil. It
// fails at once when it is called a second time.
func (e *Engine) Run(ctx context.Context) error {
	e.mu.Lock()

	if e.running {
		e.mu.Unlock()

		return errors.New("the engine runs already")
	}

	e.running = true
	e.mu.Unlock()

	var wg sync.WaitGroup
	defer wg.Wait()

	// Every watch begins before any controller runs, so that no change falls
	// between a controller's first look and its first event.
	for kind, entries := range e.interested() {
		watch, err := e.store.Watch(ctx, resource.WatchRequest{Kind: kind})
		if err != nil {
			return err
		}

		wg.Go(func() { e.dispatch(ctx, kind, watch, entries) })
	}

	for _, entry := range e.controllers {
		wg.Go(func() { e.control(ctx, entry) })

		if source, ok := entry.controller.(Source); ok {
			wg.Go(func() { e.watchSource(ctx, entry, source) })
		}
	}

	return nil
}

// interested tells for each kind which controllers read it.
func (e *Engine) interested() map[resource.Kind][]*entry {
	interested := map[resource.Kind][]*entry{}

	add := func(kind resource.Kind, entry *entry) {
		if !slices.Contains(interested[kind], entry) {
			interested[kind] = append(interested[kind], entry)
		}
	}

	for _, entry := range e.controllers {
		for _, input := range entry.inputs {
			add(input.kind(), entry)
		}
	}

	return interested
}

// dispatch wakes the controllers that an event of one kind concerns.
func (e *Engine) dispatch(ctx context.Context, kind resource.Kind, watch *resource.Watch, entries []*entry) {
	for {
		event, err := watch.Next(ctx)
		if errors.Is(err, resource.ErrLagged) {
			// Controllers look at what is: one call makes up for all events.
			for _, entry := range entries {
				entry.notify()
			}

			if watch, err = e.store.Watch(ctx, resource.WatchRequest{Kind: kind}); err == nil {
				continue
			}
		}

		if err != nil {
			return
		}

		for _, entry := range entries {
			if slices.ContainsFunc(entry.inputs, func(i Input) bool { return i.wakes(event) }) {
				entry.notify()
			}
		}
	}
}

// watchSource runs a source's watch again whenever it ends.
func (e *Engine) watchSource(ctx context.Context, entry *entry, source Source) {
	var failures uint64

	for ctx.Err() == nil {
		begin := time.Now()
		err := guard(func() error { return source.Watch(ctx, entry.notify) })

		if ctx.Err() != nil {
			return
		}

		if err == nil {
			err = errors.New("it ended early")
		}

		if time.Since(begin) > lastPause {
			failures = 0
		}

		failures++
		e.logger.Warn("watching the outside", "controller", entry.controller.Name(), "error", err, "attempt", failures)

		// The controller runs now, to show the error, and when there is a watch
		// again, to see what it missed.
		entry.outside.Store(&err)
		entry.notify()

		select {
		case <-ctx.Done():
		case <-time.After(e.pause(failures)):
		}

		entry.outside.Store(nil)
		entry.notify()
	}
}

// control runs one controller until ctx ends.
func (e *Engine) control(ctx context.Context, entry *entry) {
	var (
		name   = entry.controller.Name()
		logger = e.logger.With("controller", name)
		status = newStatus(entry)
	)

	e.report(ctx, name, status)

	for {
		rt := &Runtime{store: e.store, name: name, inputs: entry.inputs, outputs: entry.outputs, logger: logger}
		err := guard(func() error { return entry.controller.Reconcile(ctx, rt) })

		if ctx.Err() != nil {
			return
		}

		after := rt.requeue
		if status.record(err) {
			after = e.pause(status.Failures)
			logger.Warn("reconciling", "error", err, "attempt", status.Failures)
		}

		if outside := entry.outside.Load(); outside != nil && err == nil {
			status.State, status.Error = StateFailing, firstLine(fmt.Errorf("watching the outside: %w", *outside))
		}

		e.report(ctx, name, status)
		e.await(ctx, entry, rt, after)

		if ctx.Err() != nil {
			return
		}
	}
}

// await waits for a reason to run a controller again.
func (e *Engine) await(ctx context.Context, entry *entry, rt *Runtime, after time.Duration) {
	var timer <-chan time.Time
	if after > 0 {
		timer = time.After(after)
	}

	stop := awaitBlocked(ctx, entry, rt.blocked)
	defer stop()

	select {
	case <-ctx.Done():
	case <-entry.wake:
	case <-timer:
	}
}

// awaitBlocked wakes a controller when something happens to an output that it
// could not destroy yet. The returned function ends the waiting.
func awaitBlocked(ctx context.Context, entry *entry, blocked []*resource.Watch) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)

	var wg sync.WaitGroup

	for _, watch := range blocked {
		wg.Go(func() {
			// An event, or the loss of one, both mean: look again.
			if _, err := watch.Next(ctx); err == nil || errors.Is(err, resource.ErrLagged) {
				entry.notify()
			}
		})
	}

	return func() {
		cancel()
		wg.Wait()
	}
}

// guard turns a panic into an error.
func guard(f func() error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v\n%s", cause, debug.Stack())
		}
	}()

	return f()
}

// pause is how long to wait after so many failures in a row, at least one.
func (e *Engine) pause(failures uint64) time.Duration {
	d := lastPause
	if shift := failures - 1; shift < 8 {
		d = min(firstPause<<shift, lastPause)
	}

	return d - e.jitter(d/2)
}

// report writes a controller's status if it changed.
func (e *Engine) report(ctx context.Context, name string, status *Status) {
	rt := &Runtime{store: e.store, name: engineOwner, outputs: []Output{Out[Status]()}}

	err := Modify(ctx, rt, name, func(r *resource.Resource[Status]) error {
		since := r.Spec.Since
		if r.Spec.State != status.State {
			since = time.Now()
		}

		r.Spec = resource.DeepCopy(*status)
		r.Spec.Since = since

		return nil
	})
	if err != nil {
		e.logger.Error("reporting a controller's status", "controller", name, "error", err)
	}
}
