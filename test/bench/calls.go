package main

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/basalt-os/basalt/pkg/client"
	"github.com/basalt-os/basalt/pkg/provision"
)

const (
	callCount = 500 // calls per measurement
	callers   = 16  // at once
)

// calls measures unary calls to a running node: answered by the node that was
// connected to, passed on to another, and merged from both.
func (b *bed) calls(ctx context.Context, _ options) ([]Figure, error) {
	c, spec, err := b.connect()
	if err != nil {
		return nil, err
	}
	defer c.Close() //nolint:errcheck // nothing is lost

	direct := spec.ByRole(provision.ControlPlane)[0].Address.String()
	other := spec.ByRole(provision.Worker)[0].Address.String()

	var figures []Figure

	for _, way := range []struct {
		name string
		ctx  context.Context
	}{
		{"direct", client.WithNode(ctx, direct)},
		{"proxied", client.WithNode(ctx, other)},
		{"merged", client.WithNodes(ctx, direct, other)},
	} {
		for _, count := range []int{1, callers} {
			measured, err := callFigures(way.ctx, c, way.name, count)
			if err != nil {
				return nil, err
			}

			figures = append(figures, measured...)
		}
	}

	return figures, nil
}

// callFigures measures calls of some callers at once.
func callFigures(ctx context.Context, c *client.Client, way string, callers int) ([]Figure, error) {
	latencies := make([]time.Duration, callCount)
	next := make(chan int)

	group, ctx := errgroup.WithContext(ctx)

	for range callers {
		group.Go(func() error {
			for i := range next {
				begin := time.Now()

				if _, err := client.Check(c.Machine.Version(ctx, &emptypb.Empty{})); err != nil {
					return err
				}

				latencies[i] = time.Since(begin)
			}

			return nil
		})
	}

	begin := time.Now()

	group.Go(func() error {
		defer close(next)

		for i := range callCount {
			select {
			case next <- i:
			case <-ctx.Done():
				return ctx.Err()
			}
		}

		return nil
	})

	if err := group.Wait(); err != nil {
		return nil, err
	}

	rate := callCount / time.Since(begin).Seconds()

	name := "calls, " + way
	if callers > 1 {
		return []Figure{{Name: name + ", 16 callers", Unit: "calls/s", Value: rate}}, nil
	}

	slices.Sort(latencies)

	return []Figure{
		{Name: name + ", 1 caller", Unit: "calls/s", Value: rate},
		{Name: name + ", median", Unit: "ms", Value: milliseconds(latencies[callCount/2])},
		{Name: name + ", 99th percentile", Unit: "ms", Value: milliseconds(latencies[callCount*99/100])},
	}, nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
