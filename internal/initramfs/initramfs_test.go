package initramfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// list reads an archive as the kernel does.
func list(t *testing.T, data []byte) []string {
	t.Helper()

	var entries []string

	at := 0
	up := func(n int) int { return (n + 3) / 4 * 4 }

	for at+110 <= len(data) {
		field := func(i int) int {
			n, err := strconv.ParseUint(string(data[at+6+8*i:at+14+8*i]), 16, 32)
			if err != nil {
				t.Fatal(err)
			}

			return int(n)
		}

		if string(data[at:at+6]) != "070701" {
			t.Fatalf("no entry at %d: %q", at, data[at:at+6])
		}

		mode, links, size, nameSize := field(1), field(4), field(6), field(11)
		name := string(data[at+110 : at+110+nameSize-1])
		at = up(at + 110 + nameSize)

		if name == trailer {
			if at != len(data) {
				t.Errorf("%d bytes after the end", len(data)-at)
			}

			return entries
		}

		entries = append(entries, fmt.Sprintf("%s %o %d %q", name, mode, links, data[at:at+size]))
		at = up(at + size)
	}

	t.Fatal("the archive has no end")

	return nil
}

func TestWriter(t *testing.T) {
	write := func() []byte {
		var out bytes.Buffer

		w := NewWriter(&out)

		for _, err := range []error{
			w.File("/init", 0o755, 7, strings.NewReader("program")),
			w.File("lib/modules/a.ko", 0o644, 3, strings.NewReader("abc")),
			w.Dir("lib", 0o700),
			w.Dir("proc", 0o555),
			w.File("empty", 0o600, 0, strings.NewReader("")),
			w.Close(),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}

		return out.Bytes()
	}

	want := []string{
		`init 100755 1 "program"`, `lib 40755 2 ""`, `lib/modules 40755 2 ""`, `lib/modules/a.ko 100644 1 "abc"`,
		`proc 40555 2 ""`, `empty 100600 1 ""`,
	}

	data := write()
	if diff := cmp.Diff(want, list(t, data)); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}

	if !bytes.Equal(data, write()) {
		t.Error("two archives of the same files differ")
	}
}

func TestRefused(t *testing.T) {
	w := NewWriter(io.Discard)
	if err := w.File("file", 0o644, 0, strings.NewReader("")); err != nil {
		t.Fatal(err)
	}

	text := strings.NewReader

	for name, c := range map[string]struct{ got, want error }{
		"root":        {w.Dir("/", 0o755), ErrName},
		"end":         {w.File(trailer, 0o644, 0, text("")), ErrName},
		"zero byte":   {w.File("a\x00", 0o644, 0, text("")), ErrName},
		"twice":       {w.File("file", 0o644, 0, text("")), ErrName},
		"in a file":   {w.File("file/x", 0o644, 0, text("")), ErrName},
		"negative":    {w.File("negative", 0o644, -1, text("")), ErrSize},
		"large":       {w.File("large", 0o644, 1<<32, text("")), ErrSize},
		"too little":  {w.File("little", 0o644, 2, text("x")), ErrSize},
		"too much":    {w.File("much", 0o644, 2, text("xyz")), ErrSize},
		"broken disk": {NewWriter(broken{}).Close(), io.ErrClosedPipe},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("%s: %v, want %v", name, c.got, c.want)
		}
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
