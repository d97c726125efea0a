package host

import (
	"errors"
	"fmt"
	"os"
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

// A cluster is not taken for leftovers of another that has its name in another
// folder.
func TestOneClusterOfAName(t *testing.T) {
	cluster := fmt.Sprint("test-", os.Getpid())

	runs, err := lockName(cluster)
	if err != nil {
		t.Fatal(err)
	}

	if err := checkName(cluster); !errors.Is(err, ErrNameTaken) {
		t.Errorf("a second cluster gets %v", err)
	}

	// There is no provisioner to clean up with: nothing must be touched.
	if err := Destroy(t.Context(), provision.Folder(t.TempDir()), nil, cluster); !errors.Is(err, ErrNameTaken) {
		t.Errorf("destroying it from another folder: %v", err)
	}

	if err := runs.Close(); err != nil {
		t.Fatal(err)
	}

	if err := checkName(cluster); err != nil {
		t.Errorf("after it has ended: %v", err)
	}
}
