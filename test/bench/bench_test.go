package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseBenchmarks(t *testing.T) {
	const text = `goos: linux
goarch: amd64
pkg: github.com/basalt-os/basalt/internal/resource
cpu: A processor
BenchmarkUpdate-2              	   99069	      3247 ns/op	    1000 B/op	      10 allocs/op
pkg: github.com/basalt-os/basalt/internal/gateway
BenchmarkCall/one-node-2   	     710	    401743 ns/op	      2489 calls/s	       197.0 p50-µs
PASS
ok  	github.com/basalt-os/basalt/internal/gateway	2.804s
`

	want := []Figure{
		{"resource Update", "µs", 3.247},
		{"gateway Call/one-node", "µs", 401.743},
		{"gateway Call/one-node calls/s", "calls/s", 2489},
		{"gateway Call/one-node p50", "µs", 197},
	}
	if diff := cmp.Diff(want, parseBenchmarks(text)); diff != "" {
		t.Error(diff)
	}
}

func TestParseSteps(t *testing.T) {
	const text = `ok     check this machine                                              0.0s
ok     wait for etcd to be healthy                                     4.6s
failed wait for all k8s nodes to report                                1.0s
ok     wait for etcd members to be consistent with the control plane nodes    12.5s

Cluster "bench" is ready after 46.5s.
`

	want := []Figure{
		{"create: wait for etcd to be healthy", "s", 4.6},
		{"create: wait for etcd members to be consistent with the control plane nodes", "s", 12.5},
	}
	if diff := cmp.Diff(want, parseSteps(text)); diff != "" {
		t.Error(diff)
	}
}

func TestIdleFigures(t *testing.T) {
	at := time.Unix(1000, 0)
	before := usage{at: at, processor: 10 * time.Second, programs: map[string]program{
		"kubelet": {memory: 1, processor: 2 * time.Second},
		"ended":   {memory: 1, processor: time.Second},
	}}
	after := usage{at: at.Add(10 * time.Second), processor: 11 * time.Second, proportional: 3 * mebibyte, programs: map[string]program{
		"apid":    {memory: 1 * mebibyte},
		"kubelet": {memory: 4 * mebibyte, private: 2 * mebibyte, processor: 2500 * time.Millisecond},
	}}

	want := []Figure{
		{"idle worker: kubelet, resident", "MiB", 4},
		{"idle worker: kubelet, private", "MiB", 2},
		{"idle worker: kubelet, processor", "% core", 5},
		{"idle worker: apid, resident", "MiB", 1},
		{"idle worker: apid, private", "MiB", 0},
		{"idle worker: apid, processor", "% core", 0},
		{"idle worker: all, resident", "MiB", 5},
		{"idle worker: all, shared pages once", "MiB", 3},
		{"idle worker: all, processor", "% core", 10},
	}
	if diff := cmp.Diff(want, idleFigures("worker", before, after)); diff != "" {
		t.Error(diff)
	}
}

func TestReport(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bench", "latest.json")

	none, err := load(file)
	if err != nil || none != nil {
		t.Fatalf("%v, %v; want nothing", none, err)
	}

	former := &Report{Commit: "a1", Time: time.Unix(0, 0).UTC(), Figures: []Figure{{"one", "s", 2}, {"gone", "s", 2}}}

	for range 2 {
		if err := former.save(file); err != nil {
			t.Fatal(err)
		}
	}

	read, err := load(file)
	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(former, read); diff != "" {
		t.Error(diff)
	}

	var out strings.Builder

	report := &Report{Machine: Machine{Processors: 2}, Commit: "b2", Figures: []Figure{{"one", "s", 3}, {"two", "MiB", 0.1234}}}
	if err := report.write(&out, read); err != nil {
		t.Fatal(err)
	}

	for _, want := range []string{"compared with 1970-01-01 00:00:00 at a1", "another machine", "3.00", "+50 %", "0.123"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in:\n%s", want, out.String())
		}
	}

	if strings.Contains(out.String(), "gone") {
		t.Errorf("a figure of before appears:\n%s", out.String())
	}
}

func TestNumber(t *testing.T) {
	for value, want := range map[float64]string{0: "0", 0.0042: "0.004", 0.1234: "0.123", 3.2471: "3.25", 46.54: "46.5", 9319.4: "9319"} {
		if got := number(value); got != want {
			t.Errorf("%v: %s, want %s", value, got, want)
		}
	}
}

func TestProgramName(t *testing.T) {
	for argument, want := range map[string]string{
		"/sbin/init": "machined", "apid": "apid", "/usr/local/bin/kubelet": "kubelet",
		"/usr/bin/containerd-shim-runc-v2": "containerd's shims",
	} {
		if got := programName(argument); got != want {
			t.Errorf("%s: %s, want %s", argument, got, want)
		}
	}
}
