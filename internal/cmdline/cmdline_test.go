package cmdline_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/cmdline"
)

func TestParse(t *testing.T) {
	t.Parallel()

	word := func(name string) cmdline.Argument { return cmdline.Argument{Name: name} }
	set := func(name, value string) cmdline.Argument {
		return cmdline.Argument{Name: name, Value: value, Set: true}
	}

	for _, test := range []struct {
		text string
		want cmdline.Line
	}{
		{"", nil},
		{" \t\n", nil},
		{"quiet ro\n", cmdline.Line{word("quiet"), word("ro")}},
		{"slab_nomerge= pti=on", cmdline.Line{set("slab_nomerge", ""), set("pti", "on")}},
		{"root=UUID=1-2", cmdline.Line{set("root", "UUID=1-2")}},
		{`dyndbg="file a.c +p" x`, cmdline.Line{set("dyndbg", "file a.c +p"), word("x")}},
		{`"dyndbg=file a.c +p" x`, cmdline.Line{set("dyndbg", "file a.c +p"), word("x")}},
		{`a=b" c"d`, cmdline.Line{set("a", `b" c"d`)}}, // quotes inside stay, as in the kernel
		{`a="b c`, cmdline.Line{set("a", "b c")}},
		{"a -- b=c", cmdline.Line{word("a")}},
		{"=x a", cmdline.Line{word("a")}},
	} {
		if diff := cmp.Diff(test.want, cmdline.Parse(test.text)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", test.text, diff)
		}
	}
}

func TestValues(t *testing.T) {
	t.Parallel()

	line := cmdline.Parse("console=tty0 console=ttyS0,115200 talos.dashboard.disabled=1 init-on-alloc=0 quiet")

	if diff := cmp.Diff([]string{"tty0", "ttyS0,115200"}, line.All("console")); diff != "" {
		t.Errorf("all values (-want +got):\n%s", diff)
	}

	if got, ok := line.Get("console"); got != "ttyS0,115200" || !ok {
		t.Errorf("the last value: %q, %v", got, ok)
	}

	if got, ok := line.Get("none"); got != "" || ok {
		t.Errorf("no value: %q, %v", got, ok)
	}

	for name, want := range map[string]bool{
		"talos.dashboard.disabled": true, "quiet": true, "init_on_alloc": false, "none": false,
	} {
		if got := line.Has(name); got != want {
			t.Errorf("has %s: %v", name, got)
		}
	}
}

func TestRead(t *testing.T) {
	t.Parallel()

	proc := t.TempDir()
	if err := os.WriteFile(filepath.Join(proc, "cmdline"), []byte("a=1 b\n"), 0o644); err != nil {
		t.Fatal(err)
	}

	line, err := cmdline.Read(proc)
	if err != nil || len(line) != 2 {
		t.Errorf("read %v, %v", line, err)
	}

	if _, err := cmdline.Read(filepath.Join(proc, "none")); err == nil {
		t.Error("a command line that is not there was read")
	}
}

// Whatever the text, no argument has a name with "=", and a line of simple
// words reads back as what it was.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"a=b c", `a="b c" d`, `"a=b c"`, `a -- b`, "\"", "a=\"", "  = "} {
		f.Add(seed)
	}

	f.Fuzz(func(t *testing.T, text string) {
		line := cmdline.Parse(text)

		var words []string

		for _, a := range line {
			if a.Name == "" || strings.Contains(a.Name, "=") {
				t.Errorf("%q has an argument named %q", text, a.Name)
			}

			words = append(words, a.String())
		}

		if strings.ContainsAny(text, `"`) {
			return
		}

		if diff := cmp.Diff(line, cmdline.Parse(strings.Join(words, " "))); diff != "" {
			t.Errorf("%q read again (-want +got):\n%s", text, diff)
		}
	})
}
