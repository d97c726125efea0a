package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/basalt-os/basalt/pkg/client"
	"github.com/basalt-os/basalt/pkg/provision"
)

// clusterName is the name of the cluster that is measured.
const clusterName = "bench"

// destroyTimeout bounds the removal of the cluster.
const destroyTimeout = time.Minute

// bed is a cluster to measure.
type bed struct {
	program string // basaltctl
	home    string // in the place of the user's home
	folder  provision.Folder
}

// clusterFigures creates a cluster, measures it and destroys it.
func clusterFigures(ctx context.Context, o options) (figures []Figure, err error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return nil, err
	}

	program, err := filepath.Abs(filepath.Join(o.root, "bin", "basaltctl"))
	if err != nil {
		return nil, err
	}

	b := &bed{program: program, home: filepath.Join(home, ".basalt", "bench")}
	b.folder = provision.Open(filepath.Join(b.home, ".basalt", "clusters"), clusterName)

	// What an interrupted run has left.
	if _, err := b.basaltctl(ctx, "destroy"); err != nil {
		return nil, err
	}

	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), destroyTimeout)
		defer cancel()

		if _, failed := b.basaltctl(ctx, "destroy"); failed != nil {
			err = errors.Join(err, failed)

			return
		}

		err = errors.Join(err, os.RemoveAll(b.home))
	}()

	begin := time.Now()

	output, err := b.basaltctl(ctx, "create", "--cidr", o.cidr)
	if err != nil {
		return nil, err
	}

	figures = append(parseSteps(output), Figure{Name: "create: all", Unit: "s", Value: time.Since(begin).Seconds()})

	for _, measure := range []func(context.Context, options) ([]Figure, error){b.idle, b.calls} {
		more, err := measure(ctx, o)
		if err != nil {
			return figures, err
		}

		figures = append(figures, more...)
	}

	return figures, nil
}

// basaltctl runs a command of "cluster" and returns what it printed.
func (b *bed) basaltctl(ctx context.Context, command string, args ...string) (string, error) {
	var output bytes.Buffer

	args = append([]string{"cluster", command, "--name", clusterName, "--state", filepath.Dir(string(b.folder))}, args...)

	cmd := exec.CommandContext(ctx, b.program, args...)
	cmd.Env = append(os.Environ(), "HOME="+b.home, "TALOSCONFIG=", "KUBECONFIG=")
	cmd.Stdout = io.MultiWriter(os.Stderr, &output)
	cmd.Stderr = cmd.Stdout
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it cleans up

	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("running basaltctl cluster %s: %w", command, err)
	}

	return output.String(), nil
}

// step is the line of a step that has ended well.
var step = regexp.MustCompile(`^ok\s+(\S.*?)\s+([0-9.]+)s$`)

// parseSteps reads the time of each step that took any from the output of
// "cluster create".
func parseSteps(output string) []Figure {
	var figures []Figure

	for line := range strings.Lines(output) {
		match := step.FindStringSubmatch(strings.TrimSpace(line))
		if match == nil {
			continue
		}

		seconds, err := strconv.ParseFloat(match[2], 64)
		if err == nil && seconds > 0 {
			figures = append(figures, Figure{Name: "create: " + match[1], Unit: "s", Value: seconds})
		}
	}

	return figures
}

// connect returns a client of the cluster, and the cluster's description.
func (b *bed) connect() (*client.Client, *provision.Spec, error) {
	spec, err := b.folder.Spec()
	if err != nil {
		return nil, nil, err
	}

	c, err := client.New(client.WithConfigFile(b.folder.Talosconfig()))

	return c, spec, err
}
