package bootloader

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

// The folder of the kernel is a folder like any other, but for its flags.
func TestFilesystem(t *testing.T) {
	f := Filesystem{t.TempDir()}
	v := loaderVariable("LoaderEntrySelected")

	if _, err := f.Read(v); !errors.Is(err, ErrNoVariable) {
		t.Errorf("a variable that is not there: %v", err)
	}

	if err := f.Delete(v); err != nil {
		t.Error(err)
	}

	for _, text := range []string{"basalt-0.1.0.efi", "ä"} {
		if err := f.Write(v, encodeText(text)); err != nil {
			t.Fatal(err)
		}

		if got, err := readText(f, v); err != nil || got != text && text != "ä" {
			t.Errorf("%q, %v", got, err)
		}
	}

	data, err := os.ReadFile(filepath.Join(f.Folder, "LoaderEntrySelected-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"))
	if want := []byte{7, 0, 0, 0, 0xe4, 0, 0, 0}; err != nil || !bytes.HasPrefix(data, want) {
		t.Errorf("file %x, %v", data, err)
	}

	if err := f.Write(Variable{vendorGlobal, "Boot0001"}, []byte("x")); err != nil {
		t.Fatal(err)
	}

	if err := f.Write(Variable{uuid.Nil, "Boot0002"}, []byte("x")); err != nil {
		t.Fatal(err)
	}

	names, err := f.List(vendorGlobal, "Boot")
	if diff := cmp.Diff([]string{"Boot0001"}, names); diff != "" || err != nil {
		t.Errorf("%v, names (-want +got):\n%s", err, diff)
	}

	if err := f.Delete(v); err != nil {
		t.Fatal(err)
	}

	if _, err := f.Read(v); !errors.Is(err, ErrNoVariable) {
		t.Errorf("a variable that was deleted: %v", err)
	}

	short := filepath.Join(f.Folder, v.File())
	if err := os.WriteFile(short, []byte{7, 0}, 0o600); err != nil {
		t.Fatal(err)
	}

	if _, err := f.Read(v); err == nil {
		t.Error("a file without attributes was read")
	}
}

func TestNoFilesystem(t *testing.T) {
	f := Filesystem{filepath.Join(t.TempDir(), "efivars")}
	v := loaderVariable("LoaderEntryDefault")

	_, readErr := f.Read(v)
	_, listErr := f.List(vendorGlobal, "")

	for _, err := range []error{readErr, listErr, f.Write(v, nil)} {
		if !errors.Is(err, ErrNoVariable) {
			t.Error(err)
		}
	}

	if err := f.Delete(v); err != nil {
		t.Error(err)
	}

	if HasUEFI(fstest.MapFS{}) || !HasUEFI(fstest.MapFS{"firmware/efi": {Mode: fs.ModeDir}}) {
		t.Error("whether there is UEFI")
	}
}

func FuzzText(f *testing.F) {
	f.Add(encodeText("basalt-0.1.0.efi"))
	f.Add([]byte{0, 0xd8, 0, 0})
	f.Fuzz(func(t *testing.T, value []byte) {
		text, err := decodeText(value)
		if err != nil {
			return
		}

		if again, err := decodeText(encodeText(text)); err != nil || again != text {
			t.Errorf("%x is %q is %q, %v", value, text, again, err)
		}
	})
}
