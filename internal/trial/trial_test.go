package trial

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var start = time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC)

const (
	older = "Basalt-0.1.0.efi"
	newer = "Basalt-0.2.0.efi"
)

func TestBoot(t *testing.T) {
	for name, test := range map[string]struct {
		boots  []string
		state  State
		tries  int
		reason string
	}{
		"not yet":             {state: Written},
		"first boot":          {boots: []string{newer}, state: Trying, tries: 1},
		"panics":              {boots: []string{older}, state: Returned, reason: "never heard of"},
		"hangs":               {boots: []string{newer, newer, newer, older}, state: Returned, tries: 3, reason: "started 3 times and ended each time without a word"},
		"returned for good":   {boots: []string{newer, older, newer}, state: Returned, tries: 1, reason: "started once"},
		"many, many restarts": {boots: repeat(newer, 20), state: Trying, tries: maxAttempts},
	} {
		t.Run(name, func(t *testing.T) {
			r := Begin(older, newer, "image", start)
			for _, entry := range test.boots {
				r = r.Boot(entry, start)
			}

			if r.State != test.state || len(r.Attempts) != test.tries || !strings.Contains(r.Reason, test.reason) {
				t.Errorf("state %q, %d attempts, reason %q", r.State, len(r.Attempts), r.Reason)
			}

			data, err := r.Encode()
			if err != nil {
				t.Fatal(err)
			}

			read, err := Decode(data)
			if diff := cmp.Diff(r, read); diff != "" || err != nil {
				t.Errorf("after META (-want +got):\n%s%v", diff, err)
			}
		})
	}

	if r := (Record{}).Boot(older, start); r.State != None {
		t.Errorf("without an upgrade the state is %q", r.State)
	}
}

func repeat(entry string, n int) []string { return strings.Fields(strings.Repeat(entry+" ", n)) }

// The record may be missing, or be that of an older upgrade.
func TestAdopt(t *testing.T) {
	for _, r := range []Record{{}, {From: "a", To: "b", State: Committed}, {From: "b", To: "c", State: Returned, Reason: "old"}} {
		if got := r.Adopt("b", "c", start).Boot("c", start); got.State != Trying || got.From != "b" || len(got.Attempts) != 1 || got.Reason != "" {
			t.Errorf("%+v became %+v", r, got)
		}
	}

	known := Begin("b", "c", "image", start).Boot("c", start)
	if got := known.Adopt("b", "c", start).Boot("c", start); got.Image != "image" || len(got.Attempts) != 2 {
		t.Errorf("%+v", got)
	}
}

func TestJudge(t *testing.T) {
	policy := Policy{Within: 10 * time.Minute, Stable: time.Minute}
	on := Begin(older, newer, "image", start).Boot(newer, start)
	good := []Gate{{Name: "network", Hold: true}, {Name: "kubelet", Hold: true}}
	bad := []Gate{{Name: "network", Hold: true}, {Name: "kubelet", Reason: "service is not healthy"}}

	for name, test := range map[string]struct {
		gates []Gate
		since time.Duration // after the start; negative: they did not hold
		now   time.Duration
		want  Judgement
	}{
		"too early":         {gates: bad, since: -1, now: time.Minute, want: Judgement{Again: 9 * time.Minute}},
		"all hold":          {gates: good, since: -1, now: time.Minute, want: Judgement{Since: start.Add(time.Minute), Again: time.Minute}},
		"not for long":      {gates: good, since: time.Minute, now: 90 * time.Second, want: Judgement{Since: start.Add(time.Minute), Again: 30 * time.Second}},
		"for long enough":   {gates: good, since: time.Minute, now: 2 * time.Minute, want: Judgement{Since: start.Add(time.Minute), Action: Bless, Changed: true}},
		"broken again":      {gates: bad, since: time.Minute, now: 2 * time.Minute, want: Judgement{Again: 8 * time.Minute}},
		"the time is over":  {gates: bad, since: -1, now: 10 * time.Minute, want: Judgement{Action: GiveUp, Changed: true}},
		"late, but they do": {gates: good, since: 595 * time.Second, now: 601 * time.Second, want: Judgement{Since: start.Add(595 * time.Second), Again: 54 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			since := time.Time{}
			if test.since >= 0 {
				since = start.Add(test.since)
			}

			// What holds was written before.
			record, _ := on.hold(names(test.gates))
			got := Judge(record, policy, test.gates, start, since, start.Add(test.now))

			ignore := cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Record" || p.Last().String() == ".Reason" }, cmp.Ignore())
			if diff := cmp.Diff(test.want, got, ignore); diff != "" {
				t.Errorf("judgement (-want +got):\n%s", diff)
			}

			switch got.Action {
			case Bless:
				if got.Record.State != Committed {
					t.Errorf("state is %q", got.Record.State)
				}
			case GiveUp:
				next := got.Record.Boot(older, start)
				if want := "10m0s after the start these did not hold: kubelet (service is not healthy)"; !strings.Contains(next.Reason, want) {
					t.Errorf("the old version says %q", next.Reason)
				}
			case Wait:
			}
		})
	}
}

func names(gates []Gate) []string {
	var held []string

	for _, gate := range gates {
		if gate.Hold {
			held = append(held, gate.Name)
		}
	}

	return held
}

// The record is written when something new holds, and only then.
func TestProgress(t *testing.T) {
	r := Begin(older, newer, "image", start).Boot(newer, start)
	gates := []Gate{{Name: "network", Hold: true}, {Name: "kubelet"}}
	policy := Policy{Within: time.Hour}

	j := Judge(r, policy, gates, start, time.Time{}, start)
	if !j.Changed {
		t.Error("the network holds, and the record does not say so")
	}

	if again := Judge(j.Record, policy, gates, start, time.Time{}, start); again.Changed {
		t.Error("nothing happened, and the record is written")
	}

	if reason := j.Record.Boot(older, start).Reason; !strings.Contains(reason, "until then held: network") {
		t.Errorf("the old version says %q", reason)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"from":"a","to":"b","state":"trying","attempts":[{"begun":"2026-11-25T08:00:00Z"}]}`))
	f.Fuzz(func(_ *testing.T, data []byte) {
		if r, err := Decode(data); err == nil {
			r.Boot(older, start).Boot(r.To, start)
		}
	})
}
