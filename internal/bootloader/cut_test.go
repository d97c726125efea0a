package bootloader

import (
	"maps"
	"slices"
	"testing"
)

// change is something done to the boot loader while a version runs.
type change struct {
	name    string
	prepare func(m *machine)
	do      func(m *machine) error
	// ends are what the boots after a power cut may be, when nobody blesses.
	ends []string
}

func changes() []change {
	add := func(version string) func(m *machine) error {
		return func(m *machine) error {
			_, err := m.loader().Add(m.t.Context(), imageFrom(version, imageOf(m.t, version)), false, quiet)

			return err
		}
	}

	upgraded := func(from, to string, bless bool) func(m *machine) {
		return func(m *machine) {
			m.add(from)
			m.boot()
			m.bless()
			m.add(to)
			m.boot()

			if bless {
				m.bless()
			}
		}
	}

	turn := func(m *machine) error {
		other, _ := m.state().Other()

		return m.loader().Activate(other.ID, false)
	}

	bless := func(m *machine) error {
		booted, _ := m.state().Booted()

		return m.loader().Bless(booted.ID)
	}

	return []change{
		{"upgrade", func(*machine) {}, add("0.2.0"), []string{"0.1.0 0.1.0 0.1.0 0.1.0", "0.2.0 0.2.0 0.2.0 0.1.0"}},
		{"downgrade", func(*machine) {}, add("0.0.9"), []string{"0.1.0 0.1.0 0.1.0 0.1.0", "0.0.9 0.0.9 0.0.9 0.1.0"}},
		{
			"second upgrade", upgraded("0.2.0", "0.3.0", true), add("0.4.0"),
			[]string{"0.3.0 0.3.0 0.3.0 0.3.0", "0.4.0 0.4.0 0.4.0 0.3.0"},
		},
		{
			"upgrade after downgrade", upgraded("0.3.0", "0.2.0", true), add("0.2.5"),
			[]string{"0.2.0 0.2.0 0.2.0 0.2.0", "0.2.5 0.2.5 0.2.5 0.2.0"},
		},
		{
			"bless", upgraded("0.2.0", "0.3.0", false), bless,
			[]string{"0.3.0 0.3.0 0.2.0 0.2.0", "0.3.0 0.3.0 0.3.0 0.3.0"},
		},
		{
			"bless a downgrade", upgraded("0.3.0", "0.2.0", false), bless,
			[]string{"0.2.0 0.2.0 0.3.0 0.3.0", "0.2.0 0.2.0 0.2.0 0.2.0"},
		},
		{
			"rollback", upgraded("0.2.0", "0.3.0", true), turn,
			[]string{"0.3.0 0.3.0 0.3.0 0.3.0", "0.2.0 0.2.0 0.2.0 0.2.0"},
		},
		{
			"rollback to the newer", upgraded("0.3.0", "0.2.0", true), turn,
			[]string{"0.2.0 0.2.0 0.2.0 0.2.0", "0.3.0 0.3.0 0.3.0 0.3.0"},
		},
		{
			"rollback on trial", upgraded("0.2.0", "0.3.0", false), turn,
			[]string{"0.3.0 0.3.0 0.2.0 0.2.0", "0.2.0 0.2.0 0.2.0 0.2.0"},
		},
	}
}

// After a power cut at any moment of any change, what boots is complete, is the
// old or the new version, and a new version that is no good is left by itself.
// The same change can then be made again.
func TestPowerCut(t *testing.T) {
	for _, kind := range []Kind{SystemdBoot, GRUB} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			testPowerCut(t, kind)
		})
	}
}

func testPowerCut(t *testing.T, kind Kind) {
	t.Helper()

	states := 0

	for _, c := range changes() {
		m := installedWith(t, kind, "0.1.0")
		m.boot()
		c.prepare(m)
		m.disk.Record()

		if err := c.do(m); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}

		seen := map[string]bool{}

		for name, disk := range m.disk.Crashes(1, 5) {
			states++

			cut := m.on(disk.Clone())

			got := cut.boots(4)
			if seen[got] = true; !slices.Contains(c.ends, got) {
				t.Fatalf("%s, %s: boots %q", c.name, name, got)
			}

			again := m.on(disk)
			if s := again.state(); len(s.Entries) > 3 {
				t.Errorf("%s, %s: %s", c.name, name, again.show())
			}

			again.boot()

			if booted, _ := again.state().Booted(); booted.OnTrial() {
				again.bless()
			}

			again.add("0.9.0")

			if s := again.state(); len(s.Entries) != 2 || s.Entries[0].Version != "0.9.0" {
				t.Errorf("%s, %s: then upgraded: %s", c.name, name, again.show())
			}
		}

		if len(seen) != len(c.ends) {
			t.Errorf("%s: seen %q", c.name, slices.Collect(maps.Keys(seen)))
		}
	}

	t.Logf("%d states", states)
}
