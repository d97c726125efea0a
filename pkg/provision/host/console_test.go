package host

import (
	"os"
	"path/filepath"
	"testing"
)

func TestConsoleMovesAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "console.log")

	console, err := openConsole(path, 10)
	if err != nil {
		t.Fatal(err)
	}

	for _, text := range []string{"first\n", "second\n", "third\n", "a line that is longer than the limit\n", "last\n"} {
		if _, err := console.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}

	if err := console.Close(); err != nil {
		t.Fatal(err)
	}

	if _, err := console.Write([]byte("late\n")); err == nil {
		t.Error("a closed log can be written")
	}

	for name, want := range map[string]string{path: "last\n", path + ".1": "a line that is longer than the limit\n"} {
		if got, err := os.ReadFile(name); err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}

	// Another run of the node goes on where the one before ended.
	console, err = openConsole(path, 10)
	if err != nil {
		t.Fatal(err)
	}
	defer console.Close()

	if _, err := console.Write([]byte("more\n")); err != nil {
		t.Fatal(err)
	}

	if got, err := os.ReadFile(path); err != nil || string(got) != "last\nmore\n" {
		t.Errorf("got %q, %v", got, err)
	}
}
