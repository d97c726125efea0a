package bootloader

import (
	"bytes"
	"errors"
	"path"
	"strings"
	"testing"

	"github.com/basalt-os/basalt/internal/fat"
	"github.com/basalt-os/basalt/internal/grub"
)

// bootGRUB does what GRUB does by its menu: it takes the entry that is on trial
// if it can count, or the good one, or else the first, and starts it. It returns
// the version that runs then.
func (m *machine) bootGRUB() string {
	m.t.Helper()

	v, err := fat.Open(m.section(), m.section().Size())
	if err != nil {
		m.t.Fatal(err)
	}

	menu, err := v.ReadFile(grub.MenuFile, maxMenu)
	if err != nil || !bytes.HasSuffix(menu, []byte("}\n")) {
		m.t.Fatalf("no menu: %q, %v", menu, err)
	}

	env := grub.State{}
	if data, err := v.ReadFile(grub.EnvFile, maxEnv); err == nil {
		if env, err = grub.DecodeState(data); err != nil {
			m.t.Logf("GRUB starts the first entry: %v", err)
		}
	}

	start := env.Next()

	if env.Trial != "" && env.Tries > 0 {
		env.Tries--
		m.saveEnv(v, env)
	}

	var ids []string
	for _, match := range menuEntry.FindAllSubmatch(menu, -1) {
		ids = append(ids, string(match[1]))
	}

	if !strings.Contains(" "+strings.Join(ids, " ")+" ", " "+start+" ") {
		start = ids[0]
	}

	data, err := v.ReadFile("EFI/Linux/"+start, 1<<20)
	if err != nil {
		m.t.Fatalf("%s is in the menu: %v", start, err)
	}

	version := strings.TrimSuffix(strings.TrimPrefix(start, "Basalt-"), suffix)
	version, _, _ = strings.Cut(version, "~")

	want := imageOf(m.t, version)
	if !bytes.Equal(data, want) {
		m.t.Fatalf("%s is not complete", start)
	}

	e, err := grub.NewEntry(start, bytes.NewReader(want), int64(len(want)))
	if err != nil {
		m.t.Fatal(err)
	}

	rendered, err := grub.Menu{Entries: []grub.Entry{e}}.Render()
	if _, entry, _ := strings.Cut(string(rendered), "\nmenuentry"); err != nil || !strings.Contains(string(menu), entry) {
		m.t.Fatalf("%s is elsewhere than the menu says: %v", start, err)
	}

	m.cmdline = "quiet basalt.entry=" + start

	return version
}

// saveEnv writes the environment in place, as GRUB does.
func (m *machine) saveEnv(v *fat.Volume, env grub.State) {
	m.t.Helper()

	old, err := v.ReadFile(grub.EnvFile, maxEnv)
	if err != nil {
		m.t.Fatal(err)
	}

	data, err := env.Encode()
	if err != nil {
		m.t.Fatal(err)
	}

	start, err := fat.Head(m.section().Size(), 512)
	if err != nil {
		m.t.Fatal(err)
	}

	// Older copies may lie about; the right one is where writing changes the file.
	for at := start; at < m.section().Size(); at += 512 {
		found := make([]byte, len(old))
		if _, err := m.section().ReadAt(found, at); err != nil {
			m.t.Fatal(err)
		}

		if !bytes.Equal(found, old) {
			continue
		}

		if _, err := m.section().WriteAt(data, at); err != nil {
			m.t.Fatal(err)
		}

		if now, err := v.ReadFile(grub.EnvFile, maxEnv); err == nil && bytes.Equal(now, data) {
			return
		}
	}

	m.t.Fatal("GRUB cannot write its variables")
}

