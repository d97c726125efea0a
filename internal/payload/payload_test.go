package payload

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

const helloSum = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

func example() Manifest {
	return Manifest{
		Version: "0.1.0", Arch: "amd64", Profile: "cloud", Kernel: "6.12",
		Files: []File{{Path: "usr/install/amd64/vmlinuz.efi", Size: 5, SHA256: helloSum}},
	}
}

// image is an image's root with the manifest and a file.
func image(t *testing.T, m Manifest, content string) fstest.MapFS {
	t.Helper()

	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}

	return fstest.MapFS{ManifestFile: {Data: data}, "usr/install/amd64/vmlinuz.efi": {Data: []byte(content)}}
}

func TestRead(t *testing.T) {
	root := image(t, example(), "hello")

	m, err := Read(root)
	if diff := cmp.Diff(example(), m); diff != "" || err != nil {
		t.Fatalf("manifest (-want +got):\n%s%v", diff, err)
	}

	data, err := m.Load(root, UKI)
	if string(data) != "hello" || err != nil {
		t.Errorf("%q, %v", data, err)
	}

	if _, err := m.Load(root, SystemdBoot); !errors.Is(err, ErrPayload) {
		t.Errorf("a file that is not there: %v", err)
	}

	if _, err := Read(fstest.MapFS{}); !errors.Is(err, ErrPayload) {
		t.Errorf("an image without a manifest: %v", err)
	}
}

func TestDamage(t *testing.T) {
	for name, content := range map[string]string{"changed": "hellO", "cut off": "hell", "longer": "hello!"} {
		root := image(t, example(), content)

		m, err := Read(root)
		if err != nil {
			t.Fatal(err)
		}

		if _, err := m.Load(root, UKI); !errors.Is(err, ErrPayload) {
			t.Errorf("%s: %v", name, err)
		}
	}

	root := image(t, example(), "hello")
	delete(root, "usr/install/amd64/vmlinuz.efi")

	if _, err := example().Load(root, UKI); !errors.Is(err, ErrPayload) {
		t.Errorf("missing: %v", err)
	}
}

func TestBadManifest(t *testing.T) {
	for name, change := range map[string]func(*Manifest){
		"no version":   func(m *Manifest) { m.Version = "" },
		"path version": func(m *Manifest) { m.Version = "../x" },
		"no arch":      func(m *Manifest) { m.Arch = "" },
		"upward path":  func(m *Manifest) { m.Files[0].Path = "usr/install/../../x" },
		"other path":   func(m *Manifest) { m.Files[0].Path = "etc/passwd" },
		"size":         func(m *Manifest) { m.Files[0].Size = -1 },
		"digest":       func(m *Manifest) { m.Files[0].SHA256 = strings.Repeat("0", 63) },
	} {
		m := example()
		change(&m)

		if _, err := Read(image(t, m, "hello")); !errors.Is(err, ErrPayload) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	data, err := json.Marshal(example())
	if err != nil {
		f.Fatal(err)
	}

	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Parse(data)
		if err != nil {
			return
		}

		for _, file := range m.Files {
			if strings.Contains("/"+file.Path+"/", "/../") {
				t.Errorf("path %q leaves the image", file.Path)
			}
		}
	})
}
