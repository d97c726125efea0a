package node

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/basalt-os/basalt/internal/controllers/cluster"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/runtime"
)

func TestSendResetSignal(t *testing.T) {
	for _, test := range []struct {
		name    string
		answers bool
		want    error
	}{
		{"the controller answers", true, nil},
		{"the controller does not answer", false, context.DeadlineExceeded},
	} {
		synctest.Test(t, func(t *testing.T) {
			store := resource.NewStore()
			pointer := resource.PointerOf[runtime.MachineResetSignal](runtime.MachineResetSignalID)
			done := make(chan error, 1)

			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()

			go func() { done <- sendResetSignal(ctx, store) }()
			synctest.Wait()

			select {
			case err := <-done:
				t.Errorf("%s: it did not wait: %v", test.name, err)
			default:
			}

			if test.answers {
				if err := store.RemoveFinalizer(t.Context(), pointer, cluster.DiscoveryServiceName); err != nil {
					t.Fatal(err)
				}
			}

			if err := <-done; !errors.Is(err, test.want) {
				t.Errorf("%s: got %v, want %v", test.name, err, test.want)
			}

			if _, err := store.Get(t.Context(), pointer); err != nil {
				t.Errorf("%s: the signal is gone: %v", test.name, err)
			}
		})
	}
}
