package clientconfig_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/pkg/client/clientconfig"
	"github.com/basalt-os/basalt/pkg/secrets"
)

const sample = `context: prod
contexts:
    dev:
        endpoints: []
        auth:
            siderov1:
                identity: me@example.org
    prod:
        endpoints:
            - 10.0.0.1
            - '[fd00::1]:50000'
        nodes:
            - 10.0.0.3
        ca: Y2E=
        crt: Y3J0
        key: a2V5
        proxy-url: http://proxy.example.org:3128
        cluster: main
future: true
`

func parse(t *testing.T, text string) *clientconfig.Config {
	t.Helper()

	config, err := clientconfig.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}

	return config
}

func TestRoundTrip(t *testing.T) {
	config := parse(t, sample)

	data, err := config.Bytes()
	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(sample, string(data)); diff != "" {
		t.Errorf("the file changed (-before +after):\n%s", diff)
	}

	context, err := config.Select("")
	if err != nil {
		t.Fatal(err)
	}

	want := &clientconfig.Context{
		Endpoints: []string{"10.0.0.1", "[fd00::1]:50000"}, Nodes: []string{"10.0.0.3"},
		CA: secrets.PEM("ca"), Crt: secrets.PEM("crt"), Key: secrets.PEM("key"),
		ProxyURL: "http://proxy.example.org:3128", Cluster: "main",
	}
	if diff := cmp.Diff(want, context); diff != "" {
		t.Error(diff)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"no mapping":   "- a\n",
		"bad base64":   "contexts: {a: {ca: '%%%'}}",
		"a list":       "contexts: []",
		"doubled keys": "contexts: {a: {}, a: {}}",
		"broken":       "contexts: {",
	} {
		if config, err := clientconfig.Parse([]byte(text)); err == nil {
			t.Errorf("%s: accepted as %v", name, config)
		}
	}
}

func TestSelect(t *testing.T) {
	config := parse(t, sample)

	for _, test := range []struct {
		config *clientconfig.Config
		name   string
		want   string
	}{
		{config, "other", `the client configuration has no context "other"; there are dev, prod`},
		{parse(t, "contexts: {a: , b: }"), "", "the client configuration has no current context; there are a, b"},
		{parse(t, ""), "x", "the client configuration has no contexts"},
	} {
		if _, err := test.config.Select(test.name); err == nil || err.Error() != test.want {
			t.Errorf("got %v, want %s", err, test.want)
		}
	}

	if _, err := config.Select("dev"); err != nil {
		t.Error(err)
	}
}

func TestMerge(t *testing.T) {
	config := parse(t, "context: a\ncontexts: {a: {endpoints: [one]}, a-1: {endpoints: [two]}, same: {endpoints: [s]}}")
	renames := config.Merge(parse(t, "context: a\ncontexts: {a: {endpoints: [three]}, b: {endpoints: [four]}, same: {endpoints: [s]}}"))

	if diff := cmp.Diff([]clientconfig.Rename{{From: "a", To: "a-2"}}, renames); diff != "" {
		t.Error(diff)
	}

	if diff := cmp.Diff([]string{"a", "a-1", "a-2", "b", "same"}, config.Names()); diff != "" {
		t.Error(diff)
	}

	if config.Context != "a-2" {
		t.Errorf("current context is %s", config.Context)
	}
}

func TestRemove(t *testing.T) {
	config := parse(t, sample)

	if err := config.Remove("dev", "prod"); err == nil {
		t.Error("the current context was removed")
	}

	if err := config.Remove("nobody"); err == nil {
		t.Error("an unknown context was removed")
	}

	if err := config.Remove("dev"); err != nil {
		t.Error(err)
	}

	if diff := cmp.Diff([]string{"prod"}, config.Names()); diff != "" {
		t.Error(diff)
	}
}

func TestSave(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "new", "config")
	config := parse(t, sample)

	if err := config.Save(path); err != nil {
		t.Fatal(err)
	}

	// An existing file that anybody can read becomes private.
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}

	link := filepath.Join(dir, "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}

	config.Context = "dev"
	if err := config.Save(link); err != nil {
		t.Fatal(err)
	}

	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}

	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}

	again, err := clientconfig.Load(path)
	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(config, again); diff != "" {
		t.Error(diff)
	}

	if _, err := os.Readlink(link); err != nil {
		t.Error("the link is gone:", err)
	}
}

func TestLocate(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv(clientconfig.EnvBasalt, "")
	t.Setenv(clientconfig.EnvTalos, "")

	locate := func(want string) {
		t.Helper()

		if got, err := clientconfig.Locate(); err != nil || got != want {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
	}
	own, reference := filepath.Join(home, ".basalt", "config"), filepath.Join(home, ".talos", "config")

	locate(own)

	if _, err := clientconfig.Load(""); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("loading a missing file: %v", err)
	}

	if config, err := clientconfig.LoadOrNew(""); err != nil || len(config.Contexts) != 0 {
		t.Errorf("got %v, %v", config, err)
	}

	if err := parse(t, sample).Save(reference); err != nil {
		t.Fatal(err)
	}

	locate(reference)

	if err := parse(t, sample).Save(own); err != nil {
		t.Fatal(err)
	}

	locate(own)

	t.Setenv(clientconfig.EnvTalos, "/a")
	locate("/a")
	t.Setenv(clientconfig.EnvBasalt, "/b")
	locate("/b")
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte("context: a\ncontexts: {a: null}"))
	f.Add([]byte("contexts: {a: {endpoints: [&x y, *x], ca: ''}}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		config, err := clientconfig.Parse(data)
		if err != nil {
			return
		}

		for _, name := range config.Names() {
			if _, err := config.Select(name); err != nil {
				t.Errorf("a context that is there is not found: %v", err)
			}
		}

		encoded, err := config.Bytes()
		if err != nil {
			t.Fatalf("what was parsed cannot be written: %v", err)
		}

		if _, err := clientconfig.Parse(encoded); err != nil {
			t.Fatalf("what was written cannot be parsed: %v\n%s", err, encoded)
		}
	})
}
