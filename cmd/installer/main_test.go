package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/blockdev"
	"github.com/basalt-os/basalt/internal/bootloader"
	"github.com/basalt-os/basalt/internal/install"
	"github.com/basalt-os/basalt/internal/metapart"
	"github.com/basalt-os/basalt/internal/payload"
)

// parse is what would be done with arguments.
func parse(t *testing.T, env map[string]string, args ...string) (request, error) {
	t.Helper()

	var got request

	cmd := command(io.Discard, func(name string) string { return env[name] }, func(_ context.Context, _ io.Writer, r request) error {
		got = r

		return nil
	})
	cmd.SetArgs(args)

	err := cmd.ExecuteContext(t.Context())

	return got, err
}

func TestArguments(t *testing.T) {
	var got request

	env := map[string]string{
		metaVariable:    base64.StdEncoding.EncodeToString([]byte("- {key: 0x0a, value: network}\n- {key: 12, value: old}\n")),
		runningVariable: "0.1.0", bootedVariable: "Basalt-0.1.0.efi",
	}

	cmd := command(io.Discard, func(name string) string { return env[name] }, func(_ context.Context, _ io.Writer, r request) error {
		got = r

		return nil
	})
	cmd.SetArgs([]string{
		"install", "--platform", "metal", "--disk=/dev/sda", "--upgrade", "--force", "--meta", "0x0c=new=1", "--meta", "13=x",
		"--extra-kernel-arg", "a=b", "--extra-kernel-arg=-c", "--board", "none", "--config=-",
	})

	if err := cmd.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}

	want := request{
		disk: "/dev/sda", platform: "metal", arch: runtime.GOARCH, upgrade: true, force: true, extraArgs: []string{"a=b", "-c"},
		meta:    map[metapart.Key][]byte{0x0a: []byte("network"), 0x0c: []byte("new=1"), 0x0d: []byte("x")},
		running: "0.1.0", booted: "Basalt-0.1.0.efi",
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(request{})); diff != "" {
		t.Error(diff)
	}
}

func TestBadArguments(t *testing.T) {
	for _, args := range []string{
		"install", "install --disk sda", "install --disk /dev/sda --upgrade --zero", "install --none", "install --disk /dev/sda more",
		"install --disk /dev/sda --meta x=y", "install --disk /dev/sda --meta 256=y", "install --disk /dev/sda --extra-kernel-arg a'b",
	} {
		if _, err := parse(t, nil, strings.Fields(args)...); exitCode(err) != 2 {
			t.Errorf("%q: %v", args, err)
		}
	}

	for _, env := range []string{"?", base64.StdEncoding.EncodeToString([]byte("key: 1"))} {
		if _, err := parse(t, map[string]string{metaVariable: env}, "install", "--disk", "/dev/sda"); exitCode(err) != 2 {
			t.Errorf("%s %q: %v", metaVariable, env, err)
		}
	}
}

func TestVersion(t *testing.T) {
	var out bytes.Buffer

	cmd := command(&out, func(string) string { return "" }, nil)
	cmd.SetArgs([]string{"version"})

	if err := cmd.Execute(); err != nil || !strings.HasPrefix(out.String(), "Basalt ") {
		t.Errorf("%q, %v", out.String(), err)
	}
}

func TestExitCode(t *testing.T) {
	for want, errs := range map[int][]error{
		0: {nil},
		1: {fs.ErrNotExist},
		2: {errUsage},
		3: {payload.ErrPayload},
		4: {install.ErrNotEmpty, install.ErrTooSmall, install.ErrDisk, blockdev.ErrLocked, blockdev.ErrInUse},
		5: {bootloader.ErrNoSpace},
		6: {bootloader.ErrOnTrial},
		7: {context.Canceled},
	} {
		for _, err := range errs {
			if err != nil {
				err = fmt.Errorf("doing: %w", errors.Join(err, io.EOF))
			}

			if got := exitCode(err); got != want {
				t.Errorf("%v: code %d, want %d", err, got, want)
			}
		}
	}
}
