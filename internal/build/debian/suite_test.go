package debian

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSourcesOfAnotherSuite(t *testing.T) {
	const stanzas = `# a comment
Types: deb
# another
URIs: http://archive.example/debian
Suites: bookworm bookworm-updates bookworm-backports
Components: main
Signed-By: /usr/share/keyrings/k.gpg

Types: deb
URIs: http://other.example/x
Suites: nodistro
Components: main

Types: deb
URIs: http://third.example/x
Suites: bookworm
Components: stable
`

	const lines = `# deb http://archive.example/debian bookworm main
deb http://archive.example/debian bookworm main contrib # for all
deb [ arch=amd64 signed-by=/k.gpg ] http://archive.example/security bookworm-security main
deb-src http://archive.example/debian bookworm main
deb https://third.example/apt cloud-sdk-bookworm main
deb https://third.example/apt bookworm stable
`

	etc, state := t.TempDir(), t.TempDir()
	put(t, filepath.Join(etc, "os-release"), "ID=debian\nVERSION_CODENAME=\"bookworm\"\n")
	put(t, filepath.Join(etc, "apt/sources.list"), lines)
	put(t, filepath.Join(etc, "apt/sources.list.d/debian.sources"), stanzas)
	put(t, filepath.Join(etc, "apt/sources.list.d/other.list"), "deb http://other.example/x nodistro main\n")

	a := Apt{State: state, Sources: filepath.Join(state, "sources")}
	put(t, filepath.Join(a.Sources, "of-before.list"), "deb x y z\n")

	if err := a.writeSources(etc, "trixie", []string{"main", "non-free-firmware"}); err != nil {
		t.Fatal(err)
	}

	want := map[string]string{
		"debian.sources": `Types: deb
URIs: http://archive.example/debian
Suites: trixie trixie-updates
Components: main non-free-firmware
Signed-By: /usr/share/keyrings/k.gpg

`,
		"sources.list": `deb http://archive.example/debian trixie main contrib non-free-firmware
deb [ arch=amd64 signed-by=/k.gpg] http://archive.example/security trixie-security main non-free-firmware
`,
	}
	got := map[string]string{}

	entries, err := os.ReadDir(a.Sources)
	if err != nil {
		t.Fatal(err)
	}

	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(a.Sources, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}

		got[entry.Name()] = string(data)
	}

	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sources (-want +got):\n%s", diff)
	}
}

func TestNoSuite(t *testing.T) {
	etc, state := t.TempDir(), t.TempDir()
	put(t, filepath.Join(etc, "os-release"), "ID=other\n")
	put(t, filepath.Join(etc, "apt/sources.list"), "deb http://archive.example/debian bookworm main\n")

	a := Apt{State: state, Sources: filepath.Join(state, "sources")}
	if err := a.writeSources(etc, "trixie", nil); !errors.Is(err, ErrNoSuite) {
		t.Errorf("error %v", err)
	}
}

func TestFresh(t *testing.T) {
	a := Apt{State: t.TempDir()}
	now := time.Now()

	if exist, fresh := a.Fresh(now); exist || fresh {
		t.Error("no lists are fresh")
	}

	put(t, filepath.Join(a.State, updatedFile), "")

	if exist, fresh := a.Fresh(now); !exist || !fresh {
		t.Error("new lists are not fresh")
	}

	if exist, fresh := a.Fresh(now.Add(2 * listAge)); !exist || fresh {
		t.Error("old lists are fresh")
	}
}

func TestPrintedNames(t *testing.T) {
	const text = `'http://archive.example/libc6_2.41-12_amd64.deb' libc6_2.41-12_amd64.deb 2850108 SHA256:00
'http://archive.example/x%3a1' libaudit1_1%3a4.0.2-2_amd64.deb 57680 MD5Sum:00
Reading package lists...
`
	if diff := cmp.Diff([]string{"libc6", "libaudit1"}, printedNames(text)); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func put(t *testing.T, name, data string) {
	t.Helper()

	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}

	if err := os.WriteFile(name, []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
}
