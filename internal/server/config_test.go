package server_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/basalt-os/basalt/api/machine"
)

func TestApplyConfiguration(t *testing.T) {
	const (
		reboot = machine.ApplyConfigurationRequest_REBOOT
		auto   = machine.ApplyConfigurationRequest_AUTO
		live   = machine.ApplyConfigurationRequest_NO_REBOOT
		staged = machine.ApplyConfigurationRequest_STAGED
		try    = machine.ApplyConfigurationRequest_TRY
	)
	for _, test := range []struct {
		name        string
		mode        machine.ApplyConfigurationRequest_Mode
		running     string
		needsReboot []string
		invalid     error
		dryRun      bool

		wantCode    codes.Code
		wantMode    machine.ApplyConfigurationRequest_Mode
		wantRunning string
		wantStored  string
		wantReboots int
	}{
		{name: "auto without need of a reboot", mode: auto, running: "old", wantMode: live, wantRunning: "new", wantStored: "new"},
		{name: "auto with need of a reboot", mode: auto, running: "old", needsReboot: []string{"type"}, wantMode: reboot, wantRunning: "old", wantStored: "new", wantReboots: 1},
		{name: "auto on a node without configuration", mode: auto, wantMode: live, wantRunning: "new", wantStored: "new"},
		{name: "reboot on a node without configuration", mode: reboot, wantMode: live, wantRunning: "new", wantStored: "new"},
		{name: "no reboot", mode: live, running: "old", wantMode: live, wantRunning: "new", wantStored: "new"},
		{name: "no reboot with need of one", mode: live, running: "old", needsReboot: []string{"type"}, wantCode: codes.FailedPrecondition, wantRunning: "old"},
		{name: "reboot", mode: reboot, running: "old", wantMode: reboot, wantRunning: "old", wantStored: "new", wantReboots: 1},
		{name: "staged", mode: staged, running: "old", wantMode: staged, wantRunning: "old", wantStored: "new"},
		{name: "try", mode: try, running: "old", wantMode: try, wantRunning: "new"},
		{name: "try with need of a reboot", mode: try, running: "old", needsReboot: []string{"type"}, wantCode: codes.FailedPrecondition, wantRunning: "old"},
		{name: "try on a node without configuration", mode: try, wantCode: codes.FailedPrecondition},
		{name: "dry run", mode: auto, running: "old", dryRun: true, wantMode: live, wantRunning: "old"},
		{name: "dry run of a reboot", mode: reboot, running: "old", dryRun: true, wantMode: reboot, wantRunning: "old"},
		{name: "invalid", mode: auto, running: "old", invalid: errors.New("line 1"), wantCode: codes.InvalidArgument, wantRunning: "old"},
		{name: "unknown mode", mode: 9, running: "old", wantCode: codes.InvalidArgument, wantRunning: "old"},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := newNode(t)
			n.config.running, n.config.reboot, n.config.invalid = test.running, test.needsReboot, test.invalid
			reply, err := machine.NewMachineServiceClient(n.conn).ApplyConfiguration(t.Context(), &machine.ApplyConfigurationRequest{
				Data: []byte("new"), Mode: test.mode, DryRun: test.dryRun,
			})
			wantCode(t, err, test.wantCode)
			if err == nil && reply.GetMessages()[0].GetMode() != test.wantMode {
				t.Errorf("got mode %v, want %v", reply.GetMessages()[0].GetMode(), test.wantMode)
			}
			running, stored := n.config.state()
			if running != test.wantRunning || stored != test.wantStored {
				t.Errorf("got running %q and stored %q, want %q and %q", running, stored, test.wantRunning, test.wantStored)
			}
			if len(n.machine.calls) != test.wantReboots {
				t.Errorf("got %d reboots, want %d", len(n.machine.calls), test.wantReboots)
			}
		})
	}
}

func TestDryRunShowsTheDifference(t *testing.T) {
	for next, want := range map[string]string{"a: 2": "Config diff:\n\n-a: 1\n+a: 2\n", "a: 1": "No changes."} {
		n := newNode(t)
		n.config.running = "a: 1"
		reply, err := machine.NewMachineServiceClient(n.conn).ApplyConfiguration(t.Context(), &machine.ApplyConfigurationRequest{
			Data: []byte(next), Mode: machine.ApplyConfigurationRequest_AUTO, DryRun: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		details := reply.GetMessages()[0].GetModeDetails()
		for _, want := range []string{"Dry run summary:", "(skipped in dry-run)", want} {
			if !strings.Contains(details, want) {
				t.Errorf("details lack %q:\n%s", want, details)
			}
		}
	}
}

// try applies a configuration on trial.
func (n *node) try(t *testing.T, config string, duration time.Duration) {
	t.Helper()
	_, err := machine.NewMachineServiceClient(n.conn).ApplyConfiguration(t.Context(), &machine.ApplyConfigurationRequest{
		Data: []byte(config), Mode: machine.ApplyConfigurationRequest_TRY, TryModeTimeout: durationpb.New(duration),
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTriedConfigurationIsRolledBack(t *testing.T) {
	n := newNode(t)
	n.config.running = "old"
	n.config.activated = make(chan string, 3)
	n.try(t, "first", time.Hour)
	n.try(t, "second", time.Millisecond)
	for _, want := range []string{"first", "second", "old"} {
		if got := <-n.config.activated; got != want {
			t.Fatalf("got %q activated, want %q", got, want)
		}
	}
}

func TestAnAppliedConfigurationEndsTheTrial(t *testing.T) {
	n := newNode(t)
	n.config.running = "old"
	n.try(t, "tried", time.Hour)
	_, err := machine.NewMachineServiceClient(n.conn).ApplyConfiguration(t.Context(), &machine.ApplyConfigurationRequest{
		Data: []byte("kept"), Mode: machine.ApplyConfigurationRequest_NO_REBOOT,
	})
	if err != nil {
		t.Fatal(err)
	}
	if n.server.OnTrial() {
		t.Error("the trial goes on")
	}
}
