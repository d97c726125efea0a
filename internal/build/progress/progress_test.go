package progress

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestLinesWithoutTerminal(t *testing.T) {
	var out bytes.Buffer

	d := New(&out)

	step := d.Start("etcd v3.7.3", 35*time.Second, 300)
	step.Advance()

	if got := step.Units(); got != 1 {
		t.Errorf("%d units", got)
	}

	step.Done(nil)
	d.Start("runc v1.5.2", 0, 0).Done(errors.New("broken"))
	d.Printf("%d images", 11)

	lines := strings.Split(out.String(), "\n")
	want := []string{"etcd v3.7.3 (last time 35s)", "etcd v3.7.3: done in ", "runc v1.5.2", "11 images", ""}

	if len(lines) != len(want) {
		t.Fatalf("lines %q", lines)
	}

	for i := range want {
		if !strings.HasPrefix(lines[i], want[i]) {
			t.Errorf("line %d is %q, want %q", i, lines[i], want[i])
		}
	}
}

func TestTerminalShowsOldestStep(t *testing.T) {
	var out bytes.Buffer

	d := &Display{out: &out, live: true}
	first := d.Start("first", 0, 0)
	second := d.Start("second", 0, 0)
	d.draw()
	second.Done(nil)
	first.Done(nil)

	if text := out.String(); !strings.Contains(text, "first: ") || !strings.Contains(text, ", and 1 more") {
		t.Errorf("display %q", text)
	}
}

func TestLine(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

	tests := []struct {
		step *Step
		want string
	}{
		{&Step{name: "runc"}, "runc: 1m5s"},
		{&Step{name: "runc", last: 90 * time.Second}, "runc: 1m5s of about 1m30s"},
		{&Step{name: "runc", units: 7}, "runc: 1m5s, 7 packages"},
		{&Step{name: "runc", last: 90 * time.Second, units: 7, total: 10}, "runc: 1m5s of about 1m30s, 7 of 10 packages"},
		{&Step{name: "runc", units: 12, total: 10}, "runc: 1m5s, 12 packages"},
	}

	for _, test := range tests {
		test.step.start = start
		if got := test.step.line(start.Add(65 * time.Second)); got != test.want {
			t.Errorf("line %q, want %q", got, test.want)
		}
	}
}
