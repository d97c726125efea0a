package machine

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"sync"

	"golang.org/x/sys/unix"
)

// Reaper collects the dead children of PID 1: every process whose parent has
// died becomes such a child. It leaves alone the children that the machine
// itself has started through it, because their exit status belongs to whoever
// waits for them.
type Reaper struct {
	logger *slog.Logger

	mu   sync.Mutex
	own  map[int]struct{}
	kick chan struct{}
}

// NewReaper returns a reaper; it works while [Reaper.Run] runs.
func NewReaper(logger *slog.Logger) *Reaper {
	return &Reaper{logger: logger, own: map[int]struct{}{}, kick: make(chan struct{}, 1)}
}

// Start starts a command whose end will be awaited with Wait, and only so.
func (r *Reaper) Start(cmd *exec.Cmd) error {
	// The mutex is held so that the child cannot be collected between its
	// birth and its registration.
	r.mu.Lock()
	defer r.mu.Unlock()

	if err := cmd.Start(); err != nil {
		return err
	}

	r.own[cmd.Process.Pid] = struct{}{}

	return nil
}

// Wait waits for a command that was started with Start.
func (r *Reaper) Wait(cmd *exec.Cmd) error {
	err := cmd.Wait()

	r.mu.Lock()
	delete(r.own, cmd.Process.Pid)
	r.mu.Unlock()

	select {
	case r.kick <- struct{}{}:
	default:
	}

	return err
}

// Run collects orphans until ctx ends.
func (r *Reaper) Run(ctx context.Context) error {
	died := make(chan os.Signal, 1)

	signal.Notify(died, unix.SIGCHLD)
	defer signal.Stop(died)

	for {
		r.collect()

		select {
		case <-died:
		case <-r.kick:
		case <-ctx.Done():
			return nil
		}
	}
}

// collect reaps dead children until the next one is one of ours: the goroutine
// that waits for that one kicks us when it has it.
func (r *Reaper) collect() {
	r.mu.Lock()
	defer r.mu.Unlock()

	for {
		pid, err := deadChild()
		if err != nil {
			if !errors.Is(err, unix.ECHILD) {
				r.logger.Warn("looking for dead children", "error", err)
			}

			return
		}

		if _, own := r.own[pid]; pid == 0 || own {
			return
		}

		if _, err := unix.Wait4(pid, nil, unix.WNOHANG, nil); err != nil && !errors.Is(err, unix.ECHILD) {
			r.logger.Warn("collecting dead child", "pid", pid, "error", err)

			return
		}
	}
}
