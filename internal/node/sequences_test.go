package node

import (
	"errors"
	"fmt"
	"testing"

	"github.com/basalt-os/basalt/internal/machine"
)

func TestOutcomeOf(t *testing.T) {
	failed := errors.New("phase stopEverything: task stopAllServices: context canceled")
	replaced := fmt.Errorf("phase stopEverything: %w: %w", machine.ErrTakenOver, failed)

	for _, test := range []struct {
		name string
		kind machine.Kind
		err  error
		want outcome
	}{
		{"a reset that succeeds", machine.Reset, nil, endsMachine},
		{"a reset that fails", machine.Reset, failed, endsMachine},
		{"a reset that a reboot replaces", machine.Reset, replaced, leavesToOther},
		{"an upgrade that succeeds", machine.Upgrade, nil, endsMachine},
		{"an upgrade that fails", machine.Upgrade, failed, staysUp},
		{"an upgrade that is replaced", machine.Upgrade, replaced, leavesToOther},
	} {
		if got := outcomeOf(test.kind, test.err); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}
