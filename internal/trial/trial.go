// Package trial decides about a new version of the system that a machine has
// booted for the first time: whether it stays.
//
// The boot loader gives a new version a few tries and then returns to
// the version before by itself, whatever the new one does or does not do. What
// this package adds is the judgement of a version that comes up far enough to
// judge itself. While all gates of a [Policy] hold for long enough, the version
// is committed, and the boot loader stops counting. When the time is over and
// they do not, the machine restarts, and the boot loader counts.
//
// A [Record] of all that lies in META, so that the version that boots in the
// end can tell what became of the other, and why. [Status] is the record as a
// resource.
//
// The package is pure: it knows no clock, disk or boot loader.
package trial

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// State is how far an upgrade has come.
type State string

// The states.
const (
	None      State = ""          // no upgrade is known
	Written   State = "written"   // on disk; the next boot tries it
	Trying    State = "trying"    // running, and not committed yet
	Committed State = "committed" // it stays
	Returned  State = "returned"  // the version before is back
)

// Record is what META keeps of the last upgrade.
type Record struct {
	From    string    `json:"from"`  // boot entry, without its counter
	To      string    `json:"to"`    // boot entry, without its counter
	Image   string    `json:"image"` // that it was installed from
	Written time.Time `json:"written"`
	State   State     `json:"state"`
	// Attempts are the boots of To, the latest last.
	Attempts []Attempt `json:"attempts,omitempty"`
	// Reason says why the machine returned.
	Reason string `json:"reason,omitempty"`
}

// Attempt is one boot of a new version.
type Attempt struct {
	Begun time.Time `json:"begun"`
	// Holding are the gates that held when the record was last written.
	Holding []string `json:"holding,omitempty"`
	// Failure says why the version gave up by itself; empty when it went on, or
	// never came to say it.
	Failure string `json:"failure,omitempty"`
}

// maxAttempts bounds the record: after so many boots something else is wrong.
const maxAttempts = 8

// Decode reads a record from META; of an empty value it is the zero Record.
func Decode(data []byte) (Record, error) {
	var r Record

	if len(data) == 0 {
		return r, nil
	}

	if err := json.Unmarshal(data, &r); err != nil {
		return Record{}, fmt.Errorf("reading the record of the last upgrade: %w", err)
	}

	return r, nil
}

// Encode returns the record as META keeps it.
func (r Record) Encode() ([]byte, error) {
	data, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encoding the record of the last upgrade: %w", err)
	}

	return data, nil
}

// Begin is the record of a version that was just written.
func Begin(from, to, image string, now time.Time) Record {
	return Record{From: from, To: to, Image: image, Written: now.UTC().Truncate(time.Second), State: Written}
}

// Adopt is the record after the machine has booted an entry that the boot loader
// counts. If r does not know it, the power was cut after the version was written
// and before the record was. From is the entry to go back to.
func (r Record) Adopt(from, entry string, now time.Time) Record {
	if r.To == entry && (r.State == Written || r.State == Trying) {
		return r
	}

	return Begin(from, entry, "", now)
}

// Boot is the record after the machine has booted an entry.
func (r Record) Boot(entry string, now time.Time) Record {
	if r.State != Written && r.State != Trying {
		return r
	}

	if entry == r.To {
		r.State = Trying
		r.Attempts = append(slices.Clone(r.Attempts), Attempt{Begun: now.UTC().Truncate(time.Second)})
		r.Attempts = r.Attempts[max(0, len(r.Attempts)-maxAttempts):]

		return r
	}

	r.State = Returned
	r.Reason = cmp.Or(r.Reason, r.explain())

	return r
}

// explain says what the attempts tell about a version that was given up.
func (r Record) explain() string {
	if len(r.Attempts) == 0 {
		return fmt.Sprintf("%s was never heard of: its kernel panicked, or it stopped before its first process could write to META", r.To)
	}

	last := r.Attempts[len(r.Attempts)-1]
	if last.Failure != "" {
		return fmt.Sprintf("%s was started %s: %s", r.To, times(len(r.Attempts)), last.Failure)
	}

	holding := "nothing of what is asked for held"
	if len(last.Holding) > 0 {
		holding = "until then held: " + strings.Join(last.Holding, ", ")
	}

	return fmt.Sprintf("%s was started %s and ended each time without a word, by a panic, a hang or a power cut; %s",
		r.To, times(len(r.Attempts)), holding)
}

func times(n int) string {
	if n == 1 {
		return "once"
	}

	return fmt.Sprintf("%d times", n)
}

// hold notes which gates hold in the attempt that runs, and says whether that
// is new.
func (r Record) hold(names []string) (Record, bool) {
	if len(r.Attempts) == 0 {
		return r, false
	}

	last := r.Attempts[len(r.Attempts)-1]
	if slices.Equal(last.Holding, names) {
		return r, false
	}

	last.Holding = names
	r.Attempts = slices.Clone(r.Attempts)
	r.Attempts[len(r.Attempts)-1] = last

	return r, true
}

// fail notes why the attempt that runs gives up.
func (r Record) fail(reason string) Record {
	if len(r.Attempts) == 0 {
		return r
	}

	r.Attempts = slices.Clone(r.Attempts)
	r.Attempts[len(r.Attempts)-1].Failure = reason

	return r
}

// Gate is one thing that must hold for a new version to stay.
type Gate struct {
	Name string `yaml:"name" protobuf:"1"`
	Hold bool   `yaml:"hold" protobuf:"2"`
	// Reason says why it does not.
	Reason string `yaml:"reason,omitempty" protobuf:"3"`
}

// Policy says what is asked of a new version.
type Policy struct {
	Gates []string
	// Within is how long after its start all gates must hold.
	Within time.Duration
	// Stable is how long they must hold without a break.
	Stable time.Duration
}

// Action is what a judgement asks for.
type Action int

// The actions.
const (
	Wait Action = iota // look again, at the latest after the time that is told
	Bless
	GiveUp
)

// Judgement is what follows from the gates at one moment.
type Judgement struct {
	Action Action
	// Record is to be written when Changed says so, before the action is taken.
	Record  Record
	Changed bool
	// Since is when all gates began to hold; zero when they do not.
	Since time.Time
	// Again is when to look again.
	Again time.Duration
	// Reason is why the version gives up.
	Reason string
}

// Judge looks at a version on trial. Begun is when this boot began, since what
// the last judgement said.
func Judge(r Record, policy Policy, gates []Gate, begun, since, now time.Time) Judgement {
	var holding, broken []string

	for _, gate := range gates {
		if gate.Hold {
			holding = append(holding, gate.Name)
		} else {
			broken = append(broken, fmt.Sprintf("%s (%s)", gate.Name, cmp.Or(gate.Reason, "not yet")))
		}
	}

	j := Judgement{}
	j.Record, j.Changed = r.hold(holding)
	deadline := begun.Add(policy.Within)

	if len(broken) == 0 {
		j.Since = since
		if since.IsZero() {
			j.Since = now
		}

		if left := j.Since.Add(policy.Stable).Sub(now); left > 0 {
			j.Again = left

			return j
		}

		j.Action, j.Changed = Bless, true
		j.Record.State = Committed

		return j
	}

	if left := deadline.Sub(now); left > 0 {
		j.Again = left

		return j
	}

	j.Action, j.Changed = GiveUp, true
	j.Reason = fmt.Sprintf("%s after the start these did not hold: %s", policy.Within, strings.Join(broken, ", "))
	j.Record = j.Record.fail(j.Reason)

	return j
}
