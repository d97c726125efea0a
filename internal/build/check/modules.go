package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/modfile"

	"github.com/basalt-os/basalt/internal/build/source"
)

// refused are modules that nothing in this project depends on, and why.
func refused() map[string]string {
	return map[string]string{
		"github.com/siderolabs/":     "this part of the system is what this project writes",
		"github.com/talos-systems/":  "this part of the system is what this project writes",
		"github.com/cosi-project/":   "this part of the system is what this project writes",
		"github.com/docker/docker":   "no container engine is needed",
		"github.com/containers/buil": "no container engine is needed",
	}
}

// modFiles are all go.mod files, with those of other versions.
func modFiles(root string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(root, "build", "*", "*.mod"))

	return append([]string{filepath.Join(root, "go.mod")}, files...), err
}

// allowedModules looks for modules that are refused in what our own modules
// require directly.
func allowedModules(_ context.Context, o Options) (string, error) {
	files, err := modFiles(o.Root)
	if err != nil {
		return "", err
	}

	var reports strings.Builder

	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			return "", err
		}

		file, err := modfile.Parse(name, data, nil)
		if err != nil {
			return "", err
		}

		for _, require := range file.Require {
			for prefix, reason := range refused() {
				if !require.Indirect && strings.HasPrefix(require.Mod.Path, prefix) {
					fmt.Fprintf(&reports, "%s requires %s: %s\n", name, require.Mod.Path, reason)
				}
			}
		}
	}

	if reports.Len() > 0 {
		return reports.String(), ErrFound
	}

	return "", nil
}

// tidyModules checks that every go.mod and go.sum says what the sources need.
func tidyModules(ctx context.Context, o Options) (string, error) {
	files, err := modFiles(o.Root)
	if err != nil {
		return "", err
	}

	var reports strings.Builder

	for _, name := range files {
		args := []string{"mod", "tidy", "-diff"}
		if filepath.Base(name) != "go.mod" {
			args = append(args, "-modfile="+filepath.Base(name))
		}

		report, err := command(ctx, filepath.Dir(name), nil, "go", args...)
		if errors.Is(err, ErrFound) {
			fmt.Fprintf(&reports, "%s is not tidy:\n%s", name, withoutDownloads(report))
		} else if err != nil {
			return "", err
		}
	}

	if reports.Len() > 0 {
		return reports.String(), ErrFound
	}

	return "", nil
}

// withoutDownloads leaves out the go command's messages about what it fetches.
func withoutDownloads(report string) string {
	var kept strings.Builder

	for line := range strings.Lines(report) {
		if !strings.HasPrefix(line, "go: downloading ") {
			kept.WriteString(line)
		}
	}

	return kept.String()
}

// generatedCode generates all code again, in a copy of the sources, and
// compares.
func generatedCode(ctx context.Context, o Options) (report string, err error) {
	work, err := os.MkdirTemp("", "basalt-generate-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)

	if err := source.Copy(o.Root, work); err != nil {
		return "", err
	}

	if report, err := command(ctx, work, nil, "go", "generate", "./..."); err != nil {
		return report, err
	}

	return compareSources(o.Root, work)
}

// compareSources reports the files that generating has changed or added.
func compareSources(before, after string) (string, error) {
	var reports strings.Builder

	err := source.Walk(after, func(relative string) error {
		fresh, err := os.ReadFile(filepath.Join(after, relative))
		if err != nil {
			return err
		}

		old, err := os.ReadFile(filepath.Join(before, relative))
		if errors.Is(err, fs.ErrNotExist) || err == nil && string(old) != string(fresh) {
			fmt.Fprintf(&reports, "%s is stale: run go generate ./...\n", relative)

			return nil
		}

		return err
	})
	if err != nil {
		return "", err
	}

	if reports.Len() > 0 {
		return reports.String(), ErrFound
	}

	return "", nil
}
