package sbom

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/build/debian"
)

func TestModulesOfThisProgram(t *testing.T) {
	name, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}

	modules, err := Modules(name)
	if err != nil {
		t.Fatal(err)
	}

	// Go does not write down the modules of a test.
	if !slices.ContainsFunc(modules, func(m Module) bool { return m.Path == "std" && m.Version != "" }) {
		t.Errorf("the standard library is not among %v", modules)
	}

	if _, err := Modules("/etc/passwd"); err == nil {
		t.Error("a text file has modules")
	}
}

func TestEncode(t *testing.T) {
	bill := Bill{
		Name: "registry.k8s.io/etcd", Version: "3.7.3",
		Programs: []Program{{"etcd", "3.7.3", "aa"}},
		Modules: []Module{
			{"go.uber.org/zap", "v1.28.0", "h1:AAAA"}, {"github.com/a/b", "v1.0.0", ""}, {"go.uber.org/zap", "v1.28.0", "h1:AAAA"},
		},
		Packages: []debian.Package{{Name: "libc6", Version: "2.36-9+deb12u14", Architecture: "amd64", Source: "glibc", SHA256: "bb"}},
	}

	text, err := bill.Encode()
	if err != nil {
		t.Fatal(err)
	}

	var got struct {
		BOMFormat string
		Metadata  struct{ Component struct{ Type, Name string } }

		Components []struct {
			Name, Version, PURL string
			Hashes              []struct{ Content string }
		}
	}

	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}

	if got.BOMFormat != "CycloneDX" || got.Metadata.Component.Type != "container" {
		t.Errorf("head %+v", got.Metadata)
	}

	var lines []string

	for _, c := range got.Components {
		line := c.Name + " " + c.Version + " " + c.PURL
		for _, hash := range c.Hashes {
			line += " " + hash.Content
		}

		lines = append(lines, line)
	}

	want := []string{
		"etcd 3.7.3  aa",
		"github.com/a/b v1.0.0 pkg:golang/github.com/a/b@v1.0.0",
		"go.uber.org/zap v1.28.0 pkg:golang/go.uber.org/zap@v1.28.0 000000",
		"libc6 2.36-9+deb12u14 pkg:deb/debian/libc6@2.36-9+deb12u14?arch=amd64 bb",
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("components (-want +got):\n%s", diff)
	}

	if again, err := bill.Encode(); err != nil || again != text || strings.Contains(text, "timestamp") {
		t.Error("the bill is not reproducible")
	}
}

// A bill can have what others have, each part once.
func TestInclude(t *testing.T) {
	part := Bill{Name: "part", Modules: []Module{{"go.uber.org/zap", "v1.28.0", ""}}, Programs: []Program{{"etcd", "3.7.3", "aa"}}}

	text, err := part.Encode()
	if err != nil {
		t.Fatal(err)
	}

	bill := Bill{Name: "all", Files: []File{{"kernel", "bb"}}, Programs: []Program{{"etcd", "3.7.3", "aa"}, {Name: "etcd", Version: "3.7.3"}}}

	for range 2 {
		if err := bill.Include([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}

	if text, err = bill.Encode(); err != nil {
		t.Fatal(err)
	}

	var got struct{ Components []struct{ Type, Name string } }

	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}

	var names []string
	for _, c := range got.Components {
		names = append(names, c.Type+" "+c.Name)
	}

	// The second etcd is one whose digest is not known.
	want := []string{"file kernel", "application etcd", "application etcd", "library go.uber.org/zap"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	if err := bill.Include([]byte("{")); err == nil {
		t.Error("a damaged bill was included")
	}
}
