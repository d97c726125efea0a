package uki

import (
	"bytes"
	"debug/pe"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func built(t testing.TB, in Image) []byte {
	t.Helper()

	data, err := Build(in)
	if err != nil {
		t.Fatal(err)
	}

	return data
}

func TestOpen(t *testing.T) {
	in := example(t)
	in.Sections[OSRelease] = []byte("# comment\nID=basalt\nNAME=\"Basalt\"\nVERSION_ID='0.1.0'\n\nno assignment\n")
	data := built(t, in)

	f, err := Open(bytes.NewReader(data), int64(len(data)))
	if err != nil || f.Architecture != "amd64" || f.Signed {
		t.Fatalf("%+v, %v", f, err)
	}

	for name, want := range in.Sections {
		s, err := f.Section(name)
		if err != nil {
			t.Fatal(err)
		}

		if got, err := io.ReadAll(s); err != nil || name != SBAT && !bytes.Equal(got, want) {
			t.Errorf("section %s has %d bytes, want %d, %v", name, len(got), len(want), err)
		}
	}

	if _, err := f.Section(Splash); !errors.Is(err, ErrNotUKI) {
		t.Errorf("a section that is not there: %v", err)
	}

	if _, err := f.Text(Initrd); err != nil {
		t.Error(err)
	}

	values, err := f.OSRelease()
	if diff := cmp.Diff(map[string]string{"ID": "basalt", "NAME": "Basalt", "VERSION_ID": "0.1.0"}, values); diff != "" || err != nil {
		t.Errorf("%v, os-release (-want +got):\n%s", err, diff)
	}

	for _, size := range []int{0, 10, 0x90, 0x200, len(data) / 2, len(data) - 1024} {
		if _, err := Open(bytes.NewReader(data), int64(size)); !errors.Is(err, ErrNotPE) {
			t.Errorf("an image cut off at %d bytes: %v", size, err)
		}
	}

	if _, err := Open(bytes.NewReader(in.Stub), int64(len(in.Stub))); !errors.Is(err, ErrNotUKI) {
		t.Errorf("a stub alone: %v", err)
	}

	arm := program(t, pe.IMAGE_FILE_MACHINE_ARM64, nil)
	if got, err := Inspect(bytes.NewReader(arm), int64(len(arm))); err != nil || got != (Program{Architecture: "arm64"}) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestRewrite(t *testing.T) {
	in := example(t)
	data := built(t, in)

	f, err := Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}

	for name, more := range map[string]string{"short": " a=b", "long": " " + strings.Repeat("x", 5000), "none": ""} {
		edit := func(cmdline string) string { return cmdline + more }

		r, size, err := f.Rewrite(edit)
		if err != nil {
			t.Fatal(err)
		}

		got, err := io.ReadAll(r)
		if err != nil || int64(len(got)) != size {
			t.Fatalf("%d bytes, %d announced, %v", len(got), size, err)
		}

		// It is what Build makes of the other command lines.
		other := example(t)
		other.Sections[Cmdline] = []byte(edit(string(in.Sections[Cmdline])))
		other.Profiles[1].Cmdline = edit(other.Profiles[1].Cmdline)

		if want := built(t, other); !bytes.Equal(got, want) {
			t.Errorf("%s: differs from what Build makes", name)
		}

		if _, err := Open(bytes.NewReader(got), size); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRewriteRefuses(t *testing.T) {
	in := example(t)
	delete(in.Sections, Cmdline)

	data := built(t, in)

	f, err := Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}

	same := func(cmdline string) string { return cmdline }
	if _, _, err := f.Rewrite(same); !errors.Is(err, ErrNotUKI) {
		t.Errorf("without a command line: %v", err)
	}

	data = built(t, example(t))
	optional := data[int(binary.LittleEndian.Uint32(data[dosNewHeader:]))+4+fileHeaderSize:]
	binary.LittleEndian.PutUint64(optional[optionalDirAt+certificates*directorySize:], 0x1234567800001000)

	if f, err = Open(bytes.NewReader(data), int64(len(data))); err != nil || !f.Signed {
		t.Fatal(err)
	}

	if _, _, err := f.Rewrite(same); !errors.Is(err, ErrSigned) {
		t.Errorf("a signed image: %v", err)
	}

	binary.LittleEndian.PutUint64(optional[optionalDirAt+certificates*directorySize:], 0)
	binary.LittleEndian.PutUint64(optional[optionalDirAt+5*directorySize:], 0x1234567800100000)

	if f, err = Open(bytes.NewReader(data), int64(len(data))); err != nil {
		t.Fatal(err)
	}

	if _, _, err := f.Rewrite(func(string) string { return strings.Repeat("x", 5000) }); err == nil {
		t.Error("a part of the program moved")
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(built(f, example(f)))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Open(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}

		file.OSRelease()

		r, size, err := file.Rewrite(func(cmdline string) string { return cmdline + " more" })
		if err != nil {
			return
		}

		if size > 1<<28 {
			return // sections may share their bytes
		}

		out, err := io.ReadAll(r)
		if err != nil || int64(len(out)) != size {
			t.Fatalf("%d bytes, %d announced, %v", len(out), size, err)
		}

		if _, err := Open(bytes.NewReader(out), size); err != nil {
			t.Errorf("what was rewritten is %v", err)
		}
	})
}
