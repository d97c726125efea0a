package cache

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func open(t *testing.T) *Cache {
	t.Helper()

	c, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}

	return c
}

func write(dir, data string) error {
	return os.WriteFile(filepath.Join(dir, "result"), []byte(data), 0o755)
}

func TestGet(t *testing.T) {
	c, key, built := open(t), Key("a"), 0
	build := func(_ context.Context, dir string) error {
		built++

		return write(dir, "x")
	}

	for range 2 {
		dir, err := c.Get(t.Context(), "step", key, build)
		if err != nil {
			t.Fatal(err)
		}

		info, err := os.Stat(filepath.Join(dir, "result"))
		if err != nil {
			t.Fatal(err)
		}

		if info.Mode().Perm() != 0o555 {
			t.Errorf("the result can be written: %s", info.Mode())
		}
	}

	if built != 1 {
		t.Errorf("built %d times", built)
	}
}

func TestFailureLeavesNothing(t *testing.T) {
	c, key := open(t), Key("a")
	broken := errors.New("broken")

	ctx, cancel := context.WithCancel(t.Context())

	for name, end := range map[string]func() error{
		"error":     func() error { return broken },
		"interrupt": func() error { cancel(); return ctx.Err() },
	} {
		_, err := c.Get(ctx, "step", key, func(_ context.Context, dir string) error {
			if err := write(dir, "half"); err != nil {
				return err
			}

			return end()
		})
		if err == nil {
			t.Errorf("%s: no error", name)
		}

		if dir, ok := c.Lookup("step", key); ok {
			t.Errorf("%s: %s is there", name, dir)
		}
	}
}

func TestKilledBuildIsNotTrusted(t *testing.T) {
	c, key := open(t), Key("a")

	// What a process leaves that was killed while it was building.
	partial := c.result("step", key) + ".partial"
	if err := os.Mkdir(partial, 0o755); err != nil {
		t.Fatal(err)
	}

	if err := write(partial, "half"); err != nil {
		t.Fatal(err)
	}

	dir, err := c.Get(t.Context(), "step", key, func(_ context.Context, dir string) error {
		if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
			t.Errorf("the folder is not empty: %v, %v", entries, err)
		}

		return write(dir, "whole")
	})
	if err != nil {
		t.Fatal(err)
	}

	if data, err := os.ReadFile(filepath.Join(dir, "result")); err != nil || string(data) != "whole" {
		t.Errorf("result %q, %v", data, err)
	}
}

func TestTwoBuildsAtOnce(t *testing.T) {
	dir := t.TempDir()

	var (
		wg    sync.WaitGroup
		built atomic.Int32
	)

	for range 8 {
		wg.Go(func() {
			// A cache of its own, as another process has.
			c, err := Open(dir)
			if err != nil {
				t.Error(err)

				return
			}

			_, err = c.Get(t.Context(), "step", Key("a"), func(_ context.Context, dir string) error {
				built.Add(1)

				return write(dir, "x")
			})
			if err != nil {
				t.Error(err)
			}
		})
	}

	wg.Wait()

	if n := built.Load(); n != 1 {
		t.Errorf("built %d times", n)
	}
}

func TestLockWaitsForContext(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")

	unlock, err := Lock(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()

	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	if _, err := Lock(ctx, name); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
}

func TestKeyKeepsInputsApart(t *testing.T) {
	if Key("ab", "c") == Key("a", "bc") || Key("a") == Key("a", "") {
		t.Error("different inputs have the same key")
	}
}

func TestPrune(t *testing.T) {
	c := open(t)
	ages := map[string]time.Duration{
		"a1": 0, "a2": time.Minute, "a3": 2 * time.Minute, "a4": 3 * time.Minute, "a5": 4 * time.Minute, "a6": 2 * time.Hour,
		"b1": 2 * time.Hour, "b2": 2 * unusedFor,
	}

	for name, age := range ages {
		dir, err := c.Get(t.Context(), name[:1], Key(name), func(_ context.Context, dir string) error { return write(dir, "x") })
		if err != nil {
			t.Fatal(err)
		}

		used := time.Now().Add(-age)
		if err := os.Chtimes(dir, used, used); err != nil {
			t.Fatal(err)
		}
	}

	if err := c.Prune(); err != nil {
		t.Fatal(err)
	}

	// a6 has enough newer ones, b2 is too old; a5 may be in use.
	for name := range ages {
		_, got := c.Lookup(name[:1], Key(name))
		if want := name != "a6" && name != "b2"; got != want {
			t.Errorf("%s is there: %t, want %t", name, got, want)
		}
	}
}

// What an archive says about the age of a folder says nothing about when it was
// asked for.
func TestPruneKeepsWhatAnArchiveMade(t *testing.T) {
	c := open(t)

	_, err := c.Get(t.Context(), "package", Key("1"), func(_ context.Context, dir string) error {
		old := time.Now().Add(-2 * unusedFor)

		return errors.Join(write(dir, "x"), os.Chtimes(dir, old, old))
	})
	if err != nil {
		t.Fatal(err)
	}

	if err := c.Prune(); err != nil {
		t.Fatal(err)
	}

	if _, ok := c.Lookup("package", Key("1")); !ok {
		t.Error("a result that was made just now is gone")
	}
}
