package runtime

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/oom"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/runtime"
)

// memory lacks more at each look, until something ended.
type memory struct {
	start  time.Time
	looks  int
	killed []string
}

func (m *memory) Sample(now time.Time) (oom.Sample, error) {
	m.looks++

	s := oom.Sample{Time: now}
	if len(m.killed) == 0 && now.Sub(m.start) > 2*time.Second {
		s.Machine.Full.Avg10 = 10 * now.Sub(m.start).Seconds()
	}

	return s, nil
}

func (m *memory) Groups() ([]oom.Group, error) {
	current := uint64(4096)

	return []oom.Group{{Path: "kubepods/besteffort/pod1/a", Current: &current}, {Path: "system/apid", Current: &current}}, nil
}

func (m *memory) Kill(group oom.Group) ([]string, error) {
	m.killed = append(m.killed, group.Path)

	return []string{"hungry (7)"}, nil
}

func TestOOM(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		store := resource.NewStore()
		engine := reconcile.NewEngine(store, slog.New(slog.DiscardHandler))
		m := &memory{start: time.Now()}

		if err := engine.Register(OOM(&configured.Reader{}, m, time.Now)); err != nil {
			t.Fatal(err)
		}

		done := make(chan error)

		go func() { done <- engine.Run(ctx) }()

		<-time.After(10 * time.Second)
		cancel()

		if err := <-done; err != nil {
			t.Error(err)
		}

		if m.looks < 19 || m.looks > 21 {
			t.Errorf("%d looks in ten seconds", m.looks)
		}

		if diff := cmp.Diff([]string{"kubepods/besteffort/pod1/a"}, m.killed); diff != "" {
			t.Errorf("killed (-want +got):\n%s", diff)
		}

		actions, err := resource.List[runtime.OOMAction](t.Context(), store)
		if err != nil || len(actions) != 1 {
			t.Fatalf("%d actions, %v", len(actions), err)
		}

		want := runtime.OOMAction{
			TriggerContext: "memory full avg10=25.00 some avg10=0.00, ended kubepods/besteffort/pod1/a", Score: 4096,
			Processes: []string{"hungry (7)"},
		}
		if diff := cmp.Diff(want, actions[0].Spec); diff != "" {
			t.Errorf("action (-want +got):\n%s", diff)
		}
	})
}
