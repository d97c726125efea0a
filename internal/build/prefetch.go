package build

import (
	"context"
	"maps"
	"path/filepath"
	"slices"
)

// prefetch downloads the modules of all components that have to be compiled,
// while those before them are: a network waits, a compiler works. A failure is
// of no interest here. When the component's turn comes it happens again, and
// then somebody is told.
func (b *builder) prefetch(ctx context.Context, list []component) {
	for _, c := range list {
		if len(c.c) > 0 {
			continue
		}

		o, err := c.origin(b.options.Root)
		if err != nil {
			continue
		}

		key, err := b.compileKey(c, o)
		if err != nil {
			continue
		}

		if _, ok := b.cache.Lookup(c.name, key); ok {
			continue
		}

		// Only what the programs need: a module's whole graph is many times
		// that.
		args := append([]string{"list", "-deps", "-f", ""}, c.loadFlags()...)
		args = append(args, slices.Sorted(maps.Values(c.programs))...)

		_ = runCompiler(ctx, filepath.Join(b.options.Root, c.dir), b.goEnv(c), func() {}, "go", args...)
	}
}
