package k8s

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"k8s.io/client-go/dynamic"

	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/drain"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/k8s"
)

// drainOwner owns the resource that cordons the node.
const drainOwner = "k8s.Drain"

// Drain cordons the node, has the pods on it moved away and waits until they
// have gone, as their disruption budgets allow. Pods that belong to the node
// stay: those of DaemonSets and static ones, and those without a controller if the
// node comes back with what they have on it. It returns an error when ctx ends
// first; a node that is not registered has nothing to drain.
func Drain(ctx context.Context, store *resource.Store, files KubeletFiles, comesBack bool, logger *slog.Logger) error {
	name, err := derive.Find[k8s.Nodename](ctx, store, k8s.NodenameID)
	if err != nil || name == nil || name.Spec.SkipNodeRegistration {
		return err
	}

	cfg, err := nodeConfig(ctx, store, files)
	if err != nil {
		return fmt.Errorf("draining the node: %w", err)
	}

	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return fmt.Errorf("draining the node: connecting to Kubernetes: %w", err)
	}

	// So that the node stays cordoned as long as this process runs.
	err = store.Create(ctx, resource.New(k8s.NodeCordonedID, k8s.NodeCordonedSpec{}), drainOwner)
	if err != nil && !errors.Is(err, resource.ErrExists) {
		return fmt.Errorf("cordoning node %s: %w", name.Spec.Nodename, err)
	}

	// NodeApply takes the cordon back when the node runs again: its annotation
	// says whose it is.
	_, err = drain.Cordon(ctx, client, name.Spec.Nodename, map[string]string{annotationCordoned: "true"})
	if err != nil {
		return err
	}

	return drain.Pods(ctx, client, name.Spec.Nodename, comesBack, func(format string, args ...any) {
		logger.Info(fmt.Sprintf(format, args...))
	})
}
