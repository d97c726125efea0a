package grub

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestState(t *testing.T) {
	for name, s := range map[string]State{
		"new":    {},
		"good":   {Good: "Basalt-0.1.0.efi"},
		"trial":  {Good: "Basalt-0.1.0.efi", Trial: "Basalt-0.2.0~1.efi", Tries: 3},
		"failed": {Good: "Basalt-0.1.0.efi", Trial: "Basalt-0.2.0.efi"},
	} {
		data, err := s.Encode()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}

		if len(data) != envSize || strings.Trim(string(data[envAtomic:]), "#") != "" {
			t.Errorf("%s: a block that cannot be written at once: %q", name, data)
		}

		got, err := DecodeState(data)
		if diff := cmp.Diff(s, got); diff != "" || err != nil {
			t.Errorf("%s (-want +got):\n%s%v", name, diff, err)
		}
	}
}

func TestNext(t *testing.T) {
	for _, tt := range []struct {
		state  State
		next   string
		failed bool
	}{
		{State{}, "", false},
		{State{Good: "a"}, "a", false},
		{State{Good: "a", Trial: "b", Tries: 1}, "b", false},
		{State{Good: "a", Trial: "b"}, "a", true},
	} {
		if tt.state.Next() != tt.next || tt.state.Failed() != tt.failed {
			t.Errorf("%+v: next %q, failed %t", tt.state, tt.state.Next(), tt.state.Failed())
		}
	}
}

func TestBadState(t *testing.T) {
	for _, s := range []State{{Good: "a b"}, {Trial: "a\n", Tries: 1}, {Trial: "a", Tries: 10}, {Good: strings.Repeat("a", 200)}} {
		if _, err := s.Encode(); !errors.Is(err, ErrEnv) {
			t.Errorf("%+v: %v", s, err)
		}
	}

	block := func(text string) []byte {
		return []byte(envSignature + text + strings.Repeat("#", envSize-len(envSignature)-len(text)))
	}

	for name, data := range map[string][]byte{
		"empty": nil, "short": block("")[1:], "no signature": bytes.Repeat([]byte("#"), envSize),
		"tries": block("trial=a\ntries=x\n"), "name": block("good=a/b\n"),
	} {
		if s, err := DecodeState(data); !errors.Is(err, ErrEnv) {
			t.Errorf("%s: %+v %v", name, s, err)
		}
	}

	// What GRUB or a person may have left there.
	s, err := DecodeState(block("other=1\n# x=y\nno value\ntries=7\ngood=b\\a\n"))
	if diff := cmp.Diff(State{Good: "ba"}, s); diff != "" || err != nil {
		t.Errorf("state (-want +got):\n%s%v", diff, err)
	}
}

func entry(id string) Entry {
	return Entry{
		ID: id, Title: "Basalt " + id, File: "EFI/Linux/" + id,
		Kernel: Extent{512, 1025}, Initrd: Extent{4096, 512}, Cmdline: `a=b c="d" e=$x`,
	}
}

func TestMenu(t *testing.T) {
	text, err := Menu{Entries: []Entry{entry("b-2.efi"), entry("a-1.efi")}, Timeout: 5, Serial: true}.Render()
	if err != nil {
		t.Fatal(err)
	}

	const want = `
menuentry 'Basalt a-1.efi' --id 'a-1.efi' --unrestricted {
  echo 'Starting Basalt a-1.efi ...'
  loopback uki '/EFI/Linux/a-1.efi'
  linux (uki)1+3 'basalt.entry=a-1.efi' 'a=b' 'c="d"' 'e=$x'
  initrd (uki)8+1
}
`
	if !strings.HasSuffix(string(text), want) {
		t.Errorf("menu:\n%s", text)
	}

	for _, part := range []string{
		"set timeout=5\n", "serial --unit=0", "load_env good trial tries\n",
		"  if [ \"${tries}\" = \"3\" ]; then set left=\"2\"; fi\n", "if save_env tries; then\n      set default=\"${trial}\"",
	} {
		if !strings.Contains(string(text), part) {
			t.Errorf("the menu has no %q:\n%s", part, text)
		}
	}
}

