package build

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/build/oci"
	"github.com/basalt-os/basalt/internal/build/tree"
)

const repository = "../.."

func TestComponentsHaveVersionAndChecksum(t *testing.T) {
	for _, c := range components([]string{DefaultKubernetes, "1.35.4"}, "") {
		o, err := c.origin(repository)
		if err != nil {
			t.Error(err)

			continue
		}

		if o.Version == "" || o.Module == "" {
			t.Errorf("%s: %+v", c.name, o)
		}

		if own := strings.HasPrefix(o.Module, ownModule); !own && !strings.HasPrefix(o.Sum, "h1:") {
			t.Errorf("%s has no checksum: %+v", c.name, o)
		}

		if version, ok := strings.CutPrefix(c.name, "kubernetes-"); ok && o.Version != "v"+version {
			t.Errorf("%s is of version %s", c.name, o.Version)
		}
	}
}

// Everything that a cluster is made of has one version of each library: what
// components share is compiled once, and there is one version to look after.
func TestOneVersionOfEachModule(t *testing.T) {
	versions := map[string]map[string][]string{} // folders by module and version

	for _, c := range components([]string{DefaultKubernetes}, "") {
		if c.c != nil {
			continue
		}

		mod, err := c.readGoMod(repository)
		if err != nil {
			t.Fatal(err)
		}

		replaced := map[string]string{}
		for _, r := range mod.Replace {
			replaced[r.Old.Path] = r.New.Version
		}

		for _, r := range mod.Require {
			version := r.Mod.Version
			if v, ok := replaced[r.Mod.Path]; ok {
				version = v
			}

			if versions[r.Mod.Path] == nil {
				versions[r.Mod.Path] = map[string][]string{}
			}

			if dirs := versions[r.Mod.Path][version]; !slices.Contains(dirs, c.dir) {
				versions[r.Mod.Path][version] = append(dirs, c.dir)
			}
		}
	}

	if len(versions) < 100 {
		t.Fatalf("only %d modules", len(versions))
	}

	for module, folders := range versions {
		// containerd offers a later interface than the kubelet asks for.
		if len(folders) > 1 && module != "k8s.io/cri-api" {
			t.Errorf("%s has several versions, in go.mod of: %v", module, folders)
		}
	}
}

func TestUnknownKubernetes(t *testing.T) {
	c := kubernetesComponents("1.20.0", true)[0]
	if _, err := c.origin(repository); err == nil || !strings.Contains(err.Error(), "kubernetes-1.20.0") {
		t.Errorf("error %v", err)
	}
}

func TestSourceKey(t *testing.T) {
	root := t.TempDir()
	put := func(name, data string) {
		t.Helper()

		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
			t.Fatal(err)
		}

		if err := os.WriteFile(filepath.Join(root, name), []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	key := func() string {
		t.Helper()

		sum, err := sourceKey(root, []string{"a"}, func(path string) bool { return path == "a/skipped" })
		if err != nil {
			t.Fatal(err)
		}

		return sum
	}

	put("a/main.go", "package main")
	put("b/main.go", "package main")

	before := key()

	for _, name := range []string{"a/main_test.go", "a/testdata/x", "a/skipped/x.go", "b/main.go"} {
		put(name, "changed")

		if key() != before {
			t.Errorf("%s changes the key", name)
		}
	}

	put("a/embedded.txt", "x")

	if key() == before {
		t.Error("a new file does not change the key")
	}
}

// small is a build of the components that take seconds, in a copy of the
// repository.
func small(t *testing.T, name, goCache string) []program {
	t.Helper()

	root := filepath.Join(t.TempDir(), name)

	for _, dir := range []string{"build/pause", "build/cni"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}

		if err := os.CopyFS(filepath.Join(root, dir), os.DirFS(filepath.Join(repository, dir))); err != nil {
			t.Fatal(err)
		}
	}

	b, err := newBuilder(t.Context(), Options{Root: root, Cache: t.TempDir(), GoCache: goCache, Commit: "none", Progress: io.Discard})
	if err != nil {
		t.Fatal(err)
	}

	var programs []program

	for _, c := range components(b.options.Kubernetes, "") {
		if c.name != "pause" && c.name != "cni" {
			continue
		}

		if c.name == "cni" {
			c.programs = map[string]string{"host-local": c.programs["host-local"]}
		}

		done, err := b.compile(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}

		for _, p := range done.Programs {
			p.path = ""
			programs = append(programs, p)
		}
	}

	return programs
}

