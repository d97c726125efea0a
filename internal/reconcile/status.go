package reconcile

import (
	"errors"
	"strings"
	"time"

	"github.com/basalt-os/basalt/internal/resource"
)

// Namespace is where the engine keeps the status of controllers.
const Namespace = "runtime"

// State is what a controller is doing.
type State string

// The states of a controller.
const (
	StateStarting State = "starting"
	StateIdle     State = "idle"    // its outputs follow from its inputs
	StateWaiting  State = "waiting" // for another resource
	StateFailing  State = "failing" // it will be tried again
)

// Status says what a controller is doing: the resource
// ControllerStatuses.basalt.dev, by the controller's name. It is written when
// the state changes, not at every run.
type Status struct {
	State      State    `yaml:"state" protobuf:"1"`
	Inputs     []string `yaml:"inputs" protobuf:"2"`  // "namespace/type" or "namespace/type/id"
	Outputs    []string `yaml:"outputs" protobuf:"3"` // types
	WaitingFor string   `yaml:"waitingFor,omitempty" protobuf:"4"`
	Reason     string   `yaml:"reason,omitempty" protobuf:"5"`
	Error      string   `yaml:"error,omitempty" protobuf:"6"`
	Failures   uint64   `yaml:"failures" protobuf:"7"` // in a row
	// Since is when the controller got into its state.
	Since time.Time `yaml:"since" protobuf:"8"`
}

// Definition implements resource.Spec.
func (Status) Definition() resource.Definition {
	return resource.Definition{
		Type:        "ControllerStatuses.basalt.dev",
		Namespace:   Namespace,
		DisplayType: "ControllerStatus",
		Aliases:     []string{"controller", "controllers"},
		Columns: []resource.Column{
			{Name: "State", JSONPath: "{.state}"},
			{Name: "Waiting For", JSONPath: "{.waitingFor}"},
			{Name: "Error", JSONPath: "{.error}"},
		},
	}
}

func newStatus(entry *entry) *Status {
	status := &Status{State: StateStarting}

	for _, input := range entry.inputs {
		status.Inputs = append(status.Inputs, input.String())
	}

	for _, output := range entry.outputs {
		status.Outputs = append(status.Outputs, output.Type)
	}

	return status
}

// record takes in the result of a run and says whether it was a failure.
func (s *Status) record(err error) (failed bool) {
	s.WaitingFor, s.Reason, s.Error = "", "", ""

	if err == nil {
		s.State, s.Failures = StateIdle, 0

		return false
	}

	if wait := onlyWaiting(err); wait != nil {
		s.State, s.Failures = StateWaiting, 0
		s.WaitingFor, s.Reason = wait.pointer.String(), wait.reason

		return false
	}

	s.State, s.Error = StateFailing, firstLine(err)
	s.Failures++

	return true
}

// firstLine leaves the stack of a panic to the log.
func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")

	return line
}

// onlyWaiting returns what an error says is waited for: the first thing of
// several, and nothing when any of the joined errors is a failure.
func onlyWaiting(err error) *waiting {
	joined, ok := err.(interface{ Unwrap() []error }) //nolint:errorlint // every level is looked at
	if !ok {
		if wait, ok := err.(*waiting); ok { //nolint:errorlint // every level is looked at
			return wait
		}

		if inner := errors.Unwrap(err); inner != nil {
			return onlyWaiting(inner)
		}

		return nil
	}

	var first *waiting

	for _, err := range joined.Unwrap() {
		wait := onlyWaiting(err)
		if wait == nil {
			return nil
		}

		if first == nil {
			first = wait
		}
	}

	return first
}
