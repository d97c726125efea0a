package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/basalt-os/basalt/internal/version"
	"github.com/basalt-os/basalt/pkg/imager"
)

// machineFigures boots a virtual machine and measures it: test/vm does it.
func machineFigures(ctx context.Context, o options) ([]Figure, error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)

	file := filepath.Join(dir, "figures.json")

	cmd := exec.CommandContext(ctx, "go", "test", "-count=1", "-timeout=2h", "-v", "./test/vm", "-run=^TestFigures$", "-figures="+file)
	cmd.Dir, cmd.Stdout, cmd.Stderr = o.root, os.Stderr, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }

	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("running go test: %w", err)
	}

	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("the machine was not measured: %w", err)
	}

	var figures []Figure

	return figures, json.Unmarshal(text, &figures)
}

// imageFigures are the sizes of what machines boot, and how long it takes to put
// it together: from the parts, and when there is nothing to do.
func imageFigures(ctx context.Context, o options) ([]Figure, error) {
	base := "metal-" + runtime.GOARCH

	figures, err := filesFigures(o, []part{
		{"size of unified kernel image", "_out/image/" + base + "-uki.efi"},
		{"size of ISO", "_out/image/" + base + ".iso"},
		{"size of qcow2 image", "_out/image/" + base + ".qcow2"},
	})
	if err != nil {
		return nil, err
	}

	written, err := writtenTo(filepath.Join(o.root, "_out", "image", base+".raw"))
	if err != nil {
		return nil, err
	}

	figures = append(figures, Figure{Name: "size of an installed disk, before its first boot", Unit: "MiB", Value: float64(written) / mebibyte})

	for _, kind := range []imager.Output{
		{Kind: imager.KindUKI}, {Kind: imager.KindISO}, {Kind: imager.KindImage},
	} {
		seconds, err := assemble(o, kind)
		if err != nil {
			return nil, err
		}

		figures = append(figures, Figure{Name: "making of " + string(kind.Kind) + ", from its parts", Unit: "s", Value: seconds})
	}

	begin := time.Now()
	cmd := exec.CommandContext(ctx, "make", "image")
	cmd.Dir, cmd.Stderr = o.root, os.Stderr

	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("building again: %w", err)
	}

	return append(figures, Figure{Name: "making of everything, with nothing to do", Unit: "s", Value: time.Since(begin).Seconds()}), nil
}

// assemble makes an image of what was built, in a folder of its own.
func assemble(o options, output imager.Output) (seconds float64, err error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)

	image := func(name string) imager.File {
		return imager.File{Path: filepath.Join(o.root, "_out", "image", name)}
	}
	arch := runtime.GOARCH
	profile := imager.Profile{
		Arch: arch, Platform: "metal", Version: version.Version, Output: output,
		Input: imager.Input{
			Kernel: image("vmlinuz-" + arch), Initramfs: image("initramfs-" + arch),
			SDStub: image("systemd-stub-" + arch + ".efi"), SDBoot: image("systemd-boot-" + arch + ".efi"),
		},
	}

	begin := time.Now()
	_, err = imager.Build(profile, dir)

	return time.Since(begin).Seconds(), err
}
