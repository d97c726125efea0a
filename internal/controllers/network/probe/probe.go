// Package probe checks that a node reaches what it is configured to reach, by
// TCP or HTTP, again and again.
package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/basalt-os/basalt/internal/controllers/keep"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/network"
)

// Check does what a probe asks for once.
type Check func(ctx context.Context, spec network.ProbeSpec) error

// Controller is the controller that runs the probes and shows how they fare.
type Controller struct {
	check Check
	// after returns a channel that gets an element after a time.
	after func(time.Duration) <-chan time.Time
	set   *keep.Set[network.ProbeSpec]

	mu     sync.Mutex
	found  map[string]network.ProbeStatus
	notify func()
}

// New returns the controller of probes over the node's network. Adapt gives an
// HTTP client what it needs to reach servers elsewhere; it may be nil.
func New(adapt func(*http.Client) error) *Controller { return newController(Over(adapt), time.After) }

func newController(check Check, after func(time.Duration) <-chan time.Time) *Controller {
	c := &Controller{check: check, after: after, found: map[string]network.ProbeStatus{}, notify: func() {}}
	c.set = keep.New(c.run, c.forget)

	return c
}

// Name implements reconcile.Controller.
func (*Controller) Name() string { return "network.ProbeController" }

// Inputs implements reconcile.Controller.
func (*Controller) Inputs() []reconcile.Input {
	return []reconcile.Input{reconcile.In[network.ProbeSpec]()}
}

// Outputs implements reconcile.Controller.
func (*Controller) Outputs() []reconcile.Output {
	return []reconcile.Output{reconcile.Out[network.ProbeStatus]()}
}

// Reconcile implements reconcile.Controller.
func (c *Controller) Reconcile(ctx context.Context, rt *reconcile.Runtime) error {
	specs, err := resource.List[network.ProbeSpec](ctx, rt)
	if err != nil {
		return err
	}

	wanted := map[string]network.ProbeSpec{}

	for _, spec := range specs {
		if spec.Meta.Phase != resource.Running {
			continue
		}

		wanted[spec.Meta.ID] = spec.Copy().Spec

		// Until it succeeded once, a probe fails.
		c.mu.Lock()
		status := c.found[spec.Meta.ID]
		c.mu.Unlock()

		err := reconcile.Modify(ctx, rt, spec.Meta.ID, func(r *resource.Resource[network.ProbeStatus]) error {
			r.Spec = status

			return nil
		})
		if err != nil {
			return err
		}
	}

	c.set.Want(wanted)

	return reconcile.Keep[network.ProbeStatus](ctx, rt, func(id string) bool {
		_, ok := wanted[id]

		return ok
	})
}

// Watch implements reconcile.Source: it runs the probes.
func (c *Controller) Watch(ctx context.Context, notify func()) error {
	c.mu.Lock()
	c.notify = notify
	c.mu.Unlock()

	c.set.Run(ctx)

	return nil
}

// run runs one probe.
func (c *Controller) run(ctx context.Context, id string, spec network.ProbeSpec) {
	failures := 0

	for {
		err := c.check(ctx, spec)
		if ctx.Err() != nil {
			return
		}

		if err == nil {
			failures = 0
		} else {
			failures++
		}

		c.report(id, outcome(err, failures, spec.FailureThreshold))

		select {
		case <-ctx.Done():
			return
		case <-c.after(spec.Interval):
		}
	}
}

// outcome says how a status changes with a result. Failures, of which there
// were so many in a row, count from the threshold on.
func outcome(err error, failures, threshold int) func(network.ProbeStatus) network.ProbeStatus {
	return func(status network.ProbeStatus) network.ProbeStatus {
		if err == nil {
			return network.ProbeStatus{Success: true}
		}

		return network.ProbeStatus{Success: status.Success && failures < threshold, LastError: err.Error()}
	}
}

func (c *Controller) report(id string, change func(network.ProbeStatus) network.ProbeStatus) {
	c.mu.Lock()
	before := c.found[id]
	after := change(before)
	c.found[id] = after
	notify := c.notify
	c.mu.Unlock()

	if before != after {
		notify()
	}
}

func (c *Controller) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()

	delete(c.found, id)
}

// Over is the Check over the node's network.
func Over(adapt func(*http.Client) error) Check {
	return func(ctx context.Context, spec network.ProbeSpec) error {
		if spec.HTTP.URL != nil {
			return get(ctx, spec.HTTP, adapt)
		}

		return connect(ctx, spec.TCP)
	}
}

func connect(ctx context.Context, spec network.TCPProbeSpec) error {
	ctx, cancel := context.WithTimeout(ctx, spec.Timeout)
	defer cancel()

	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", spec.Endpoint)
	if err != nil {
		return err
	}

	return conn.Close()
}

// maxBody is how much of an answer is read, in bytes.
const maxBody = 1 << 16

// get asks for a page. Any answer that is no error is one, also one that leads
// elsewhere.
func get(ctx context.Context, spec network.HTTPProbeSpec, adapt func(*http.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, spec.Timeout)
	defer cancel()

	request, err := http.NewRequestWithContext(ctx, http.MethodGet, spec.URL.String(), nil)
	if err != nil {
		return redacted(err)
	}

	request.Header.Set("User-Agent", "basalt")

	// Every probe is a new connection, so that it sees what is so now.
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}

	if adapt != nil {
		if err := adapt(client); err != nil {
			return err
		}
	}

	response, err := client.Do(request)
	if err != nil {
		return redacted(err)
	}

	_, err = io.CopyN(io.Discard, response.Body, maxBody)
	if errors.Is(err, io.EOF) {
		err = nil
	}

	if err = errors.Join(err, response.Body.Close()); err != nil {
		return err
	}

	if response.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("the server answered with status %s", response.Status)
	}

	return nil
}

// redacted is an error without the URL, which can have a password.
func redacted(err error) error {
	var with *url.Error
	if errors.As(err, &with) {
		return with.Err
	}

	return err
}
