package state

import (
	"context"
	"fmt"

	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources"
)

// describer owns the resources that describe the store itself.
const describer = "state.Describe"

// Describe puts into a store the resources that tell clients which namespaces
// and types there are. It is called once, on a new store.
func Describe(ctx context.Context, store *resource.Store, table *resources.Table) error {
	for name, namespace := range resources.Namespaces() {
		if err := store.Create(ctx, resource.New(name, namespace), describer); err != nil {
			return fmt.Errorf("describing the namespaces: %w", err)
		}
	}

	for _, entry := range table.Entries() {
		if !entry.Served {
			continue
		}

		if err := store.Create(ctx, resource.New(entry.ID, entry.ResourceDefinition()), describer); err != nil {
			return fmt.Errorf("describing the resource types: %w", err)
		}
	}

	return nil
}
