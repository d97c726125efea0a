package oci

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/basalt-os/basalt/internal/build/tree"
)

func layer(t *testing.T, text string) Layer {
	t.Helper()

	dir := t.TempDir()
	if err := WriteLayer(dir, tree.New().Text("a", 0o644, text), Small); err != nil {
		t.Fatal(err)
	}

	l, err := ReadLayer(dir)
	if err != nil {
		t.Fatal(err)
	}

	return l
}

func TestLayerIsReproducible(t *testing.T) {
	one, other := layer(t, "text"), layer(t, "text")
	if one.Digest != other.Digest || one.DiffID != other.DiffID || one.Size != other.Size {
		t.Errorf("%+v and %+v", one, other)
	}

	if one.Digest == layer(t, "another text").Digest {
		t.Error("another content has the same digest")
	}
}

func read(t *testing.T, dir string, value any, path ...string) {
	t.Helper()

	data, err := os.ReadFile(filepath.Join(append([]string{dir}, path...)...))
	if err != nil {
		t.Fatal(err)
	}

	if err := json.Unmarshal(data, value); err != nil {
		t.Fatal(err)
	}
}

func TestLayout(t *testing.T) {
	shared, own := layer(t, "shared"), layer(t, "own")
	images := []Image{
		{Names: []string{"example.com/a:1", "example.com/a:2"}, Layers: []Layer{shared, own},
			Config: v1.ImageConfig{Entrypoint: []string{"/a"}}},
		{Names: []string{"example.com/b:1"}, Layers: []Layer{shared}},
	}
	dir := t.TempDir()

	digests, err := WriteLayout(dir, images, none)
	if err != nil {
		t.Fatal(err)
	}

	var index v1.Index

	read(t, dir, &index, "index.json")

	got := map[string]string{}
	for _, d := range index.Manifests {
		got[d.Annotations[v1.AnnotationRefName]] = d.Digest.String()
	}

	want := map[string]string{
		"example.com/a:1": digests[0].String(), "example.com/a:2": digests[0].String(), "example.com/b:1": digests[1].String(),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("index (-want +got):\n%s", diff)
	}

	var (
		manifest v1.Manifest
		config   v1.Image
	)

	read(t, dir, &manifest, "blobs", "sha256", digests[0].Encoded())
	read(t, dir, &config, "blobs", "sha256", manifest.Config.Digest.Encoded())

	if config.OS != "linux" || len(config.RootFS.DiffIDs) != 2 || config.RootFS.DiffIDs[1] != own.DiffID {
		t.Errorf("config %+v", config)
	}

	// Two manifests, two configs, two layers: the shared one is there once.
	if n := blobs(t, dir); n != 6 {
		t.Errorf("%d blobs", n)
	}
}

func blobs(t *testing.T, dir string) int {
	t.Helper()

	files, err := os.ReadDir(filepath.Join(dir, "blobs", "sha256"))
	if err != nil {
		t.Fatal(err)
	}

	return len(files)
}

func TestLayoutForgetsOldImages(t *testing.T) {
	dir := t.TempDir()

	for _, text := range []string{"old", "new"} {
		if _, err := WriteLayout(dir, []Image{{Names: []string{"example.com/a:1"}, Layers: []Layer{layer(t, text)}}}, none); err != nil {
			t.Fatal(err)
		}
	}

	if n := blobs(t, dir); n != 3 {
		t.Errorf("%d blobs, want a manifest, a config and a layer", n)
	}
}

func TestLayoutRepairsShortBlobs(t *testing.T) {
	dir := t.TempDir()
	image := Image{Names: []string{"example.com/a:1"}, Layers: []Layer{layer(t, "text")}}

	if _, err := WriteLayout(dir, []Image{image}, none); err != nil {
		t.Fatal(err)
	}

	name := filepath.Join(dir, "blobs", "sha256", image.Layers[0].Digest.Encoded())
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}

	if err := os.WriteFile(name, []byte("half"), 0o644); err != nil {
		t.Fatal(err)
	}

	if _, err := WriteLayout(dir, []Image{image}, none); err != nil {
		t.Fatal(err)
	}

	if info, err := os.Stat(name); err != nil || info.Size() != image.Layers[0].Size {
		t.Errorf("the blob is still broken: %v, %v", info, err)
	}
}

func none(string) bool { return false }

func TestLayoutKeepsImages(t *testing.T) {
	dir := t.TempDir()
	one := Image{Names: []string{"example.com/a:1"}, Layers: []Layer{layer(t, "one")}}
	two := Image{Names: []string{"example.com/b:1"}, Layers: []Layer{layer(t, "two")}}

	if _, err := WriteLayout(dir, []Image{one, two}, none); err != nil {
		t.Fatal(err)
	}

	three := Image{Names: []string{"example.com/c:1"}, Layers: []Layer{layer(t, "three")}}

	if _, err := WriteLayout(dir, []Image{three}, func(name string) bool { return name == "example.com/b:1" }); err != nil {
		t.Fatal(err)
	}

	var index v1.Index

	read(t, dir, &index, "index.json")

	var names []string

	for _, d := range index.Manifests {
		var manifest v1.Manifest

		read(t, dir, &manifest, "blobs", "sha256", d.Digest.Encoded())

		if _, err := os.Stat(filepath.Join(dir, "blobs", "sha256", manifest.Layers[0].Digest.Encoded())); err != nil {
			t.Error(err)
		}

		names = append(names, d.Annotations[v1.AnnotationRefName])
	}

	if diff := cmp.Diff([]string{"example.com/c:1", "example.com/b:1"}, names); diff != "" {
		t.Errorf("images (-want +got):\n%s", diff)
	}

	if blobs, err := os.ReadDir(filepath.Join(dir, "blobs", "sha256")); err != nil || len(blobs) != 6 {
		t.Errorf("%d blobs, error %v", len(blobs), err)
	}
}
