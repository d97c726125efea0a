package extension

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/basalt-os/basalt/internal/ocilayout"
)

const manifest = `version: v1alpha1
metadata:
  name: hello
  version: v1.0.0
  author: somebody
  compatibility:
    talos:
      version: ">= v1.5.0, < v2.0.0"
`

// archive is a layer with these entries.
func archive(t *testing.T, headers ...tar.Header) *bytes.Buffer {
	t.Helper()

	var out bytes.Buffer

	w := tar.NewWriter(&out)

	for _, h := range headers {
		content := h.Xattrs["content"]              //nolint:staticcheck // the test's own place for it
		h.Xattrs, h.Size = nil, int64(len(content)) //nolint:staticcheck // see above

		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}

		if h.Mode == 0 {
			h.Mode = 0o644
		}

		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}

		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
	}

	if err := w.Close(); err != nil {
		t.Fatal(err)
	}

	return &out
}

func file(name, content string) tar.Header {
	return tar.Header{Name: name, Xattrs: map[string]string{"content": content}} //nolint:staticcheck // see archive
}

func names(e *Extension) []string {
	var result []string
	for _, entry := range e.Entries() {
		result = append(result, entry.Name)
	}

	slices.Sort(result)

	return result
}

func TestUnpack(t *testing.T) {
	lower := archive(t, file("manifest.yaml", manifest), tar.Header{Name: "./rootfs/usr/", Typeflag: tar.TypeDir, Mode: 0o755},
		file("rootfs/usr/local/bin/hello", "old"), file("rootfs/usr/local/gone", "x"), file("rootfs/usr/local/all/1", "x"),
		file("README", "x"))
	upper := archive(t, file("rootfs/usr/local/bin/hello", "new"), file("rootfs/usr/local/.wh.gone", ""),
		file("rootfs/usr/local/all/.wh..wh..opq", ""), file("rootfs/usr/local/all/2", "x"),
		tar.Header{Name: "rootfs/usr/local/bin/hi", Typeflag: tar.TypeSymlink, Linkname: "hello", Mode: 0o777},
		tar.Header{Name: "rootfs/usr/local/bin/hey", Typeflag: tar.TypeLink, Linkname: "rootfs/usr/local/bin/hello"})

	e, err := Unpack(t.TempDir(), lower, upper)
	if err != nil {
		t.Fatal(err)
	}

	want := []string{"usr", "usr/local/all/2", "usr/local/bin/hello", "usr/local/bin/hey", "usr/local/bin/hi"}
	if diff := cmp.Diff(want, names(e)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}

	content, err := e.files["usr/local/bin/hey"].Open()
	if err != nil {
		t.Fatal(err)
	}

	if data, err := io.ReadAll(content); string(data) != "new" || err != nil {
		t.Errorf("content %q, %v", data, err)
	}

	if !e.Has("usr/local") || e.Has("usr/lib/modules") || e.Manifest.Metadata.Version != "v1.0.0" {
		t.Errorf("extension %+v", e.Manifest)
	}
}

