package server

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/basalt-os/basalt/api/machine"
)

// defaultTrial is how long a configuration is tried when the caller names no
// time.
const defaultTrial = time.Minute

// Config is the machine configuration of the node: the one that acts and the
// one that is stored for the next boot.
type Config interface {
	// Running returns the configuration that acts; nil when the node has none.
	Running(ctx context.Context) ([]byte, error)
	// Validate checks a configuration for this node. The error tells all that
	// is wrong with it.
	Validate(ctx context.Context, next []byte) (warnings []string, err error)
	// NeedsReboot names the changes that cannot take effect while the node
	// runs, one sentence each.
	NeedsReboot(ctx context.Context, running, next []byte) ([]string, error)
	// Difference shows people what changes, without secrets; it is empty when
	// nothing does. Running may be nil.
	Difference(ctx context.Context, running, next []byte) (string, error)
	// Store keeps a configuration for the next boot.
	Store(ctx context.Context, next []byte) error
	// Activate makes a configuration the one that acts, without storing it.
	Activate(ctx context.Context, next []byte) error
}

// ApplyConfiguration replaces the machine configuration.
func (s machineService) ApplyConfiguration(ctx context.Context, request *machine.ApplyConfigurationRequest) (*machine.ApplyConfigurationResponse, error) {
	reply, err := s.applyConfiguration(ctx, request)
	if err != nil {
		return nil, fmt.Errorf("applying configuration: %w", err)
	}
	return &machine.ApplyConfigurationResponse{Messages: []*machine.ApplyConfiguration{reply}}, nil
}

func (s machineService) applyConfiguration(ctx context.Context, request *machine.ApplyConfigurationRequest) (*machine.ApplyConfiguration, error) {
	next := request.GetData()
	warnings, err := s.Config.Validate(ctx, next)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	running, err := s.Config.Running(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the running configuration: %w", err)
	}
	mode, err := s.chooseMode(ctx, request.GetMode(), running, next)
	if err != nil {
		return nil, err
	}
	trialTime := defaultTrial
	if request.GetTryModeTimeout() != nil {
		trialTime = request.GetTryModeTimeout().AsDuration()
	}
	reply := &machine.ApplyConfiguration{Warnings: warnings, Mode: mode, ModeDetails: modeDetails(mode, trialTime)}
	if request.GetDryRun() {
		difference, err := s.Config.Difference(ctx, running, next)
		if err != nil {
			return nil, fmt.Errorf("comparing with the running configuration: %w", err)
		}
		reply.ModeDetails = fmt.Sprintf("Dry run summary:\n%s (skipped in dry-run).\n%s", reply.GetModeDetails(), told(difference))
		return reply, nil
	}
	if err := s.carryOut(ctx, mode, running, next, trialTime); err != nil {
		return nil, err
	}
	return reply, nil
}

// chooseMode turns the requested mode into one of those that do something, and
// refuses modes that cannot do what the change needs.
func (s machineService) chooseMode(ctx context.Context, mode machine.ApplyConfigurationRequest_Mode, running, next []byte) (machine.ApplyConfigurationRequest_Mode, error) {
	if _, known := machine.ApplyConfigurationRequest_Mode_name[int32(mode)]; !known {
		return mode, fmt.Errorf("mode %v: %w", mode, ErrInvalid)
	}
	if running == nil {
		if mode == machine.ApplyConfigurationRequest_TRY {
			return mode, fmt.Errorf("a node without a configuration has nothing to return to after a try: %w", ErrPrecondition)
		}
		// There may be no disk yet on which it would outlive a reboot.
		return machine.ApplyConfigurationRequest_NO_REBOOT, nil
	}
	if mode == machine.ApplyConfigurationRequest_REBOOT || mode == machine.ApplyConfigurationRequest_STAGED {
		return mode, nil
	}
	reasons, err := s.Config.NeedsReboot(ctx, running, next)
	if err != nil {
		return mode, fmt.Errorf("comparing with the running configuration: %w", err)
	}
	switch {
	case mode != machine.ApplyConfigurationRequest_AUTO && len(reasons) > 0:
		return mode, fmt.Errorf("%w: the change needs a reboot: %q", ErrPrecondition, reasons)
	case mode == machine.ApplyConfigurationRequest_TRY:
		return mode, nil
	case len(reasons) > 0:
		return machine.ApplyConfigurationRequest_REBOOT, nil
	default:
		return machine.ApplyConfigurationRequest_NO_REBOOT, nil
	}
}