func TestBadMenu(t *testing.T) {
	for name, change := range map[string]func(*Entry){
		"quote":    func(e *Entry) { e.Cmdline = "a='b'" },
		"line":     func(e *Entry) { e.Title = "a\nb" },
		"id":       func(e *Entry) { e.ID = "a b" },
		"upward":   func(e *Entry) { e.File = "EFI/../x" },
		"unplaced": func(e *Entry) { e.Kernel.Offset = 513 },
		"empty":    func(e *Entry) { e.Initrd.Size = 0 },
	} {
		e := entry("a.efi")
		change(&e)

		if _, err := (Menu{Entries: []Entry{e}}).Render(); !errors.Is(err, ErrMenu) {
			t.Errorf("%s: %v", name, err)
		}
	}

	if _, err := (Menu{Entries: []Entry{entry("a.efi"), entry("a.efi")}}).Render(); !errors.Is(err, ErrMenu) {
		t.Errorf("twice: %v", err)
	}
}

func TestBooted(t *testing.T) {
	if got := Booted("quiet basalt.entry=Basalt-1.efi x=y"); got != "Basalt-1.efi" {
		t.Errorf("booted %q", got)
	}

	if got := Booted("quiet"); got != "" {
		t.Errorf("booted %q", got)
	}
}

func TestPlace(t *testing.T) {
	boot := make([]byte, sector)
	boot[510], boot[511] = 0x55, 0xaa
	core := make([]byte, 3*sector+1)
	binary.LittleEndian.PutUint16(core[listSegment:], coreSegment)

	code, content, err := Place(boot, core, 2048)
	if err != nil {
		t.Fatal(err)
	}

	if len(code) != BootCode || binary.LittleEndian.Uint64(code[bootKernel:]) != 2048 || code[bootDrive] != 0xff {
		t.Errorf("boot sector % x", code[bootKernel:bootDriveCheck+2])
	}

	if len(content) != 4*sector || binary.LittleEndian.Uint64(content[listStart:]) != 2049 ||
		binary.LittleEndian.Uint16(content[listLength:]) != 3 {
		t.Errorf("%d bytes, list % x", len(content), content[listStart:sector])
	}

	for name, bad := range map[string][2][]byte{
		"no boot sector": {make([]byte, sector), core}, "no core": {boot, make([]byte, 4*sector)}, "short": {boot, core[:600]},
	} {
		if _, _, err := Place(bad[0], bad[1], 0); !errors.Is(err, ErrImage) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzDecodeState(f *testing.F) {
	data, err := State{Good: "a", Trial: "b", Tries: 2}.Encode()
	if err != nil {
		f.Fatal(err)
	}

	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := DecodeState(data)
		if err != nil {
			return
		}

		again, err := s.Encode()
		if err != nil {
			t.Fatalf("%+v was read and cannot be written: %v", s, err)
		}

		if got, err := DecodeState(again); err != nil || got != s {
			t.Errorf("%+v became %+v, %v", s, got, err)
		}
	})
}

// disk is a disk in memory.
type disk []byte

func (d disk) ReadAt(p []byte, at int64) (int, error)  { return copy(p, d[at:]), nil }
func (d disk) WriteAt(p []byte, at int64) (int, error) { return copy(d[at:], p), nil }
func (d disk) Sync() error                             { return nil }

// A new core goes where the old one is not.
func TestInstall(t *testing.T) {
	const first, last = 4, 19 // two halves of 8 sectors

	boot := make([]byte, sector)
	boot[510], boot[511] = 0x55, 0xaa

	core := func(fill byte) []byte {
		core := bytes.Repeat([]byte{fill}, 7*sector)
		binary.LittleEndian.PutUint16(core[listSegment:], coreSegment)

		return core
	}

	d := make(disk, 32*sector)

	for i, step := range []struct {
		fill byte
		at   uint64
	}{{1, 4}, {1, 4}, {2, 12}, {2, 12}, {3, 4}} {
		if err := Install(d, first, last, boot, core(step.fill)); err != nil {
			t.Fatal(err)
		}

		at := binary.LittleEndian.Uint64(d[bootKernel:])
		if at != step.at || d[at*sector] != step.fill || d[510] != 0 {
			t.Errorf("step %d: at sector %d, %d", i, at, d[at*sector])
		}
	}

	if err := Install(d, first, last, boot, append(core(4), make([]byte, 2*sector)...)); !errors.Is(err, ErrImage) {
		t.Errorf("too large: %v", err)
	}
}
