package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/basalt-os/basalt/pkg/imager"
)

const profile = "arch: amd64\nplatform: metal\noutput: {kind: cmdline}\n"

func TestRun(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "profile.yaml")

	if err := os.WriteFile(file, []byte(profile), 0o644); err != nil {
		t.Fatal(err)
	}

	for _, source := range []string{"-", file} {
		var out bytes.Buffer
		if err := run([]string{"-output", dir, source}, strings.NewReader(profile), &out); err != nil {
			t.Fatal(err)
		}

		name := filepath.Join(dir, "cmdline-metal-amd64")

		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}

		if want := fmt.Sprintf("%x  %s\n%d bytes\n", sha256.Sum256(data), name, len(data)); out.String() != want {
			t.Errorf("%s: printed %q, want %q", source, out.String(), want)
		}
	}
}

func TestRefused(t *testing.T) {
	if err := run([]string{"-"}, strings.NewReader("arch: x\n"), &bytes.Buffer{}); !errors.Is(err, imager.ErrProfile) {
		t.Errorf("a bad profile: %v", err)
	}

	if err := run([]string{filepath.Join(t.TempDir(), "none")}, nil, &bytes.Buffer{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no profile: %v", err)
	}

	if err := run(nil, nil, &bytes.Buffer{}); err == nil {
		t.Error("no argument was accepted")
	}
}
