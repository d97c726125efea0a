package ocilayout

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// folder is a layout that is being written.
type folder struct {
	t   *testing.T
	dir string
}

func newFolder(t *testing.T) folder {
	t.Helper()

	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "blobs/sha256"), 0o755); err != nil {
		t.Fatal(err)
	}

	return folder{t, dir}
}

func (f folder) blob(data []byte) v1.Descriptor {
	f.t.Helper()

	d := digest.FromBytes(data)
	if err := os.WriteFile(filepath.Join(f.dir, "blobs/sha256", d.Encoded()), data, 0o644); err != nil {
		f.t.Fatal(err)
	}

	return v1.Descriptor{Digest: d, Size: int64(len(data))}
}

func (f folder) json(value any) []byte {
	f.t.Helper()

	data, err := json.Marshal(value)
	if err != nil {
		f.t.Fatal(err)
	}

	return data
}

// image is an image with one layer.
func (f folder) image(name, command string, layer []byte) v1.Descriptor {
	f.t.Helper()

	d := f.blob(f.json(v1.Manifest{
		Config: f.blob(f.json(v1.Image{Config: v1.ImageConfig{Cmd: []string{command}}})), Layers: []v1.Descriptor{f.blob(layer)},
	}))
	d.Annotations = map[string]string{v1.AnnotationRefName: name}

	return d
}

func (f folder) index(images ...v1.Descriptor) {
	f.t.Helper()

	if err := os.WriteFile(filepath.Join(f.dir, "index.json"), f.json(v1.Index{Manifests: images}), 0o644); err != nil {
		f.t.Fatal(err)
	}
}

// packed is text as several tools compress it.
func packed(t *testing.T, text string) map[string][]byte {
	t.Helper()

	var zipped, zstded bytes.Buffer

	z := gzip.NewWriter(&zipped)

	s, err := zstd.NewWriter(&zstded)
	if err != nil {
		t.Fatal(err)
	}

	for _, w := range []io.WriteCloser{z, s} {
		if _, err := io.WriteString(w, text); err != nil || w.Close() != nil {
			t.Fatal(err)
		}
	}

	return map[string][]byte{"plain": []byte(text), "gzip": zipped.Bytes(), "zstd": zstded.Bytes()}
}

func TestImages(t *testing.T) {
	f := newFolder(t)

	var images []v1.Descriptor
	for name, data := range packed(t, "content") {
		images = append(images, f.image(name, name, data))
	}

	f.index(images...)

	tarball := filepath.Join(t.TempDir(), "layout.tar")

	out, err := os.Create(tarball)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()

	w := tar.NewWriter(out)
	if err := w.AddFS(os.DirFS(f.dir)); err != nil || w.Close() != nil {
		t.Fatal(err)
	}

	extracted, err := Extract(tarball, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}

	for _, layout := range []Layout{Open(f.dir), extracted} {
		names, err := layout.Names()
		if diff := cmp.Diff([]string{"gzip", "plain", "zstd"}, names); diff != "" || err != nil {
			t.Errorf("names (-want +got):\n%s%v", diff, err)
		}

		for _, name := range names {
			checkImage(t, layout, name)
		}
	}
}

func checkImage(t *testing.T, layout Layout, name string) {
	t.Helper()

	image, err := layout.Image(name, "amd64")
	if err != nil {
		t.Fatal(err)
	}

	config, err := image.Config()
	if diff := cmp.Diff([]string{name}, config.Config.Cmd); diff != "" || err != nil {
		t.Errorf("%s: command (-want +got):\n%s%v", name, diff, err)
	}

	layer, err := image.OpenLayer(0)
	if err != nil {
		t.Fatal(err)
	}
	defer layer.Close()

	if data, err := io.ReadAll(layer); string(data) != "content" || err != nil {
		t.Errorf("%s: layer %q, %v", name, data, err)
	}
}

func TestRefused(t *testing.T) {
	f := newFolder(t)
	good := f.image("good", "x", []byte("content"))
	other := good
	other.Digest = "sha256:1234"

	for name, test := range map[string]struct {
		layout string
		image  string
		index  []v1.Descriptor
	}{
		"no layout":      {layout: t.TempDir()},
		"no image":       {layout: f.dir},
		"another name":   {layout: f.dir, image: "bad", index: []v1.Descriptor{good}},
		"no such digest": {layout: f.dir, index: []v1.Descriptor{other}},
	} {
		f.index(test.index...)

		if _, err := Open(test.layout).Image(test.image, "amd64"); !errors.Is(err, ErrLayout) {
			t.Errorf("%s: %v", name, err)
		}
	}

	f.index(good)

	image, err := Open(f.dir).Image("", "amd64")
	if err != nil {
		t.Fatal(err)
	}

	file, err := image.LayerFile(0)
	if err != nil {
		t.Fatal(err)
	}

	if err := os.WriteFile(file, []byte("damaged"), 0o644); err != nil {
		t.Fatal(err)
	}

	if _, err := image.OpenLayer(0); !errors.Is(err, ErrLayout) {
		t.Errorf("damaged: %v", err)
	}
}

func FuzzImage(f *testing.F) {
	f.Add(`{"manifests": [{"digest": "sha256:12", "size": 3}]}`)
	f.Fuzz(func(t *testing.T, index string) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "index.json"), []byte(index), 0o644); err != nil {
			t.Fatal(err)
		}

		if _, err := Open(dir).Image("", "amd64"); err == nil {
			t.Error("an image without blobs was found")
		}
	})
}
