// Command build compiles everything that runs on a Basalt node and makes the
// root tree and the container images of it. See docs/build.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/basalt-os/basalt/internal/build"
	"github.com/basalt-os/basalt/internal/build/check"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	if err := run(ctx, os.Args[1:]); err != nil {
		if errors.Is(err, context.Canceled) {
			err = errors.New("interrupted; what is done is kept")
		}

		fmt.Fprintln(os.Stderr, "build:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("build", flag.ContinueOnError)
	kubernetes := flags.String("kubernetes", build.DefaultKubernetes,
		"versions of Kubernetes to build, separated by commas; bin/kubectl is of the first")
	verify := flags.Bool("verify", false, "build everything a second time in another folder and compare")
	output := flags.String("output", "", "folder for the results (default _out and, for the user's programs, bin)")
	image := flags.Bool("image", false, "also make what machines boot: _out/image, and _out/qemu to try it")
	kernels := flags.String("kernel", build.DefaultKernel, "kernels of the images, separated by commas: cloud, metal")
	lint := flags.Bool("lint", false, "check the sources instead of building")

	if err := flags.Parse(args); err != nil {
		return err
	}

	root, err := findRoot()
	if err != nil {
		return err
	}

	dir, err := build.CacheDir()
	if err != nil {
		return err
	}

	options := build.Options{Root: root, Cache: dir, Kubernetes: strings.Split(*kubernetes, ","), Progress: os.Stderr}

	if *image {
		options.Kernels = strings.Split(*kernels, ",")
	}

	if *output != "" {
		options.Output, options.Programs = *output, filepath.Join(*output, "bin")
	}

	if *lint {
		return checkSources(ctx, options)
	}

	run := build.Run
	if *verify {
		run = build.Verify
	}

	result, err := run(ctx, options)
	if err != nil {
		return err
	}

	return result.WriteTable(os.Stdout)
}

// checkSources compiles the tools and runs the checks.
func checkSources(ctx context.Context, options build.Options) error {
	tools, err := build.Tools(ctx, options)
	if err != nil {
		return err
	}

	programs, err := filepath.Glob(filepath.Join(options.Root, "_out", "root", "usr", "bin", "*"))
	if err != nil {
		return err
	}

	return check.Run(ctx, check.Options{
		Root: options.Root, Lint: tools["golangci-lint"], Vulnerable: tools["govulncheck"], Dead: tools["deadcode"],
		Programs: programs, Output: os.Stdout, Environment: []string{"CGO_ENABLED=0"},
	})
}

// findRoot is the repository that the current folder is in.
func findRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the repository: %w", err)
	}

	for ; dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "build", "kubernetes", "go.mod")); err == nil {
			return dir, nil
		}
	}

	return "", errors.New("finding the repository: the current folder is not in it")
}
