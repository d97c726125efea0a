package node

import (
	"testing"

	"github.com/basalt-os/basalt/internal/diagnose"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/service"
)

// What a service waits for has a reason that "basaltctl why" finds: the names of
// conditions are those that package diagnose knows.
func TestConditionsAreExplained(t *testing.T) {
	n := &Node{}

	for _, definition := range []service.Definition{
		n.machinedService(), n.containerdService(), n.gatewayService(), n.trustService(), n.kubeletService(), n.etcdService(),
	} {
		for _, condition := range definition.Conditions {
			if condition.String() == n.joinable().String() {
				continue // what it waits for is outside the node
			}

			moment := diagnose.Moment{
				Services:  []diagnose.Service{{ID: definition.ID, State: "Waiting", Event: "Waiting for " + condition.String()}},
				Situation: reconcile.Situation{Present: func(reconcile.Input) bool { return false }},
			}

			cause, err := moment.About(definition.ID)
			if err != nil {
				t.Fatal(err)
			}

			if len(cause.Because) != 1 || len(cause.Because[0].Because) == 0 {
				t.Errorf("%s waits for %q, and nothing tells why:\n%s", definition.ID, condition, cause)
			}
		}
	}
}