// carryOut does what a mode of chooseMode says. Any of them ends a trial that
// is under way: the new configuration takes the place of the tried one.
func (s machineService) carryOut(ctx context.Context, mode machine.ApplyConfigurationRequest_Mode, running, next []byte, trialTime time.Duration) error {
	if mode == machine.ApplyConfigurationRequest_TRY {
		if trialTime <= 0 {
			return fmt.Errorf("trying for %v: %w", trialTime, ErrInvalid)
		}
		return s.trial.begin(trialTime, running, func(config []byte) error {
			return s.Config.Activate(context.WithoutCancel(ctx), config)
		}, next, func(err error) {
			s.Logger.ErrorContext(context.WithoutCancel(ctx), "the tried configuration could not be rolled back", "error", err)
		})
	}
	if mode != machine.ApplyConfigurationRequest_STAGED {
		s.trial.end()
	}
	if err := s.Config.Store(ctx, next); err != nil {
		return fmt.Errorf("storing configuration: %w", err)
	}
	switch mode {
	case machine.ApplyConfigurationRequest_NO_REBOOT:
		if err := s.Config.Activate(ctx, next); err != nil {
			return fmt.Errorf("activating configuration: %w", err)
		}
	case machine.ApplyConfigurationRequest_REBOOT:
		ctx, _ := begin(ctx)
		if err := s.Machine.Reboot(ctx, RebootDefault); err != nil {
			return fmt.Errorf("rebooting with the new configuration: %w", err)
		}
	}
	return nil
}

// modeDetails says in a sentence what a mode does.
func modeDetails(mode machine.ApplyConfigurationRequest_Mode, trialTime time.Duration) string {
	switch mode {
	case machine.ApplyConfigurationRequest_REBOOT:
		return "Applied configuration with a reboot"
	case machine.ApplyConfigurationRequest_STAGED:
		return "Staged configuration to be applied after the next reboot"
	case machine.ApplyConfigurationRequest_TRY:
		return fmt.Sprintf("Applied configuration without a reboot, to be rolled back in %v", trialTime)
	default:
		return "Applied configuration without a reboot"
	}
}

// told is a difference as an answer tells it.
func told(difference string) string {
	if difference == "" {
		return "No changes."
	}
	return "Config diff:\n\n" + difference
}

// trial is the configuration that a node tries at the moment, if any.
type trial struct {
	mu    sync.Mutex
	timer *time.Timer
	back  []byte // the configuration to return to
}

// begin activates next, and rolls back after the given time unless the trial
// ends before. A trial that follows a trial returns to where the first began.
func (t *trial) begin(duration time.Duration, running []byte, activate func([]byte) error, next []byte, failed func(error)) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	back := running
	if t.stop() {
		back = t.back
	}
	if err := activate(next); err != nil {
		return fmt.Errorf("activating configuration: %w", err)
	}
	t.back = back
	var timer *time.Timer
	timer = time.AfterFunc(duration, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.timer != timer {
			return
		}
		t.timer = nil
		if err := activate(back); err != nil {
			failed(err)
		}
	})
	t.timer = timer
	return nil
}

// end forgets the trial without a roll-back. A roll-back that has begun is
// waited for.
func (t *trial) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stop()
}

// stop reports whether there was a trial.
func (t *trial) stop() bool {
	if t.timer == nil {
		return false
	}
	t.timer.Stop()
	t.timer = nil
	return true
}
