package resource_test

import (
	"net/netip"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/resource"
)

// everything has a field of every shape that specs have.
type everything struct {
	Text     string
	Bytes    []byte
	Numbers  [2]int
	Addr     netip.Addr
	Prefix   *netip.Prefix
	Time     *time.Time
	Names    []string
	Labels   map[string]string
	Deep     map[string][]inner
	Inner    *inner
	Any      any
	URL      *url.URL
	Nothing  *inner
	Duration time.Duration
}

type inner struct{ Values []int }

func full() everything {
	prefix := netip.MustParsePrefix("10.5.0.0/24")
	when := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)

	return everything{
		Text: "text", Bytes: []byte("bytes"), Numbers: [2]int{1, 2},
		Addr: netip.MustParseAddr("fe80::1%eth0"), Prefix: &prefix, Time: &when,
		Names: []string{"a", "b"}, Labels: map[string]string{"k": "v"},
		Deep:  map[string][]inner{"x": {{Values: []int{1}}}},
		Inner: &inner{Values: []int{2}}, Any: []any{"y", 1.5},
		URL: &url.URL{Scheme: "https", Host: "example.org"}, Duration: time.Second,
	}
}

// changes alters each shape in place.
func changes() map[string]func(*everything) {
	return map[string]func(*everything){
		"text":     func(e *everything) { e.Text = "other" },
		"bytes":    func(e *everything) { e.Bytes[0] = 'B' },
		"array":    func(e *everything) { e.Numbers[1] = 3 },
		"address":  func(e *everything) { e.Addr = e.Addr.WithZone("eth1") },
		"prefix":   func(e *everything) { *e.Prefix = netip.MustParsePrefix("10.6.0.0/24") },
		"time":     func(e *everything) { *e.Time = e.Time.Add(1) },
		"slice":    func(e *everything) { e.Names[1] = "c" },
		"longer":   func(e *everything) { e.Names = append(e.Names, "c") },
		"map":      func(e *everything) { e.Labels["k"] = "w" },
		"key":      func(e *everything) { delete(e.Labels, "k"); e.Labels["l"] = "v" },
		"deep":     func(e *everything) { e.Deep["x"][0].Values[0] = 2 },
		"pointer":  func(e *everything) { e.Inner.Values[0] = 3 },
		"any":      func(e *everything) { e.Any.([]any)[0] = "z" }, //nolint:forcetypeassert // made so above
		"any type": func(e *everything) { e.Any = "y" },
		"url":      func(e *everything) { e.URL.Host = "example.com" },
		"nil":      func(e *everything) { e.Nothing = &inner{} },
		"not nil":  func(e *everything) { e.Inner = nil },
		"duration": func(e *everything) { e.Duration++ },
	}
}

func TestDeepCopySharesNothing(t *testing.T) {
	for name, change := range changes() {
		original := full()
		change(new(resource.DeepCopy(original)))

		if diff := cmp.Diff(full(), original, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
			cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
			t.Errorf("%s: changing the copy changed the original: %s", name, diff)
		}
	}
}

func TestEqualSeesEveryChange(t *testing.T) {
	if !resource.Equal(full(), full()) || !resource.Equal(full(), resource.DeepCopy(full())) {
		t.Error("equal values differ")
	}

	for name, change := range changes() {
		changed := full()
		change(&changed)

		if resource.Equal(full(), changed) || resource.Equal(changed, full()) {
			t.Errorf("%s: the change is not seen", name)
		}
	}
}

func TestEqualByMeaning(t *testing.T) {
	utc := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	there := utc.In(time.FixedZone("there", 3600))

	if !resource.Equal(utc, there) {
		t.Error("one moment in two zones differs")
	}

	if !resource.Equal(inner{Values: []int{}}, inner{}) || !resource.Equal(map[string]int{}, nil) {
		t.Error("empty and nil differ")
	}
}
