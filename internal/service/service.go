// Package service supervises the node's services.
//
// A service is data: what it depends on, what it waits for, how it is run, how
// its health is checked and who may operate it. The [Supervisor] starts a
// service when its dependencies are up and its conditions hold, starts it
// again with a growing delay when it ends although it should not, and stops
// services in the reverse order of their dependencies. Every change of state
// is told to an [Observer].
//
// How a service runs is the business of a [Runner]: see the packages process
// and container below this one, and [Function] for a goroutine.
package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// State is where a service is in its life. The text form is the wire's.
type State uint8

// The states of a service.
const (
	Initialized State = iota
	Preparing
	Waiting
	Running
	Stopping
	Finished
	Failed
	Skipped
	Starting
)

var stateNames = [...]string{
	"Initialized", "Preparing", "Waiting", "Running", "Stopping", "Finished", "Failed", "Skipped", "Starting",
}

func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}

	return fmt.Sprintf("State(%d)", uint8(s))
}

// Health is the outcome of the health checks of one run.
type Health struct {
	Unknown     bool // no check has been made
	Healthy     bool
	LastMessage string
	LastChange  time.Time
}

// Event is one entry in the history of a service.
type Event struct {
	State   State
	Message string
	Time    time.Time
}

// Status is a snapshot of a service.
type Status struct {
	ID     string
	State  State
	Health Health
	PID    int     // of the running process, 0 when there is none
	Events []Event // the most recent ones, oldest first
}

// Up says whether dependants may start: the service runs and, when it has a
// health check, is healthy.
func (s Status) Up() bool {
	return s.State == Running && s.Health.Healthy
}

// Observer is told about every change of a service, in order per service. It
// must not call the supervisor. The event is the last one of the status.
type Observer interface {
	ServiceChanged(status Status)
}

// Restart says what happens when a service ends by itself.
type Restart uint8

// What can happen to it.
const (
	Always       Restart = iota // start it again
	Once                        // leave it
	UntilSuccess                // start it again unless it ended without error
)

// Operations are what an API caller may do with a service.
type Operations uint8

// The operations, to be combined.
const (
	CanStart Operations = 1 << iota
	CanStop
	CanRestart
)

// Condition is something that a service waits for before it starts.
type Condition interface {
	// Wait returns when the condition holds, or with the error of ctx.
	Wait(ctx context.Context) error
	// String names the condition for people: "time sync".
	String() string
}

// Check is how the health of a running service is examined.
type Check struct {
	Probe   func(ctx context.Context) error
	Period  time.Duration // between checks of a healthy service; default 5 s
	Timeout time.Duration // of one check; default 500 ms
}

// Started is what a runner tells once its service runs.
type Started struct {
	PID     int    // 0 when the service is no process
	Message string // for people: "Process containerd started with PID 12"
}

// Runner runs one instance of a service.
type Runner interface {
	// Run starts the service, calls started once, and returns when the service
	// has ended. When ctx ends it stops the service, gracefully first, and
	// returns nil once nothing of it is left. The output of the service goes
	// to log.
	Run(ctx context.Context, log io.Writer, started func(Started)) error
}

// Definition is what a service is. It is not modified after [Supervisor.Add].
type Definition struct {
	ID         string
	DependsOn  []string // services that must be up first, and are stopped later
	Conditions []Condition

	// Prepare makes what the service needs and returns the runner of one run.
	// When it returns [ErrSkip] the service is skipped.
	Prepare func(ctx context.Context) (Runner, error)

	// Stale, when set, returns nil once the running instance no longer is what
	// Prepare would make; the service is then restarted. It returns the error
	// of ctx when ctx ends first.
	Stale func(ctx context.Context) error

	Check   *Check
	Restart Restart
	Allow   Operations
}

// Errors of the supervisor, to be tested with [errors.Is].
var (
	ErrSkip       = errors.New("the service is not needed here")
	ErrUnknown    = errors.New("unknown service")
	ErrNotAllowed = errors.New("the operation is not allowed for this service by the API")
	ErrClosed     = errors.New("the machine is stopping its services, no new ones are started")
)

// sayKey is where the context of a preparation has the way to Say.
type sayKey struct{}

// Say tells people what a service's preparation waits for; ctx is the one that
// Prepare was called with. Elsewhere it does nothing.
func Say(ctx context.Context, format string, args ...any) {
	if say, ok := ctx.Value(sayKey{}).(func(string)); ok {
		say(fmt.Sprintf(format, args...))
	}
}

// Function is a [Runner] that is a goroutine.
type Function func(ctx context.Context, log io.Writer) error

// Run implements [Runner].
func (f Function) Run(ctx context.Context, log io.Writer, started func(Started)) error {
	started(Started{Message: "Service started as goroutine"})

	err := f(ctx, log)
	if ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled)) {
		return nil
	}

	return err
}
