// Package check holds the checks that a change has to pass besides its tests:
// lint, formatting, tidy modules, fresh generated code, allowed dependencies and
// known vulnerabilities.
package check

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Options are what the checks work with.
type Options struct {
	Root        string    // the repository
	Lint        string    // the golangci-lint program
	Vulnerable  string    // the govulncheck program
	Dead        string    // the deadcode program
	Programs    []string  // compiled programs, looked at for known vulnerabilities
	Output      io.Writer // for reports
	Environment []string  // of the go command in nested modules; makes use of what the build has compiled
}

// ErrFound says that a check has found something; what, is in the output.
var ErrFound = errors.New("checks have failed")

// step is one check. It returns a report, and ErrFound when the report is a
// reason to fail.
type step struct {
	name string
	run  func(ctx context.Context, o Options) (report string, err error)
}

// steps are all checks, quick ones first.
func steps() []step {
	return []step{
		{"allowed modules", allowedModules},
		{"tidy modules", tidyModules},
		{"nested modules", vetNested},
		{"generated code", generatedCode},
		{"golangci-lint", lint},
		{"dead code", deadCode},
		{"vulnerabilities", vulnerabilities},
	}
}

// Run does all checks and reports each. It goes on after one has failed.
func Run(ctx context.Context, o Options) error {
	var failed []string

	for _, s := range steps() {
		start := time.Now()
		report, err := s.run(ctx, o)
		took := time.Since(start).Round(100 * time.Millisecond)

		switch {
		case err == nil:
			fmt.Fprintf(o.Output, "%s: good (%s)\n", s.name, took)
		case errors.Is(err, ErrFound):
			fmt.Fprintf(o.Output, "%s: failed (%s)\n", s.name, took)

			failed = append(failed, s.name)
		default:
			return fmt.Errorf("checking %s: %w", s.name, err)
		}

		if report = strings.TrimSpace(report); report != "" {
			fmt.Fprintf(o.Output, "    %s\n", strings.ReplaceAll(report, "\n", "\n    "))
		}
	}

	if len(failed) > 0 {
		return fmt.Errorf("%w: %s", ErrFound, strings.Join(failed, ", "))
	}

	return nil
}

// command runs a program; a program that ends with an error has found
// something, and what it printed is the report.
func command(ctx context.Context, dir string, env []string, name string, args ...string) (string, error) {
	var output bytes.Buffer

	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = &output, &output

	err := cmd.Run()

	var exit *exec.ExitError

	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case errors.As(err, &exit):
		return output.String(), ErrFound
	case err != nil:
		return "", fmt.Errorf("starting %s: %w", name, err)
	default:
		return output.String(), nil
	}
}

func lint(ctx context.Context, o Options) (string, error) {
	report, err := command(ctx, o.Root, nil, o.Lint, "run", "./...")
	if err == nil {
		report = "" // it says that there is nothing to say
	}

	return report, err
}

// nestedModules are the folders of the modules under build/.
func nestedModules(root string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(root, "build", "*", "go.mod"))
	if err != nil {
		return nil, err
	}

	for i := range files {
		files[i] = filepath.Dir(files[i])
	}

	return files, nil
}

// vetNested checks and tests the small programs of ours in the nested modules,
// which neither the linter nor the tests of the main module see.
func vetNested(ctx context.Context, o Options) (string, error) {
	var reports strings.Builder

	dirs, err := nestedModules(o.Root)
	if err != nil {
		return "", err
	}

	for _, dir := range dirs {
		sources, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			return "", err
		}

		if len(sources) == 0 {
			continue
		}

		commands := [][]string{append([]string{"gofmt", "-d"}, sources...)}

		// Vet looks at all dependencies too; for Kubernetes that takes minutes,
		// and our own part of that module is one table.
		if filepath.Base(dir) != "kubernetes" {
			commands = append(commands, []string{"go", "vet", "-trimpath", "."}, []string{"go", "test", "-trimpath", "-vet=off", "."})
		}

		for _, args := range commands {
			report, err := command(ctx, dir, o.Environment, args[0], args[1:]...)
			if err != nil && !errors.Is(err, ErrFound) {
				return "", err
			}

			if err != nil || args[0] == "gofmt" {
				reports.WriteString(report)
			}
		}
	}

	if reports.Len() > 0 {
		return reports.String(), ErrFound
	}

	return "", nil
}
