package bootloader

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/basalt-os/basalt/internal/blockdev/crashtest"
	"github.com/basalt-os/basalt/internal/fat"
	"github.com/basalt-os/basalt/internal/gpt"
)

// Whatever the new version is called, it is tried three times, and then the old
// one is back; and if it is good, it stays.
func TestUpgrade(t *testing.T) {
	for _, c := range []struct{ from, to, added, returned, blessed string }{
		{
			"0.1.0", "0.2.0", "Basalt-0.2.0+3 *Basalt-0.1.0",
			"*Basalt-0.1.0 Basalt-0.2.0+0-3", "*Basalt-0.2.0 Basalt-0.1.0",
		},
		{ // a downgrade
			"0.2.0", "0.1.0", "Basalt-0.1.0+3 *Basalt-0.2.0+0",
			"*Basalt-0.2.0+0 Basalt-0.1.0+0-3", "*Basalt-0.1.0 Basalt-0.2.0+0",
		},
		{ // the same version, built again
			"0.1.0", "0.1.0", "Basalt-0.1.0~1+3 *Basalt-0.1.0+0",
			"*Basalt-0.1.0+0 Basalt-0.1.0~1+0-3", "*Basalt-0.1.0~1 Basalt-0.1.0+0",
		},
		{ // for systemd, more is newer
			"0.2.0-beta.1", "0.2.0", "Basalt-0.2.0+3 *Basalt-0.2.0-beta.1+0",
			"*Basalt-0.2.0-beta.1+0 Basalt-0.2.0+0-3", "*Basalt-0.2.0 Basalt-0.2.0-beta.1+0",
		},
	} {
		t.Run(c.from+" to "+c.to, func(t *testing.T) {
			m := installed(t, c.from)
			m.boot()
			m.expect("*Basalt-" + c.from)
			e := m.add(c.to)

			if !e.Next || !e.OnTrial() || e.Left != Tries || e.Version != c.to {
				t.Errorf("added %+v", e)
			}

			m.expect(c.added)

			bad := m.on(m.disk.Clone())
			if got, want := bad.boots(5), strings.Repeat(c.to+" ", 3)+c.from+" "+c.from; got != want {
				t.Fatalf("boots %q, want %q", got, want)
			}

			bad.expect(c.returned)

			if given, ok := bad.state().Returned(); !ok || given.ID != e.ID {
				t.Errorf("returned from %+v", given)
			}

			// The next attempt finds a place as well.
			bad.add("0.3.0")

			if got, want := bad.boots(4), "0.3.0 0.3.0 0.3.0 "+c.from; got != want {
				t.Fatalf("boots %q, want %q", got, want)
			}

			for try := range Tries {
				good := m.on(m.disk.Clone())
				good.boots(try + 1)

				if booted, _ := good.state().Booted(); !booted.OnTrial() {
					t.Errorf("runs %+v", booted)
				}

				good.bless()
				good.expect(c.blessed)

				if got := good.boots(4); got != strings.Repeat(c.to+" ", 3)+c.to {
					t.Fatalf("boots %q", got)
				}

				if _, returned := good.state().Returned(); returned {
					t.Error("nothing was given up")
				}
			}
		})
	}
}

// Two versions are kept, the running one and the new one.
func TestTwoVersions(t *testing.T) {
	m := installed(t, "0.1.0")

	for _, version := range []string{"0.2.0", "0.3.0", "0.2.0", "0.4.0"} {
		m.boot()
		m.add(version)
		m.boot()
		m.bless()

		if s := m.state(); len(s.Entries) != 2 || s.Entries[0].Version != version {
			t.Fatalf("%s: %s", version, m.show())
		}
	}

	m.expect("*Basalt-0.4.0 Basalt-0.2.0")
}

func TestRollback(t *testing.T) {
	m := installed(t, "0.1.0")
	m.boot()
	m.add("0.2.0")
	m.boot()
	m.bless()

	turn := func(want string) {
		t.Helper()

		other, ok := m.state().Other()
		if !ok {
			t.Fatal("nothing to go back to")
		}

		if err := m.loader().Activate(other.ID, false); err != nil {
			t.Fatal(err)
		}

		if next, _ := m.state().Next(); next.ID != other.ID {
			t.Errorf("next is %+v", next)
		}

		m.boots(5)
		m.expect(want)
	}

	turn("*Basalt-0.1.0 Basalt-0.2.0+0")
	turn("*Basalt-0.2.0 Basalt-0.1.0")
	turn("*Basalt-0.1.0 Basalt-0.2.0+0")

	// From there, a version that is newer and one that is between.
	m.add("0.3.0")
	m.expect("Basalt-0.3.0+3 *Basalt-0.1.0")

	if got := m.boots(4); got != "0.3.0 0.3.0 0.3.0 0.1.0" {
		t.Errorf("boots %q", got)
	}

	if err := m.loader().Activate("Basalt-0.3.0.efi", false); !errors.Is(err, ErrBad) {
		t.Errorf("going to a version that was given up: %v", err)
	}

	if err := m.loader().Activate("Basalt-0.3.0.efi", true); err != nil {
		t.Fatal(err)
	}

	m.expect("Basalt-0.3.0+3 *Basalt-0.1.0")

	// A version on trial can be left, and gives up what it had left.
	m.boot()
	m.expect("*Basalt-0.3.0+2-1 Basalt-0.1.0")

	if err := m.loader().Activate("Basalt-0.1.0.efi", false); err != nil {
		t.Fatal(err)
	}

	m.expect("Basalt-0.1.0 *Basalt-0.3.0+0-1")
}