func TestReproducible(t *testing.T) {
	first, second := small(t, "here", ""), small(t, "elsewhere-with-a-longer-name", t.TempDir())

	if len(first) != 2 {
		t.Errorf("built %v", first)
	}

	if diff := cmp.Diff(first, second, cmp.AllowUnexported(program{})); diff != "" {
		t.Errorf("two builds in two folders (-first +second):\n%s", diff)
	}
}

func TestCompare(t *testing.T) {
	first := []named{{"a", "1"}, {"b", "1"}, {"c", "1"}}
	second := []named{{"a", "1"}, {"b", "2"}}

	if got := compare(first, second); !slices.Equal(got, []string{"b", "c"}) {
		t.Errorf("differences %v", got)
	}
}

func TestRootIsReplacedWhole(t *testing.T) {
	b := &builder{options: Options{Output: t.TempDir()}}
	dir := filepath.Join(b.options.Output, "root")

	for _, text := range []string{"one", "two", "two"} {
		if err := b.writeFolder("root", tree.New().Text("etc/hosts", 0o644, text)); err != nil {
			t.Fatal(err)
		}

		if data, err := os.ReadFile(filepath.Join(dir, "etc", "hosts")); err != nil || string(data) != text {
			t.Errorf("content %q, %v, want %q", data, err, text)
		}
	}

	// Somebody has changed it: the next build puts it right.
	if err := os.Remove(filepath.Join(dir, "etc", "hosts")); err != nil {
		t.Fatal(err)
	}

	if err := b.writeFolder("root", tree.New().Text("etc/hosts", 0o644, "two")); err != nil {
		t.Fatal(err)
	}

	if _, err := os.Stat(filepath.Join(dir, "etc", "hosts")); err != nil {
		t.Error(err)
	}

	left, err := filepath.Glob(filepath.Join(b.options.Output, ".root-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
}

func TestTable(t *testing.T) {
	shared := oci.Layer{Digest: "sha256:aa", Size: 3 << 20}
	result := &Result{
		Components: []compiled{{Name: "etcd", Origin: origin{"go.etcd.io/etcd", "v3.7.3", "h1:abc="}, Programs: []program{{Size: 1 << 20}}}},
		Images: []BuiltImage{
			{Title: "etcd", Names: []string{"registry.k8s.io/etcd:v3.7.3"}, Layers: []oci.Layer{shared}, Size: 3 << 20},
			{Title: "coredns", Names: []string{"registry.k8s.io/coredns:v1"}, Layers: []oci.Layer{shared}, Size: 3 << 20},
			{Title: "coredns", Names: []string{"registry.k8s.io/coredns:v0"}, Layers: []oci.Layer{{Digest: "sha256:dd", Size: 7 << 20}}},
			{Title: "agnhost", Names: []string{"agnhost:2"}, Layers: []oci.Layer{{Digest: "sha256:bb", Size: 9 << 20}}},
		},
		Root: RootTree{Size: 8 << 20, Compressed: 2 << 20, Digest: "sha256:cc"},
	}

	var out strings.Builder

	if err := result.WriteTable(&out); err != nil {
		t.Fatal(err)
	}

	for _, want := range []string{"h1:abc=", "registry.k8s.io/etcd:v3.7.3", "3.0 (layers once)", "2.0 (8.0 unpacked)"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table does not say %q:\n%s", want, out.String())
		}
	}

	if !strings.HasSuffix(strings.TrimSpace(out.String()), "5.0") {
		t.Errorf("the total is not 5.0:\n%s", out.String())
	}
}
