package files

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/files"
	"github.com/basalt-os/basalt/pkg/machineconfig/document"
)

func TestEtcFilesOfAConfiguration(t *testing.T) {
	t.Parallel()

	got := etcFiles([]document.File{
		{Path: "/etc/motd", Content: "old"},
		{Path: "/etc/secret", Content: "s", Permissions: 0o600},
		{Path: "/etc/cri/conf.d/20-customization.part", Content: "[plugins]"},
		{Path: "/var/lib/a", Content: "elsewhere"},
	}, []*document.EtcFileConfig{{Name: "motd", Contents: "new"}, {Name: "app/a.conf", Mode: 0o640, Contents: "a"}})

	want := map[string]files.EtcFileSpec{
		"motd":       {Contents: "new", Mode: 0o644},
		"secret":     {Contents: "s", Mode: 0o600},
		"app/a.conf": {Contents: "a", Mode: 0o640},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestPersist(t *testing.T) {
	t.Parallel()

	name := filepath.Join(t.TempDir(), "sub", "file")

	for _, step := range []struct {
		file document.File
		want string
	}{
		{document.File{Op: "append", Content: "a\n"}, "a\n"},
		{document.File{Op: "append", Content: "a\n"}, "a\n"},
		{document.File{Op: "append", Content: "b\n"}, "a\nb\n"},
		{document.File{Op: "create", Content: "c\n"}, "c\n"},
	} {
		if err := persist(name, step.file); err != nil {
			t.Fatal(err)
		}

		if got, err := os.ReadFile(name); err != nil || string(got) != step.want {
			t.Errorf("after %+v: %q, %v, want %q", step.file, got, err, step.want)
		}
	}
}

// seen records what is under /etc.
type seen map[string]bool

func (s seen) Show(name string) error { s[name] = true; return nil }
func (s seen) Hide(name string) error { delete(s, name); return nil }

func TestEtcFilesComeAndGo(t *testing.T) {
	t.Parallel()

	root, etc, shown := t.TempDir(), seen{}, map[string]bool{}
	spec := func(name string) *resource.Resource[files.EtcFileSpec] {
		return resource.New(name, files.EtcFileSpec{Contents: name, Mode: 0o644})
	}

	for _, specs := range [][]*resource.Resource[files.EtcFileSpec]{{spec("a"), spec("sub/b")}, {spec("a")}, {}} {
		if _, err := writeEtc(root, etc, specs, shown); err != nil {
			t.Fatal(err)
		}

		want := seen{}
		for _, s := range specs {
			want[s.Meta.ID] = true
		}

		if diff := cmp.Diff(want, etc); diff != "" {
			t.Errorf("under /etc (-want +got):\n%s", diff)
		}

		if _, err := os.Stat(filepath.Join(root, "sub/b")); (err == nil) != want["sub/b"] {
			t.Errorf("file of %v: %v", want, err)
		}
	}

	if _, err := writeEtc(root, etc, []*resource.Resource[files.EtcFileSpec]{spec("../b")}, shown); err == nil {
		t.Error("a file was written outside of /etc")
	}
}