func TestGiveUp(t *testing.T) {
	m := installed(t, "0.2.0")
	m.boot()

	if err := m.loader().GiveUp("Basalt-0.2.0.efi"); err == nil {
		t.Error("the only version was given up")
	}

	e := m.add("0.1.0")
	m.boot()

	for range 2 {
		if err := m.loader().GiveUp(e.ID); err != nil {
			t.Fatal(err)
		}

		m.expect("Basalt-0.2.0+0 *Basalt-0.1.0+0-1")
	}

	if got := m.boot(); got != "0.2.0" {
		t.Errorf("boots %s", got)
	}

	if given, ok := m.state().Returned(); !ok || given.Version != "0.1.0" {
		t.Errorf("returned from %+v", given)
	}
}

func TestOnTrial(t *testing.T) {
	m := installed(t, "0.1.0")
	m.boot()
	m.add("0.2.0")
	m.boot()

	image := func() Image { return imageFrom("0.3.0", imageOf(t, "0.3.0")) }
	if _, err := m.loader().Add(t.Context(), image(), false, quiet); !errors.Is(err, ErrOnTrial) {
		t.Errorf("another version while one is on trial: %v", err)
	}

	m.expect("*Basalt-0.2.0+2-1 Basalt-0.1.0")

	if _, err := m.loader().Add(t.Context(), image(), true, quiet); err != nil {
		t.Fatal(err)
	}

	m.expect("Basalt-0.3.0+3 *Basalt-0.2.0")
}

// What a person chose in the menu for good would keep the boot loader from
// counting.
func TestChoicesAreForgotten(t *testing.T) {
	m := installed(t, "0.1.0")
	m.boot()

	m.variables[loaderVariable("LoaderEntryDefault")] = string(encodeText("basalt-0.1.0.efi"))

	v := m.volume()

	foreign := "timeout 1\ndefault basalt-0.1.0*\n"
	if err := v.Create(ConfigFile, int64(len(foreign)), strings.NewReader(foreign)); err != nil {
		t.Fatal(err)
	}

	m.add("0.2.0")

	if got := m.boot(); got != "0.2.0" {
		t.Errorf("boots %s", got)
	}

	v = m.volume()

	if text, err := v.ReadFile(ConfigFile, 1000); err != nil || string(text) != Config {
		t.Errorf("configuration %q, %v", text, err)
	}
}

func TestBooted(t *testing.T) {
	m := installed(t, "0.1.0")
	m.add("0.2.0") // on a disk that was not booted from

	m.expect("Basalt-0.2.0+3 Basalt-0.1.0")
	m.boot()

	find := func(options Options) string {
		t.Helper()

		l, err := Open(m.disk, 512, options)
		if err != nil {
			t.Fatal(err)
		}

		s, err := l.State()
		if err != nil {
			t.Fatal(err)
		}

		e, _ := s.Booted()

		return e.ID
	}

	elsewhere := maps.Clone(m.variables)
	elsewhere[loaderVariable("LoaderDevicePartUUID")] = string(encodeText(uuid.NewString()))

	profile := maps.Clone(m.variables)
	profile[loaderVariable("LoaderEntrySelected")] = string(encodeText("basalt-0.1.0.efi@reset"))

	for name, c := range map[string]struct {
		options Options
		want    string
	}{
		"selected":     {Options{Variables: m.variables, Running: "0.1.0"}, "Basalt-0.2.0.efi"},
		"profile":      {Options{Variables: profile}, "Basalt-0.1.0.efi"},
		"other disk":   {Options{Variables: elsewhere, Running: "0.1.0"}, ""},
		"kexec":        {Options{Variables: m.variables, Booted: "Basalt-0.1.0.efi"}, "Basalt-0.1.0.efi"},
		"no variables": {Options{Variables: memory{}, Running: "0.1.0"}, "Basalt-0.1.0.efi"},
		"unknown":      {Options{Variables: memory{}, Running: "0.9.0"}, ""},
	} {
		if got := find(c.options); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// broken ends in the middle.
type broken struct{ r io.Reader }

var errBroken = errors.New("the download broke off")

func (b broken) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if err == io.EOF {
		err = errBroken
	}

	return n, err
}

// What does not work changes nothing.
func TestAddRefuses(t *testing.T) {
	m := installed(t, "0.1.0")
	m.boot()
	m.add("0.2.0")
	m.boot()
	m.bless()

	whole := imageOf(t, "0.3.0")
	before := m.show()

	for name, c := range map[string]struct {
		image Image
		want  error
	}{
		"full":        {Image{"0.3.0", 40 << 20, bytes.NewReader(nil)}, ErrNoSpace},
		"broken off":  {Image{"0.3.0", int64(len(whole)), broken{bytes.NewReader(whole[:9000])}}, errBroken},
		"cut off":     {Image{"0.3.0", int64(len(whole)), bytes.NewReader(whole[:9000])}, io.ErrUnexpectedEOF},
		"no image":    {Image{"0.3.0", 3, strings.NewReader("efi")}, nil},
		"bad version": {Image{"0.3.0+1", int64(len(whole)), bytes.NewReader(whole)}, nil},
	} {
		if _, err := m.loader().Add(t.Context(), c.image, false, quiet); err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}

		want := before
		if name == "no image" {
			want = "*Basalt-0.2.0" // it was found when all was written
		}

		if got := m.show(); got != want {
			t.Errorf("%s: entries %q, want %q", name, got, want)
		}

		v := m.volume()

		if _, err := v.Stat("EFI/Linux/" + newImage); !errors.Is(err, fat.ErrNotExist) {
			t.Errorf("%s: left something behind", name)
		}

		m = installed(t, "0.1.0")
		m.boot()
		m.add("0.2.0")
		m.boot()
		m.bless()
	}
}

