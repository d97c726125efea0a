package bootloader

import (
	"bytes"
	"encoding/binary"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/uuid"

	"github.com/basalt-os/basalt/internal/blockdev"
	"github.com/basalt-os/basalt/internal/blockdev/crashtest"
	"github.com/basalt-os/basalt/internal/fat"
	"github.com/basalt-os/basalt/internal/gpt"
	"github.com/basalt-os/basalt/internal/uki/ukitest"
)

// memory are variables without firmware.
type memory map[Variable]string

func (m memory) Read(v Variable) ([]byte, error) {
	value, ok := m[v]
	if !ok {
		return nil, ErrNoVariable
	}

	return []byte(value), nil
}

func (m memory) Write(v Variable, value []byte) error {
	m[v] = string(value)

	return nil
}

func (m memory) Delete(v Variable) error {
	delete(m, v)

	return nil
}

func (m memory) List(vendor uuid.UUID, prefix string) ([]string, error) {
	var names []string

	for v := range m {
		if v.Vendor == vendor && strings.HasPrefix(v.Name, prefix) {
			names = append(names, v.Name)
		}
	}

	slices.Sort(names)

	return names, nil
}

// machine is a disk with a boot loader, and firmware.
type machine struct {
	kind      Kind
	cmdline   string // of the kernel that runs
	t         testing.TB
	disk      *crashtest.Disk
	variables memory
	table     *gpt.Table
	esp       gpt.Partition
}

const diskSize = 48 << 20

// images is the content of images by version.
func imageOf(t testing.TB, version string) []byte { return ukitest.Image(t, "amd64", version, 20_000) }

// installed is a machine with systemd-boot and one version, as it is before its
// first boot.
func installed(t testing.TB, version string) *machine {
	t.Helper()

	return installedWith(t, SystemdBoot, version)
}

func installedWith(t testing.TB, kind Kind, version string) *machine {
	t.Helper()

	m := &machine{t: t, kind: kind, disk: crashtest.New(diskSize, 512), variables: memory{}}

	var err error
	if m.table, err = gpt.New(gpt.GUIDOf("disk"), diskSize, 512); err != nil {
		t.Fatal(err)
	}

	if m.esp, err = m.table.Add(gpt.LabelEFI, gpt.TypeEFI, gpt.GUIDOf(gpt.LabelEFI), 40<<20, 0); err != nil {
		t.Fatal(err)
	}

	if err := m.table.Write(m.disk); err != nil {
		t.Fatal(err)
	}

	if kind == GRUB {
		err = NewGRUB(t.Context(), m.section(), 512, imageFrom(version, imageOf(t, version)), quiet)
	} else {
		err = NewSystemdBoot(t.Context(), m.section(), 512, "amd64",
			imageFrom("", []byte("the loader")), imageFrom(version, imageOf(t, version)), quiet)
	}

	if err != nil {
		t.Fatal(err)
	}

	return m
}

func quiet(string) {}

func imageFrom(version string, data []byte) Image {
	return Image{Version: version, Size: int64(len(data)), Content: bytes.NewReader(data)}
}

func (m *machine) section() *blockdev.Section {
	return blockdev.NewSection(m.disk, m.table.Offset(m.esp), m.table.Size(m.esp))
}

// on is the same machine with another disk.
func (m *machine) on(disk *crashtest.Disk) *machine {
	other := *m
	other.disk, other.variables = disk, maps.Clone(m.variables)

	return &other
}

func (m *machine) loader() Loader {
	m.t.Helper()

	l, err := Open(m.disk, 512, Options{Variables: m.variables, Cmdline: m.cmdline})
	if err != nil {
		m.t.Fatal(err)
	}

	return l
}

func (m *machine) volume() *fat.Volume {
	m.t.Helper()

	v, err := fat.Open(m.section(), m.section().Size())
	if err == nil {
		err = v.Heal()
	}

	if err != nil {
		m.t.Fatal(err)
	}

	return v
}

func (m *machine) state() State {
	m.t.Helper()

	s, err := m.loader().State()
	if err != nil {
		m.t.Fatal(err)
	}

	return s
}

// boot does what firmware and systemd-boot do: it takes the first image, counts,
// and starts it. It returns the version that runs then.
func (m *machine) boot() string {
	m.t.Helper()

	if m.kind == GRUB {
		return m.bootGRUB()
	}

	v, err := fat.Open(m.section(), m.section().Size())
	if err != nil {
		m.t.Fatal(err)
	}

	found, err := images(v)
	if err != nil || len(found) == 0 || found[0].problem != "" {
		m.t.Fatalf("nothing boots: %+v, %v", found, err)
	}

	first := found[0]

	for _, choice := range choices() {
		for _, c := range found {
			if text, err := readText(m.variables, choice); err == nil && strings.EqualFold(text, c.id) {
				first = c
			}
		}
	}

	if to := first.started(); to != first.file {
		if err := v.Rename("EFI/Linux/"+first.file, "EFI/Linux/"+to); err != nil {
			m.t.Fatal(err)
		}
	}

	if data, err := v.ReadFile("EFI/Linux/"+first.started(), 1<<20); err != nil || !bytes.Equal(data, imageOf(m.t, first.version)) {
		m.t.Fatalf("%s is not complete, %v", first.file, err)
	}

	m.variables[loaderVariable("LoaderEntrySelected")] = string(encodeText(strings.ToLower(first.id)))
	m.variables[loaderVariable("LoaderDevicePartUUID")] = string(encodeText(strings.ToUpper(m.esp.GUID.String())))

	return first.version
}

// started is the name of an image's file after systemd-boot has started it.
func (i image) started() string {
	if i.left == 0 {
		return i.file
	}

	return fileName(i.id, true, i.left-1, i.done+1)
}

// encodeText is the value of a variable that is text, as boot loaders write it.
func encodeText(text string) []byte {
	var value []byte
	for _, unit := range utf16.Encode([]rune(text + "\x00")) {
		value = binary.LittleEndian.AppendUint16(value, unit)
	}

	return value
}

// boots are the versions of so many boots in which nobody says that all is well.
func (m *machine) boots(n int) string {
	m.t.Helper()

	var versions []string
	for range n {
		versions = append(versions, m.boot())
	}

	return strings.Join(versions, " ")
}

func (m *machine) add(version string) Entry {
	m.t.Helper()

	e, err := m.loader().Add(m.t.Context(), imageFrom(version, imageOf(m.t, version)), false, quiet)
	if err != nil {
		m.t.Fatal(err)
	}

	return e
}

func (m *machine) bless() {
	m.t.Helper()

	booted, ok := m.state().Booted()
	if !ok {
		m.t.Fatal("no entry runs")
	}

	if err := m.loader().Bless(booted.ID); err != nil {
		m.t.Fatal(err)
	}
}

// show is the order of the boot loader in one line.
func (m *machine) show() string {
	m.t.Helper()

	var line []string

	for _, e := range m.state().Entries {
		text := fileName(e.ID, e.Counted, e.Left, e.Done) // GRUB's have no such name, and look the same
		if e.Booted {
			text = "*" + text
		}

		line = append(line, strings.TrimSuffix(text, suffix))
	}

	return strings.Join(line, " ")
}

func (m *machine) expect(want string) {
	m.t.Helper()

	if got := m.show(); got != want {
		m.t.Fatalf("entries %q, want %q", got, want)
	}
}