func TestGRUB(t *testing.T) {
	m := installedWith(t, GRUB, "0.1.0")
	m.expect("Basalt-0.1.0")

	if got := m.boots(2); got != "0.1.0 0.1.0" {
		t.Fatalf("boots %q", got)
	}

	m.expect("*Basalt-0.1.0")
	m.add("0.2.0")
	m.expect("Basalt-0.2.0+3 *Basalt-0.1.0")

	if got := m.boots(4); got != "0.2.0 0.2.0 0.2.0 0.1.0" {
		t.Fatalf("boots %q", got)
	}

	m.expect("*Basalt-0.1.0 Basalt-0.2.0+0-3")

	if e, ok := m.state().Returned(); !ok || e.Version != "0.2.0" {
		t.Errorf("returned from %+v", e)
	}

	if err := m.loader().Activate("Basalt-0.2.0.efi", false); !errors.Is(err, ErrBad) {
		t.Errorf("a bad version: %v", err)
	}

	if err := m.loader().Activate("Basalt-0.2.0.efi", true); err != nil {
		t.Fatal(err)
	}

	m.expect("Basalt-0.2.0+3 *Basalt-0.1.0")
	m.boot()

	if _, err := m.loader().Add(t.Context(), imageFrom("0.3.0", imageOf(t, "0.3.0")), false, quiet); !errors.Is(err, ErrOnTrial) {
		t.Errorf("a version on trial: %v", err)
	}

	m.bless()
	m.expect("*Basalt-0.2.0 Basalt-0.1.0")

	// The same version once more gets a name of its own.
	m.add("0.2.0")
	m.expect("Basalt-0.2.0~1+3 *Basalt-0.2.0")

	if err := m.loader().GiveUp("Basalt-0.2.0~1.efi"); err != nil {
		t.Fatal(err)
	}

	m.expect("*Basalt-0.2.0 Basalt-0.2.0~1+0-3")

	if err := m.loader().GiveUp("Basalt-0.2.0.efi"); err == nil {
		t.Error("a good version was given up")
	}
}

// Without its variables GRUB starts the version that is known to work.
func TestGRUBWithoutVariables(t *testing.T) {
	for name, damage := range map[string]func(v *fat.Volume) error{
		"missing": func(v *fat.Volume) error { return v.Remove(grub.EnvFile) },
		"damaged": func(v *fat.Volume) error { return v.Create(grub.EnvFile, 4, strings.NewReader("none")) },
	} {
		m := installedWith(t, GRUB, "0.1.0")
		m.boot()
		m.add("0.2.0")

		if err := damage(m.volume()); err != nil {
			t.Fatal(err)
		}

		if got := m.boots(2); got != "0.1.0 0.1.0" {
			t.Errorf("%s: boots %q", name, got)
		}

		m.add("0.3.0")

		if got := m.boots(4); got != "0.3.0 0.3.0 0.3.0 0.1.0" {
			t.Errorf("%s: after another upgrade boots %q", name, got)
		}
	}
}

// A disk image for both kinds of firmware has both boot loaders.
func TestDetect(t *testing.T) {
	m := installedWith(t, GRUB, "0.1.0")

	if err := m.volume().Create(ConfigFile, int64(len(Config)), strings.NewReader(Config)); err != nil {
		t.Fatal(err)
	}

	if got := m.state().Kind; got != SystemdBoot {
		t.Errorf("started by UEFI: %s", got)
	}

	if m.boot(); m.state().Kind != GRUB {
		t.Errorf("started by BIOS: %s", m.state().Kind)
	}

	for _, file := range []string{ConfigFile, grub.MenuFile} {
		if err := m.volume().Remove(file); err != nil {
			t.Fatal(err)
		}
	}

	if _, err := Open(m.disk, 512, Options{}); !errors.Is(err, ErrNone) {
		t.Errorf("no boot loader: %v", err)
	}
}

// What the menu does not have cannot be started.
func TestGRUBForeignImage(t *testing.T) {
	m := installedWith(t, GRUB, "0.1.0")
	data := imageOf(t, "0.9.0")

	if err := m.volume().Create(path.Join("EFI/Linux", "Basalt-0.9.0.efi"), int64(len(data)), bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}

	s := m.state()
	if len(s.Entries) != 2 || s.Entries[1].Problem == "" || !s.Entries[0].Next {
		t.Errorf("%+v", s.Entries)
	}

	if err := m.loader().Activate("Basalt-0.9.0.efi", true); !errors.Is(err, ErrBad) {
		t.Errorf("activated: %v", err)
	}
}
