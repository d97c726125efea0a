package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/basalt-os/basalt/internal/build/debian"
	"github.com/basalt-os/basalt/internal/build/progress"
)

// toolchain is what compiles: the same sources give the same programs as long
// as it is the same.
type toolchain struct {
	goVersion string
	cc        string // the C compiler's program
	ccVersion string // its version, target and C library
	goCache   string // folder for Go's own cache, "" for the user's
}

// findToolchain asks the compilers who they are.
func findToolchain(ctx context.Context) (toolchain, error) {
	t := toolchain{cc: "gcc"}

	out, err := exec.CommandContext(ctx, "go", "env", "GOVERSION").Output()
	if err != nil {
		return toolchain{}, fmt.Errorf("asking Go for its version: %w", err)
	}

	t.goVersion = strings.TrimSpace(string(out))

	var answers []string

	for _, question := range []string{"-dumpfullversion", "-dumpmachine", "-print-file-name=libc.a"} {
		out, err := exec.CommandContext(ctx, t.cc, question).Output()
		if err != nil {
			return toolchain{}, &Problem{Component: "runc", What: "there is no C compiler (gcc) on this machine", Remedy: installCC, Err: err}
		}

		answers = append(answers, strings.TrimSpace(string(out)))
	}

	libc, err := fileSum(answers[2])
	if err != nil {
		return toolchain{}, &Problem{Component: "runc", What: "there is no static C library on this machine", Remedy: installCC, Err: err}
	}

	t.ccVersion = answers[0] + " " + answers[1] + " " + libc

	return t, nil
}

const installCC = "install gcc and the C library's headers; on Debian: apt-get install gcc libc6-dev"

// ensureToolchain is findToolchain, and installs what is missing where that is
// possible: on a Debian, as root.
func ensureToolchain(ctx context.Context, display *progress.Display) (toolchain, error) {
	t, err := findToolchain(ctx)

	var problem *Problem
	if !errors.As(err, &problem) || os.Geteuid() != 0 || debian.Check() != nil {
		return t, err
	}

	display.Printf("%s: installing gcc and libc6-dev with apt", problem.What)

	if err := (debian.Apt{}).Install(ctx, "gcc", "libc6-dev"); err != nil {
		return toolchain{}, explain(problem.Component, err)
	}

	return findToolchain(ctx)
}
