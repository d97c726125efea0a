package build

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/basalt-os/basalt/internal/build/debian"
)

func TestExplain(t *testing.T) {
	said := func(output string) error {
		return &compilerError{program: "go", output: output, err: errors.New("exit status 1")}
	}

	tests := map[string]struct {
		err    error
		what   string
		remedy string
	}{
		"full disk":          {fmt.Errorf("writing: %w", syscall.ENOSPC), "the disk is full", "free about"},
		"full disk, linker":  {said("link: write /tmp/x: no space left on device"), "the disk is full", "GOCACHE"},
		"no network":         {said("dial tcp: lookup proxy.example: no such host"), "the network does not answer", "GOPROXY"},
		"unknown module":     {said("example.com/m@v1.2.3: reading x: 404 Not Found"), "a module does not resolve", "go.sum"},
		"absent module":      {said("example.com/m@v1.2.3: reading file:///x/v1.2.3.zip: no such file or directory"), "a module does not resolve", "go.sum"},
		"wrong checksum":     {said("verifying example.com/m@v1: checksum mismatch"), "a module does not resolve", "go.sum"},
		"no memory":          {said("link: signal: killed"), "ran out of memory", "4 GB"},
		"no memory, malloc":  {said("fatal error: cannot allocate memory"), "ran out of memory", "swap"},
		"no compiler":        {said(`cgo: C compiler "gcc" not found: exec: "gcc": executable file not found in $PATH`), "no C compiler", "apt-get install gcc"},
		"other distribution": {debian.ErrNoApt, "apt-get, apt-cache and dpkg-deb", "Debian"},
	}

	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := explain("etcd", test.err)

			var problem *Problem
			if !errors.As(err, &problem) || !errors.Is(err, test.err) {
				t.Fatalf("error %v", err)
			}

			text := err.Error()
			for _, want := range []string{"building etcd: ", test.what, test.remedy} {
				if !strings.Contains(text, want) {
					t.Errorf("%q does not say %q", text, want)
				}
			}

			if strings.Contains(text, "\n") {
				t.Errorf("%q is more than one sentence", text)
			}
		})
	}
}

func TestExplainKeepsTheRest(t *testing.T) {
	if err := explain("etcd", nil); err != nil {
		t.Errorf("no error became %v", err)
	}

	if err := explain("etcd", context.Canceled); !errors.Is(err, context.Canceled) {
		t.Errorf("an interrupt became %v", err)
	}

	err := explain("etcd", errors.New("undefined: x"))

	var problem *Problem
	if errors.As(err, &problem) || err.Error() != "building etcd: undefined: x" {
		t.Errorf("an ordinary error became %v", err)
	}

	first := explain("etcd", syscall.ENOSPC)
	if second := explain("the outputs", first); !errors.Is(second, first) || !strings.Contains(second.Error(), "etcd") {
		t.Errorf("the component is lost: %v", second)
	}
}

func TestKilledCompiler(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}

	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}

	if err := cmd.Wait(); !killed(err) {
		t.Errorf("%v is not seen as killed", err)
	}

	if killed(exec.CommandContext(t.Context(), "false").Run()) {
		t.Error("a failing program is seen as killed")
	}
}