func TestRefused(t *testing.T) {
	for name, entries := range map[string][]tar.Header{
		"no manifest":   {file("rootfs/usr/local/a", "")},
		"bad manifest":  {file("manifest.yaml", "version: v2\nmetadata: {name: a}")},
		"no name":       {file("manifest.yaml", "version: v1alpha1")},
		"other place":   {file("manifest.yaml", manifest), file("rootfs/usr/bin/init", "")},
		"passwords":     {file("manifest.yaml", manifest), file("rootfs/etc/passwd", "")},
		"upward":        {file("manifest.yaml", manifest), file("rootfs/usr/local/../../etc/passwd", "")},
		"setuid":        {file("manifest.yaml", manifest), {Name: "rootfs/usr/local/a", Mode: 0o4755}},
		"writable":      {file("manifest.yaml", manifest), {Name: "rootfs/usr/local/a", Mode: 0o666}},
		"somebody's":    {file("manifest.yaml", manifest), {Name: "rootfs/usr/local/a", Uid: 1000}},
		"device":        {file("manifest.yaml", manifest), {Name: "rootfs/usr/local/a", Typeflag: tar.TypeChar}},
		"link to none":  {file("manifest.yaml", manifest), {Name: "rootfs/usr/local/a", Typeflag: tar.TypeLink, Linkname: "x"}},
		"allowed's end": {file("manifest.yaml", manifest), file("rootfs/usr/localx", "")},
	} {
		if _, err := Unpack(t.TempDir(), archive(t, entries...)); !errors.Is(err, ErrExtension) && name != "upward" {
			t.Errorf("%s: %v", name, err)
		} else if name == "upward" && err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestFits(t *testing.T) {
	for constraint, want := range map[string]bool{
		"": true, ">= v1.5.0": true, ">= v1.5.0, < v2.0.0": true, "> 1.14.0": false, "<= 1.14.0": true, "v1.14.0": true,
		"!= 1.14.0": false, ">= v1.15.0-alpha.0": false, "~1.2": false, ">= x": false,
	} {
		m := Manifest{Metadata: Metadata{Compatibility: Compatibility{Talos: Constraint{constraint}}}}
		if err := m.Fits("v1.14.0"); (err == nil) != want {
			t.Errorf("%q: %v", constraint, err)
		}
	}
}

func TestLayers(t *testing.T) {
	want := Layers{Layers: []Layer{{Image: ImageName(0, "hello"), Metadata: Metadata{Name: "hello", Version: "v1", Author: "a"}}}}

	data, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}

	got, err := ParseLayers(data)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("layers (-want +got):\n%s%v", diff, err)
	}

	for _, bad := range []string{"layers: [{image: ../x.sqsh}]", "layers: [{image: a.txt}]", "layers: x", "layers: [{image: a.sqsh}, {image: a.sqsh}]"} {
		if _, err := ParseLayers([]byte(bad)); !errors.Is(err, ErrExtension) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// layout writes an OCI layout with one image of one layer, compressed.
func layout(t *testing.T, layer []byte, damage bool) string {
	t.Helper()

	dir := t.TempDir()
	blob := func(data []byte) v1.Descriptor {
		d := digest.FromBytes(data)
		if err := os.WriteFile(filepath.Join(dir, "blobs/sha256", d.Encoded()), data, 0o644); err != nil {
			t.Fatal(err)
		}

		return v1.Descriptor{Digest: d, Size: int64(len(data))}
	}

	encode := func(value any) []byte {
		data, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}

		return data
	}

	if err := os.MkdirAll(filepath.Join(dir, "blobs/sha256"), 0o755); err != nil {
		t.Fatal(err)
	}

	var packed bytes.Buffer

	w := gzip.NewWriter(&packed)
	if _, err := w.Write(layer); err != nil || w.Close() != nil {
		t.Fatal(err)
	}

	d := blob(packed.Bytes())
	if damage {
		if err := os.WriteFile(filepath.Join(dir, "blobs/sha256", d.Digest.Encoded()), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}

	other := blob([]byte("of another architecture"))
	other.Platform = &v1.Platform{Architecture: "arm64"}
	image := blob(encode(v1.Manifest{Layers: []v1.Descriptor{d}}))
	image.Platform = &v1.Platform{Architecture: "amd64"}
	inner := blob(encode(v1.Index{Manifests: []v1.Descriptor{other, image}}))

	if err := os.WriteFile(filepath.Join(dir, "index.json"), encode(v1.Index{Manifests: []v1.Descriptor{inner}}), 0o644); err != nil {
		t.Fatal(err)
	}

	return dir
}

func TestLayout(t *testing.T) {
	layer := archive(t, file("manifest.yaml", manifest), file("rootfs/usr/local/a", "")).Bytes()

	e, err := UnpackLayout(t.TempDir(), ocilayout.Open(layout(t, layer, false)), "", "amd64")
	if err != nil || !slices.Equal(names(e), []string{"usr/local/a"}) {
		t.Errorf("%v, %v", e, err)
	}

	if _, err := UnpackLayout(t.TempDir(), ocilayout.Open(layout(t, layer, false)), "", "riscv64"); !errors.Is(err, ErrExtension) {
		t.Errorf("another architecture: %v", err)
	}

	if _, err := UnpackLayout(t.TempDir(), ocilayout.Open(layout(t, layer, true)), "", "amd64"); !errors.Is(err, ErrExtension) {
		t.Errorf("damaged: %v", err)
	}

	if _, err := UnpackLayout(t.TempDir(), ocilayout.Open(t.TempDir()), "", "amd64"); !errors.Is(err, ErrExtension) {
		t.Errorf("no layout: %v", err)
	}
}

func FuzzUnpack(f *testing.F) {
	var out bytes.Buffer

	w := tar.NewWriter(&out)
	w.WriteHeader(&tar.Header{Name: "manifest.yaml", Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(manifest))})
	io.WriteString(w, manifest)
	w.WriteHeader(&tar.Header{Name: "rootfs/usr/local/a", Typeflag: tar.TypeReg, Mode: 0o644})
	w.Close()

	f.Add(out.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := Unpack(t.TempDir(), bytes.NewReader(data))
		if err != nil {
			return
		}

		for _, entry := range e.Entries() {
			if strings.Contains("/"+entry.Name+"/", "/../") || checkPath(entry.Name, entry.Mode.IsDir()) != nil {
				t.Errorf("%q was unpacked", entry.Name)
			}
		}
	})
}

func FuzzParseLayers(f *testing.F) {
	f.Add("layers: [{image: a.sqsh, metadata: {name: a}}]")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := ParseLayers([]byte(text))
		if err != nil {
			return
		}

		for _, layer := range l.Layers {
			if strings.Contains(layer.Image, "/") {
				t.Errorf("image %q", layer.Image)
			}
		}
	})
}
