package manage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/cli/connect"
	"github.com/basalt-os/basalt/internal/cli/objects"
	"github.com/basalt-os/basalt/internal/cli/steps"
	"github.com/basalt-os/basalt/pkg/client"
)

// ending says what a node is like when a sequence has done its work.
type ending uint8

const (
	comesBack      ending = iota // it runs again
	comesBackEmpty               // it answers again, but may not let us in
	staysDown                    // it does not answer any more
)

// Times of waiting for a node that goes down or comes back.
const (
	askPeriod  = time.Second
	askTimeout = 3 * time.Second
	// silence is how many attempts in a row must fail until a node counts as
	// down.
	silence = 3
)

// tracker follows one sequence on one node.
type tracker struct {
	node connect.Node
	show progress
	end  ending
}

// track begins the sequence and waits for its end.
func (t *tracker) track(ctx context.Context, begin request) error {
	before, err := bootOf(ctx, t.node)
	if err != nil {
		return err
	}

	actor, err := begin(ctx, t.node)
	if err != nil {
		return err
	}

	if actor != "" {
		if err := t.events(ctx, actor); err != nil {
			return err
		}
	}

	if t.end == staysDown {
		t.show.phase(t.node.Name, "wait until the node is down")

		return t.awaitDown(ctx)
	}

	t.show.phase(t.node.Name, "wait until the node is back")

	return t.awaitBack(ctx, before)
}

// events shows what the sequence does until it ends or the node goes away.
func (t *tracker) events(ctx context.Context, actor string) error {
	stream, err := t.node.Machine.Events(ctx, &machine.EventsRequest{TailEvents: -1, WithActorId: actor})

	for event, err := range client.Events(stream, err) {
		if err != nil {
			// The node goes away in the midst of it; what has become of it
			// shows afterwards.
			return context.Cause(ctx)
		}

		switch payload := event.Payload.(type) {
		case *machine.PhaseEvent:
			if payload.GetAction() == machine.PhaseEvent_START {
				t.show.phase(t.node.Name, payload.GetPhase())
			}
		case *machine.TaskEvent:
			if payload.GetAction() == machine.TaskEvent_START {
				t.show.task(t.node.Name, payload.GetTask())
			}
		case *machine.SequenceEvent:
			if payload.GetError() != nil {
				return fmt.Errorf("sequence %s: %s", payload.GetSequence(), payload.GetError().GetMessage())
			}

			if payload.GetAction() == machine.SequenceEvent_STOP {
				return nil
			}
		}
	}

	return nil
}

// bootOf identifies the present run of a node: it is when its database began.
func bootOf(ctx context.Context, n connect.Node) (time.Time, error) {
	object, err := objects.Get(ctx, n, "meta", "Namespaces.meta.cosi.dev", "meta")
	if err != nil {
		return time.Time{}, err
	}

	return object.Meta.GetCreated().AsTime(), nil
}

// every calls f until it is done or fails, or ctx ends.
func every(ctx context.Context, period time.Duration, f func(ctx context.Context) (done bool, err error)) error {
	ticker := time.NewTicker(period)
	defer ticker.Stop()

	for {
		attempt, cancel := context.WithTimeout(ctx, askTimeout)
		done, err := f(attempt)

		cancel()

		if done || err != nil {
			return err
		}

		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// awaitDown waits until the node does not answer any more.
func (t *tracker) awaitDown(ctx context.Context) error {
	failures := 0

	return every(ctx, askPeriod, func(ctx context.Context) (bool, error) {
		if _, err := client.Check(t.node.Machine.Version(ctx, &emptypb.Empty{})); err != nil {
			failures++
		} else {
			failures = 0
		}

		return failures >= silence, nil
	})
}

// awaitBack waits until another run of the node has finished booting.
func (t *tracker) awaitBack(ctx context.Context, before time.Time) error {
	return every(ctx, askPeriod, func(ctx context.Context) (bool, error) {
		boot, err := bootOf(ctx, t.node)
		if err != nil {
			// A node that was erased does not know us any more: that it
			// answers is all that can be seen.
			code := status.Code(err)

			return t.end == comesBackEmpty && (code == codes.Unauthenticated || code == codes.PermissionDenied), nil
		}

		if boot.Equal(before) {
			return false, nil
		}

		if t.end == comesBackEmpty {
			return true, nil
		}

		stage, err := stageOf(ctx, t.node)
		if err != nil {
			return false, nil //nolint:nilerr // it is still booting
		}

		t.show.task(t.node.Name, stage)

		return stage == "running", nil
	})
}

// stageOf returns what a node is doing, such as booting or running.
func stageOf(ctx context.Context, n connect.Node) (string, error) {
	object, err := objects.Get(ctx, n, "runtime", "MachineStatuses.runtime.talos.dev", "machine")
	if err != nil {
		return "", err
	}

	var spec struct {
		Stage string `yaml:"stage"`
	}

	return spec.Stage, object.Decode(&spec)
}

// followKernel prints the log of the kernel until stop is called.
func followKernel(ctx context.Context, n connect.Node, lines *connect.Lines) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)

	var wg sync.WaitGroup

	wg.Go(func() {
		reader, err := client.NewReader(n.Machine.Dmesg(ctx, &machine.DmesgRequest{Follow: true, Tail: true}))
		if err != nil {
			return
		}

		out := lines.For(n.Name)
		_, err = io.Copy(out, reader)
		_ = errors.Join(err, out.Close()) // the log ends with the node
	})

	return func() {
		cancel()
		wg.Wait()
	}
}

// progress shows how sequences get on. It may be used from several goroutines.
type progress interface {
	phase(node, name string)
	task(node, name string)
	finish(node string, err error)
}

// newProgress shows steps of one node, or lines of several.
func newProgress(out io.Writer, single bool) progress {
	if single {
		return &stepProgress{printer: steps.New(out)}
	}

	return &lineProgress{out: out, begin: time.Now()}
}

// stepProgress shows each phase of one node as a step.
type stepProgress struct {
	printer *steps.Printer
	step    *steps.Step
}

func (p *stepProgress) phase(_, name string) {
	p.finish("", nil)
	p.step = p.printer.Begin(name)
}

func (p *stepProgress) task(_, name string) {
	if p.step != nil {
		p.step.Detail(name)
	}
}

func (p *stepProgress) finish(_ string, err error) {
	if p.step != nil {
		p.step.End(err)
	}

	p.step = nil
}

// lineProgress prints a line for everything that begins.
type lineProgress struct {
	mu    sync.Mutex
	out   io.Writer
	begin time.Time
	last  map[string]string
}

func (p *lineProgress) phase(node, name string) { p.print(node, name) }

func (p *lineProgress) task(node, name string) { p.print(node, "  "+name) }

func (p *lineProgress) finish(node string, err error) {
	if err != nil {
		p.print(node, "failed: "+client.Message(err))

		return
	}

	p.print(node, "done")
}

// print leaves out what was said last.
func (p *lineProgress) print(node, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()

	if p.last == nil {
		p.last = map[string]string{}
	}

	if p.last[node] == text {
		return
	}

	p.last[node] = text
	fmt.Fprintf(p.out, "%7.1fs  %s: %s\n", time.Since(p.begin).Seconds(), node, text)
}
