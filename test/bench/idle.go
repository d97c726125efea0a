package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"time"

	"github.com/basalt-os/basalt/internal/cgroup"
)

// idle measures what nodes take that have nothing to do.
func (b *bed) idle(ctx context.Context, o options) ([]Figure, error) {
	spec, err := b.folder.Spec()
	if err != nil {
		return nil, err
	}

	tree, err := cgroup.Open(cgroup.Mountpoint)
	if err != nil {
		return nil, err
	}

	if err := wait(ctx, o.settle); err != nil {
		return nil, err
	}

	before := map[string]usage{}

	for _, node := range spec.Nodes {
		if before[node.Name], err = measure(tree, path.Join("basalt", clusterName, node.Name)); err != nil {
			return nil, err
		}
	}

	if err := wait(ctx, o.idle); err != nil {
		return nil, err
	}

	var figures []Figure

	for _, node := range spec.Nodes {
		after, err := measure(tree, path.Join("basalt", clusterName, node.Name))
		if err != nil {
			return nil, err
		}

		figures = append(figures, idleFigures(string(node.Role), before[node.Name], after)...)
	}

	return figures, nil
}

// idleFigures are the figures of one node.
func idleFigures(role string, before, after usage) []Figure {
	var (
		figures []Figure
		total   uint64
	)

	names := slices.SortedFunc(maps.Keys(after.programs), func(a, b string) int {
		return cmp.Or(cmp.Compare(after.programs[b].memory, after.programs[a].memory), cmp.Compare(a, b))
	})

	share := func(used time.Duration) float64 { return 100 * float64(used) / float64(after.at.Sub(before.at)) }

	for _, name := range names {
		program := after.programs[name]
		total += program.memory

		figures = append(figures,
			Figure{Name: fmt.Sprintf("idle %s: %s, resident", role, name), Unit: "MiB", Value: float64(program.memory) / mebibyte},
			Figure{Name: fmt.Sprintf("idle %s: %s, private", role, name), Unit: "MiB", Value: float64(program.private) / mebibyte},
			Figure{Name: fmt.Sprintf("idle %s: %s, processor", role, name), Unit: "% core",
				Value: share(program.processor - before.programs[name].processor)})
	}

	return append(figures,
		Figure{Name: fmt.Sprintf("idle %s: all, resident", role), Unit: "MiB", Value: float64(total) / mebibyte},
		Figure{Name: fmt.Sprintf("idle %s: all, shared pages once", role), Unit: "MiB", Value: float64(after.proportional) / mebibyte},
		Figure{Name: fmt.Sprintf("idle %s: all, processor", role), Unit: "% core", Value: share(after.processor - before.processor)})
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()

	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
