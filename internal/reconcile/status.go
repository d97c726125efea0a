package reconcile

import "github.com/basalt-os/basalt/internal/resource"

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
