package trial

import (
	"time"

	"github.com/basalt-os/basalt/internal/resource"
)

// StatusID is the ID of the only [Status].
const StatusID = "upgrade"

// Status is what became of the last upgrade, and, while a new version is on
// trial, what it still lacks: the resource UpgradeStatuses.basalt.dev.
type Status struct {
	State    string `yaml:"state" protobuf:"1"`
	From     string `yaml:"from" protobuf:"2"`
	To       string `yaml:"to" protobuf:"3"`
	Image    string `yaml:"image,omitempty" protobuf:"4"`
	Attempts int    `yaml:"attempts" protobuf:"5"`
	// Reason says why the machine returned to the version before.
	Reason string `yaml:"reason,omitempty" protobuf:"6"`
	Gates  []Gate `yaml:"gates,omitempty" protobuf:"7"`
	// HoldingSince is when all gates began to hold.
	HoldingSince time.Time `yaml:"holdingSince,omitempty" protobuf:"8"`
}

// Definition implements resource.Spec.
func (Status) Definition() resource.Definition {
	return resource.Definition{
		Type:        "UpgradeStatuses.basalt.dev",
		Namespace:   "runtime",
		DisplayType: "UpgradeStatus",
		Aliases:     []string{"upgrade"},
		Columns: []resource.Column{
			{Name: "State", JSONPath: "{.state}"},
			{Name: "From", JSONPath: "{.from}"},
			{Name: "To", JSONPath: "{.to}"},
			{Name: "Attempts", JSONPath: "{.attempts}"},
			{Name: "Reason", JSONPath: "{.reason}"},
		},
	}
}

// Status is the record as a resource.
func (r Record) Status() Status {
	return Status{State: string(r.State), From: r.From, To: r.To, Image: r.Image, Attempts: len(r.Attempts), Reason: r.Reason}
}
