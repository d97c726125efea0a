package resource_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/basalt-os/basalt/internal/resource"
)

const (
	manyResources = 100_000
	manyWatchers  = 1_000
)

// filled returns a store of many resources, a tenth of which is labelled.
func filled(b *testing.B) *resource.Store {
	b.Helper()

	s := resource.NewStore()

	for i := range manyResources {
		object := resource.New(fmt.Sprintf("%06d", i), note{Text: "text", Tags: []string{"x", "y"}})
		if i%10 == 0 {
			object.Meta.SetLabel("tenth", "true")
		}

		if err := s.Create(b.Context(), object, ""); err != nil {
			b.Fatal(err)
		}
	}

	return s
}

func BenchmarkGet(b *testing.B) {
	s := filled(b)
	p := pointer("050000")

	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Get(b.Context(), p); err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkCreateDestroy(b *testing.B) {
	s := filled(b)
	b.ReportAllocs()

	for b.Loop() {
		if err := s.Create(b.Context(), resource.New("new", note{}), ""); err != nil {
			b.Fatal(err)
		}

		if err := s.Destroy(b.Context(), pointer("new"), ""); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUpdate(b *testing.B) {
	s := filled(b)
	b.ReportAllocs()

	for b.Loop() {
		update(b, s, "050000")
	}
}

func update(b *testing.B, s *resource.Store, id string) {
	stored, err := resource.Get[note](b.Context(), s, id)
	if err != nil {
		b.Fatal(err)
	}

	if err := s.Update(b.Context(), stored.Copy(), ""); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkList(b *testing.B) {
	s := filled(b)
	tenth := resource.WithLabels(resource.LabelQuery{{Key: "tenth", Op: resource.LabelExists}})

	for name, options := range map[string][]resource.ListOption{"all": nil, "tenth": {tenth}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()

			for b.Loop() {
				if _, err := resource.List[note](b.Context(), s, options...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkWatchers measures an update until all of many watchers, of the kind
// or of the one resource, have seen it.
func BenchmarkWatchers(b *testing.B) {
	for name, id := range map[string]string{"kind": "", "one": "050000"} {
		b.Run(name, func(b *testing.B) {
			s := filled(b)
			ctx, cancel := context.WithCancel(b.Context())

			var seen, watching sync.WaitGroup

			for range manyWatchers {
				w, err := s.Watch(ctx, resource.WatchRequest{Kind: resource.KindOf[note](), ID: id})
				if err != nil {
					b.Fatal(err)
				}

				watching.Go(func() {
					for {
						if _, err := w.Next(ctx); err != nil {
							return
						}

						seen.Done()
					}
				})
			}

			b.ReportAllocs()

			for b.Loop() {
				seen.Add(manyWatchers)
				update(b, s, "050000")
				seen.Wait()
			}

			b.ReportMetric(float64(b.N*manyWatchers)/b.Elapsed().Seconds(), "events/s")
			cancel()
			watching.Wait()
		})
	}
}

// BenchmarkBootstrap measures the beginning of a watch over many resources.
func BenchmarkBootstrap(b *testing.B) {
	s := filled(b)
	b.ReportAllocs()

	for b.Loop() {
		w, err := s.Watch(b.Context(), resource.WatchRequest{Kind: resource.KindOf[note](), Bootstrap: true})
		if err != nil {
			b.Fatal(err)
		}

		for event, ok, err := w.Poll(); ok && err == nil; event, ok, err = w.Poll() {
			if event.Type == resource.Bootstrapped {
				break
			}
		}
	}
}