// A partition in which the third version has no room gives up the one to go back
// to before, and no sooner.
func TestLittleSpace(t *testing.T) {
	m := installed(t, "0.1.0")
	m.boot()
	m.add("0.2.0")
	m.boot()
	m.bless()

	v := m.volume()

	free, err := v.Free()
	if err != nil {
		t.Fatal(err)
	}

	if err := v.Create("ballast", free-10_000, bytes.NewReader(make([]byte, free))); err != nil {
		t.Fatal(err)
	}

	var lines []string

	image := imageFrom("0.3.0", imageOf(t, "0.3.0"))
	if _, err := m.loader().Add(t.Context(), image, false, func(line string) { lines = append(lines, line) }); err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff([]string{"removing Basalt-0.1.0.efi", "writing Basalt-0.3.0+3.efi, 1 MiB"}, lines); diff != "" {
		t.Errorf("progress (-want +got):\n%s", diff)
	}

	m.expect("Basalt-0.3.0+3 *Basalt-0.2.0")
}

func TestOpenRefuses(t *testing.T) {
	if _, err := Open(crashtest.New(diskSize, 512), 512, Options{}); !errors.Is(err, gpt.ErrNoTable) {
		t.Errorf("an empty disk: %v", err)
	}

	m := installed(t, "0.1.0")

	v := m.volume()

	if err := v.Remove(ConfigFile); err != nil {
		t.Fatal(err)
	}

	if _, err := Open(m.disk, 512, Options{}); !errors.Is(err, ErrNone) {
		t.Errorf("without systemd-boot: %v", err)
	}
}

func TestUpdateProgram(t *testing.T) {
	m := installed(t, "0.1.0")
	if err := UpdateProgram(t.Context(), m.loader(), "amd64", imageFrom("", []byte("another"))); err != nil {
		t.Fatal(err)
	}

	v := m.volume()

	if data, err := v.ReadFile("EFI/BOOT/BOOTX64.EFI", 100); err != nil || string(data) != "another" {
		t.Errorf("%q, %v", data, err)
	}
}

func ExampleState_Returned() {
	s := State{Entries: []Entry{
		{ID: "Basalt-0.1.0.efi", Booted: true},
		{ID: "Basalt-0.2.0.efi", Counted: true, Done: 3},
	}}
	e, returned := s.Returned()
	fmt.Println(e.ID, returned)
	// Output: Basalt-0.2.0.efi true
}

// A restart past the boot loader is for a version that is not counted, and that
// is the next one.
func TestSettled(t *testing.T) {
	for _, kind := range []Kind{SystemdBoot, GRUB} {
		t.Run(string(kind), func(t *testing.T) {
			m := installedWith(t, kind, "0.1.0")
			expect := func(what, want string) {
				t.Helper()

				entry, ok := m.state().Settled()
				if ok != (want != "") || ok && entry.Version != want {
					t.Errorf("%s: %+v, want %q", what, entry, want)
				}
			}

			m.boot()
			expect("the only one", "0.1.0")
			m.add("0.2.0")
			expect("another one is next", "")
			m.boot()
			expect("on trial", "")
			m.bless()
			expect("found good", "0.2.0")

			entry, _ := m.state().Settled()

			image, err := m.loader().Open(entry.ID)
			if err != nil {
				t.Fatal(err)
			}

			release, err := image.OSRelease()
			if err != nil || release["VERSION_ID"] != "0.2.0" {
				t.Errorf("opened %v, %v", release, err)
			}

			other, _ := m.state().Other()
			if err := m.loader().Activate(other.ID, false); err != nil {
				t.Fatal(err)
			}

			expect("to be rolled back", "")
			m.boot()
			expect("rolled back", "0.1.0")

			if _, err := m.loader().Open("Basalt-9.9.9.efi"); !errors.Is(err, ErrNotFound) {
				t.Errorf("opening what is not there: %v", err)
			}
		})
	}
}
