package imager

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/build/sbom"
	"github.com/basalt-os/basalt/internal/ocilayout"
)

func readJSON(t *testing.T, name string, value any) {
	t.Helper()

	data, err := os.ReadFile(name)
	if err == nil {
		err = json.Unmarshal(data, value)
	}

	if err != nil {
		t.Fatal(err)
	}
}

// unpackLayer puts a layer's files into a folder.
func unpackLayer(t *testing.T, dir string, content io.Reader) {
	t.Helper()

	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()

	for archive := tar.NewReader(content); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return
		}

		if err == nil {
			err = ocilayout.ExtractFile(root, header, archive)
		}

		if err != nil {
			t.Fatal(err)
		}
	}
}

// watcher writes down the steps and the last amounts.
type watcher struct {
	steps       []string
	done, total int64
}

func (w *watcher) Step(name string)          { w.steps = append(w.steps, name) }
func (w *watcher) Advance(done, total int64) { w.done, w.total = done, total }

// components are the names in a bill of materials.
func components(t *testing.T, name string) []string {
	t.Helper()

	var bill struct{ Components []struct{ Name string } }

	readJSON(t, name, &bill)

	var names []string
	for _, c := range bill.Components {
		names = append(names, c.Name)
	}

	return names
}

func TestPublish(t *testing.T) {
	p := example(t, KindImage)
	p.Name, p.Output.OutFormat = "mine", FormatZstd
	p.Input.SystemExtensions = []Container{{OCIPath: anExtension(t, "one")}}

	text, err := sbom.Bill{Name: "kernel", Programs: []sbom.Program{{Name: "linux", SHA256: "aa"}}}.Encode()
	if err != nil {
		t.Fatal(err)
	}

	// The bill beside an input is a part of the output's.
	if err := os.WriteFile(p.Input.Kernel.Path+BillSuffix, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}

	var seen watcher

	got, err := Publish(p, t.TempDir(), &seen)
	if err != nil {
		t.Fatal(err)
	}

	data, err := os.ReadFile(got.Path)
	if err != nil {
		t.Fatal(err)
	}

	want := Published{Path: got.Path, Size: int64(len(data)), SHA256: fmt.Sprintf("%x", sha256.Sum256(data))}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	line, err := os.ReadFile(got.Path + ChecksumSuffix)
	if diff := cmp.Diff(want.SHA256+"  metal-amd64.raw.zst\n", string(line)); diff != "" || err != nil {
		t.Errorf("checksum (-want +got):\n%s%v", diff, err)
	}

	if diff := cmp.Diff([]string{"initramfs", "kernel", "sdBoot", "sdStub", "one", "linux"}, components(t, got.Path+BillSuffix)); diff != "" {
		t.Errorf("bill (-want +got):\n%s", diff)
	}

	steps := []string{
		"system extensions and configuration", "metal-amd64.raw.zst of mine", "compressing", "checksum and bill of materials",
	}
	if diff := cmp.Diff(steps, seen.steps); diff != "" || seen.done != want.Size || seen.total != want.Size {
		t.Errorf("steps (-want +got):\n%s, %d of %d bytes", diff, seen.done, seen.total)
	}
}

func TestPublishInstaller(t *testing.T) {
	p := example(t, KindInstaller)
	p.Input.BaseInstaller.OCIPath = baseLayout(t, "9")

	got, err := Publish(p, t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}

	want := []string{"initramfs", "kernel", "sdBoot", "sdStub", "ghcr.io/basalt-os/installer:v0.0.9"}
	if diff := cmp.Diff(want, components(t, got.Path+BillSuffix)); diff != "" {
		t.Errorf("bill (-want +got):\n%s", diff)
	}
}

// Text has a checksum and is made of nothing; a bill that cannot be read is an
// error.
func TestPublishText(t *testing.T) {
	dir := t.TempDir()

	if _, err := Publish(example(t, KindCmdline), dir, nil); err != nil {
		t.Fatal(err)
	}

	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || !slices.Equal(files, []string{filepath.Join(dir, "cmdline-metal-amd64"), filepath.Join(dir, "cmdline-metal-amd64.sha256")}) {
		t.Errorf("files %v, %v", files, err)
	}

	p := example(t, KindKernel)
	if err := os.WriteFile(p.Input.Kernel.Path+BillSuffix, []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}

	if _, err := Publish(p, dir, nil); err == nil {
		t.Error("a damaged bill was accepted")
	}
}
