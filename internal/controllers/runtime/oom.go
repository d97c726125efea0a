package runtime

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/oom"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/runtime"
	"github.com/basalt-os/basalt/pkg/machineconfig"
	"github.com/basalt-os/basalt/pkg/machineconfig/document"
)

// keptActions is how many of the latest ends are shown.
const keptActions = 30

// Memory is the memory of a machine. [oom.Machine] is one.
type Memory interface {
	Sample(now time.Time) (oom.Sample, error)
	Groups() ([]oom.Group, error)
	Kill(group oom.Group) ([]string, error)
}

// OOM ends what has to end when memory lacks, and tells what it was.
func OOM(reader *configured.Reader, memory Memory, now func() time.Time) reconcile.Controller {
	k := &killer{memory: memory, now: now}

	return derive.Act("runtime.OOMController", []reconcile.Input{configured.Input()},
		[]reconcile.Output{reconcile.Out[runtime.OOMAction]()},
		func(ctx context.Context, rt *reconcile.Runtime) error {
			cfg, err := reader.Read(ctx, rt)
			if err != nil {
				return err
			}

			doc := document.OOMConfig{}
			if cfg != nil {
				if found := machineconfig.Find[document.OOMConfig](cfg); found != nil {
					doc = *found
				}
			}

			if err := k.configure(doc); err != nil {
				return err
			}

			rt.RequeueAfter(cmp.Or(doc.SampleInterval, oom.DefaultInterval))

			return k.look(ctx, rt)
		})
}

// killer remembers what was before.
type killer struct {
	memory Memory
	now    func() time.Time

	config document.OOMConfig
	policy *oom.Policy
	before oom.Sample
	last   time.Time // when something ended
}

func (k *killer) configure(doc document.OOMConfig) error {
	strict := doc.StrictCgroupClassOrdering != nil && *doc.StrictCgroupClassOrdering
	same := doc.TriggerExpression == k.config.TriggerExpression && doc.CgroupRankingExpression == k.config.CgroupRankingExpression &&
		doc.StrictCgroupClassOrdering == k.config.StrictCgroupClassOrdering

	if k.policy != nil && same {
		return nil
	}

	policy, err := oom.NewPolicy(doc.TriggerExpression, doc.CgroupRankingExpression, strict)
	if err != nil {
		return err
	}

	k.policy, k.config = policy, doc

	return nil
}

// look samples once, and acts.
func (k *killer) look(ctx context.Context, rt *reconcile.Runtime) error {
	sample, err := k.memory.Sample(k.now())
	if err != nil {
		return err
	}

	before := k.before
	k.before = sample

	if sample.Calm() || before.Time.IsZero() {
		return nil
	}

	triggered, err := k.policy.Triggered(before, sample, k.last)
	if err != nil || !triggered {
		return err
	}

	groups, err := k.memory.Groups()
	if err != nil {
		return err
	}

	group, score, ok, err := k.policy.Choose(groups)
	if err != nil {
		return err
	}

	if !ok {
		rt.Logger().Warn("memory lacks, and there is nothing that may end")

		return nil
	}

	k.last = sample.Time

	processes, err := k.memory.Kill(group)
	if err != nil {
		return err
	}

	rt.Logger().Warn("memory lacks, a control group was ended", "group", group.Path, "processes", processes)

	action := runtime.OOMAction{
		TriggerContext: fmt.Sprintf("memory full avg10=%.2f some avg10=%.2f, ended %s",
			sample.Machine.Full.Avg10, sample.Machine.Some.Avg10, group.Path),
		Score: score, Processes: processes,
	}

	return k.tell(ctx, rt, sample.Time, action)
}

// tell adds an action to those that are shown.
func (k *killer) tell(ctx context.Context, rt *reconcile.Runtime, at time.Time, action runtime.OOMAction) error {
	id := at.UTC().Format("2006-01-02T15:04:05.000Z")

	err := reconcile.Modify(ctx, rt, id, func(r *resource.Resource[runtime.OOMAction]) error {
		r.Spec = action

		return nil
	})
	if err != nil {
		return err
	}

	actions, err := resource.List[runtime.OOMAction](ctx, rt)
	if err != nil {
		return err
	}

	ids := []string{}
	for _, a := range actions {
		ids = append(ids, a.Meta.ID)
	}

	slices.Sort(ids) // by time
	kept := ids[max(0, len(ids)-keptActions):]

	return reconcile.Keep[runtime.OOMAction](ctx, rt, func(id string) bool { return slices.Contains(kept, id) })
}
