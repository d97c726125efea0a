package host

import (
	"errors"
	"testing"

	"github.com/basalt-os/basalt/pkg/provision"
)

func TestLinkNamesFitAndDiffer(t *testing.T) {
	const limit = 15 // bytes of a link name

	seen := map[string]string{}

	for _, node := range []string{"basalt-worker-1", "basalt-worker-2", "basalt-worker-11", "a-very-long-name-of-a-cluster-worker-1"} {
		name := LinkName(node)
		if len(name) > limit {
			t.Errorf("link %q of %s is too long", name, node)
		}

		if other, ok := seen[name]; ok {
			t.Errorf("%s and %s share link %s", node, other, name)
		}

		seen[name] = node
	}
}

func TestOneHostAtATime(t *testing.T) {
	folder := provision.Folder(t.TempDir())

	first, err := lockHost(folder)
	if err != nil {
		t.Fatal(err)
	}

	if _, err := lockHost(folder); !errors.Is(err, errHostRuns) {
		t.Errorf("a second host process gets %v", err)
	}

	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	second, err := lockHost(folder)
	if err != nil {
		t.Fatalf("after the first has ended: %v", err)
	}

	if err := second.Close(); err != nil {
		t.Fatal(err)
	}

	if lock, err := lockHost(provision.Folder(t.TempDir() + "/missing")); lock != nil || err != nil {
		t.Errorf("without a folder: %v, %v", lock, err)
	}
}
