// Command bench measures Basalt: the store and the engine, API calls direct and
// proxied, the time from "cluster create" to a healthy cluster step by step, what
// an idle node takes of memory and processor, the sizes of what is built, and how
// a virtual machine boots and upgrades.
//
// It prints a table, writes it to _out/bench/latest.json, and compares with the
// measurements that it finds there. Figures of different machines, or of one
// that has other things to do, do not compare.
//
// The cluster needs root and a finished build; it has a name, an address range
// and a home folder of its own and is destroyed at the end.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	root      string        // of the repository
	output    string        // file for the figures
	benchtime time.Duration // of each Go benchmark
	cluster   bool
	machines  bool
	cidr      string
	settle    time.Duration // from healthy to idle
	idle      time.Duration // over which an idle node is measured
}

func main() {
	var o options

	flag.StringVar(&o.root, "root", ".", "the repository")
	flag.StringVar(&o.output, "output", "", "file for the figures (default _out/bench/latest.json)")
	flag.DurationVar(&o.benchtime, "benchtime", time.Second, "how long each Go benchmark runs; 0 leaves them out")
	flag.BoolVar(&o.cluster, "cluster", true, "measure a cluster")
	flag.BoolVar(&o.machines, "machines", true, "measure a virtual machine, and the images that it boots")
	flag.StringVar(&o.cidr, "cidr", "10.73.0.0/24", "address range of the cluster")
	flag.DurationVar(&o.settle, "settle", 30*time.Second, "how long a new cluster is left alone before it counts as idle")
	flag.DurationVar(&o.idle, "idle", 30*time.Second, "how long the idle cluster is watched")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	if o.output == "" {
		o.output = filepath.Join(o.root, "_out", "bench", "latest.json")
	}

	if (o.cluster || o.machines) && os.Geteuid() != 0 {
		return errors.New("clusters need root: run this as root, or leave them out with -cluster=false -machines=false")
	}

	former, err := load(o.output)
	if err != nil {
		return err
	}

	machine, err := describeMachine()
	if err != nil {
		return err
	}

	report := &Report{Machine: machine, Commit: commit(ctx, o.root), Time: time.Now().UTC().Truncate(time.Second)}

	failed := report.measure(ctx, o)

	if err := report.write(os.Stdout, former); err != nil {
		return err
	}

	// What is not whole does not compare.
	if failed != nil {
		return failed
	}

	return report.save(o.output)
}

// measure adds the figures of all parts that are wanted. After an error it has
// those that were measured before.
func (r *Report) measure(ctx context.Context, o options) error {
	for _, part := range []struct {
		name    string
		wanted  bool
		measure func(context.Context, options) ([]Figure, error)
	}{
		{"sizes", o.cluster, sizes},
		{"store, engine and gateway", o.benchtime > 0, goBenchmarks},
		{"a cluster", o.cluster, clusterFigures},
		{"images of machines", o.machines, imageFigures},
		{"a virtual machine", o.machines, machineFigures},
	} {
		if !part.wanted {
			continue
		}

		fmt.Fprintf(os.Stderr, "measuring %s\n", part.name)

		figures, err := part.measure(ctx, o)
		r.Figures = append(r.Figures, figures...)

		if err != nil {
			return fmt.Errorf("measuring %s: %w", part.name, err)
		}
	}

	return nil
}
