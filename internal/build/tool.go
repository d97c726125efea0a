package build

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/basalt-os/basalt/internal/build/cache"
)

const toolRecipe = "1"

// tool is a program of a Debian package with its libraries and its loader, so
// that it runs on any machine of the architecture.
type tool struct {
	dir     string
	program string // path in dir
	version string // of the package, for cache keys
}

// tool takes a program out of a package of the machine suite and of those that
// the package depends on.
func (b *builder) tool(ctx context.Context, name, program string) (tool, error) {
	packages, err := b.machine.closure(ctx, name)
	if err != nil {
		return tool{}, err
	}

	key := []string{"tool", toolRecipe, program}
	for _, p := range packages {
		key = append(key, b.machine.packages[p].SHA256)
	}

	dir, err := b.cache.Get(ctx, "tool-"+name, cache.Key(key...), func(ctx context.Context, dir string) error {
		pool, err := b.pool(ctx, b.machine, packages)
		if err != nil {
			return err
		}

		t, err := pool.Programs(program)
		if err != nil {
			return err
		}

		return t.WriteFolder(filepath.Join(dir, "root"))
	})
	if err != nil {
		return tool{}, fmt.Errorf("taking %s out of its package: %w", filepath.Base(program), err)
	}

	return tool{filepath.Join(dir, "root"), program, b.machine.packages[name].SHA256}, nil
}

// command starts the program under its own loader.
func (t tool) command(ctx context.Context, args ...string) *exec.Cmd {
	loader := filepath.Join(t.dir, "usr", "lib64", "ld-linux-x86-64.so.2")
	libraries, _ := filepath.Glob(filepath.Join(t.dir, "usr", "lib", "*-linux-gnu")) // the pattern is good

	all := append([]string{"--library-path", strings.Join(libraries, ":"), filepath.Join(t.dir, t.program)}, args...)

	cmd := exec.CommandContext(ctx, loader, all...)
	cmd.Env = []string{"LC_ALL=C", "PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir()}

	return cmd
}

// run starts the program and waits; its complaints are in the error.
func (t tool) run(ctx context.Context, args ...string) error {
	return runTool(ctx, t.command(ctx, args...))
}

func runTool(ctx context.Context, cmd *exec.Cmd) error {
	var stderr bytes.Buffer

	cmd.Stderr = &stderr

	err := cmd.Run()

	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr.String()))
	}
}
