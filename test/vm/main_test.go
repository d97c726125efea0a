package vm_test

import (
	"flag"
	"testing"

	"github.com/basalt-os/basalt/test/vm"
)

var (
	full = flag.Bool("full", false, "tell all stories, not the short set alone")
	seed = flag.Uint64("seed", 0, "where random choices come from (default: the clock)")
)

// start is vm.Start with the seed of the command line.
func start(t *testing.T, o vm.Options) *vm.Cluster {
	t.Helper()

	o.Seed = *seed

	return vm.Start(t, o)
}

// requireFull skips stories that are not in the short set.
func requireFull(t *testing.T) {
	t.Helper()

	if !*full {
		t.Skip("not in the short set: run \"make test-full\"")
	}
}
