package acquire

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/basalt-os/basalt/pkg/machineconfig"
	"github.com/basalt-os/basalt/pkg/machineconfig/document"
	"github.com/basalt-os/basalt/pkg/secrets"
)

const (
	hostname = "apiVersion: v1alpha1\nkind: HostnameConfig\nhostname: one\n"
	resolver = "apiVersion: v1alpha1\nkind: ResolverConfig\nnameservers:\n  - address: 10.0.0.1\n"
)

func complete(t *testing.T) string {
	t.Helper()

	bundle, err := secrets.NewBundle(secrets.Options{})
	if err != nil {
		t.Fatal(err)
	}

	generated, err := machineconfig.Generate(machineconfig.Input{ClusterName: "test", Endpoint: "https://10.0.0.1:6443", Secrets: bundle})
	if err != nil {
		t.Fatal(err)
	}

	return string(generated.Worker.Bytes())
}

func gives(name, text string, err error) Source {
	return Source{Name: name, Read: func(context.Context) ([]byte, error) { return []byte(text), err }}
}

func TestSearch(t *testing.T) {
	whole := complete(t)
	errNoDisk := errors.New("no disk")

	for name, test := range map[string]struct {
		sources  []Source
		from     []string
		complete bool
		faults   int
		hostname string
	}{
		"nothing":                 {sources: []Source{gives(Disk, "", nil), gives(Platform, "", nil)}},
		"the first complete one":  {sources: []Source{gives(Disk, whole, nil), gives(Platform, "never: asked", nil)}, from: []string{Disk}, complete: true},
		"parts":                   {sources: []Source{gives(Early, hostname, nil), gives(Platform, resolver, nil)}, from: []string{Early, Platform}, hostname: "one"},
		"the later is laid over":  {sources: []Source{gives(Early, hostname, nil), gives(Inline, strings.Replace(hostname, "one", "two", 1), nil)}, from: []string{Early, Inline}, hostname: "two"},
		"a part and a whole":      {sources: []Source{gives(Early, resolver, nil), gives(Platform, whole, nil)}, from: []string{Early, Platform}, complete: true},
		"a fault is no end":       {sources: []Source{gives(Disk, "", errNoDisk), gives(Early, "kind: Nonsense", nil), gives(Platform, whole, nil)}, from: []string{Platform}, complete: true, faults: 2},
		"a fault and a text both": {sources: []Source{gives(Disk, whole, errNoDisk)}, faults: 1},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := Search(t.Context(), test.sources)
			if err != nil {
				t.Fatal(err)
			}

			if diff := cmp.Diff(test.from, found.From); diff != "" {
				t.Errorf("sources (-want +got):\n%s", diff)
			}

			if found.Complete() != test.complete || len(found.Faults) != test.faults {
				t.Errorf("complete %t, faults %v", found.Complete(), found.Faults)
			}

			if test.hostname != "" {
				if got := machineconfig.Find[document.HostnameConfig](found.Config); got == nil || got.Hostname != test.hostname {
					t.Errorf("hostname document is %+v", got)
				}
			}
		})
	}
}

func TestSearchEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())

	_, err := Search(ctx, []Source{{Name: Platform, Read: func(ctx context.Context) ([]byte, error) {
		cancel()
		<-ctx.Done()

		return nil, ctx.Err()
	}}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("search ends with %v", err)
	}
}

func TestDecodeInline(t *testing.T) {
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}

	plain := base64.StdEncoding.EncodeToString([]byte(hostname))
	packed := base64.StdEncoding.EncodeToString(encoder.EncodeAll([]byte(hostname), nil))
	bomb := base64.StdEncoding.EncodeToString(encoder.EncodeAll(make([]byte, 2*maxInline), nil))

	for name, test := range map[string]struct {
		values []string
		want   string
		fails  bool
	}{
		"none":            {},
		"plain":           {values: []string{plain}, want: hostname},
		"without padding": {values: []string{strings.TrimRight(plain, "=")}, want: hostname},
		"compressed":      {values: []string{packed}, want: hostname},
		"in pieces":       {values: []string{packed[:10], packed[10:]}, want: hostname},
		"no base64":       {values: []string{"!"}, fails: true},
		"cut off":         {values: []string{packed[:len(packed)-8]}, fails: true},
		"too large":       {values: []string{bomb}, fails: true},
	} {
		got, err := DecodeInline(test.values...)
		if (err != nil) != test.fails || string(got) != test.want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func FuzzDecodeInline(f *testing.F) {
	f.Add("a2luZDogQQo=")
	f.Add("KLUv/QQAAQAAYQ==")
	f.Fuzz(func(_ *testing.T, text string) { DecodeInline(text) }) //nolint:errcheck // must not panic
}

func TestExpand(t *testing.T) {
	facts := Facts{UUID: "4c4c", Serial: "s n", MAC: "02:00:00:00:00:01", Hostname: "node", Code: "c&d"}

	for text, want := range map[string]string{
		"https://a/c":                           "https://a/c",
		"https://a/c?uuid=${uuid}&mac=${mac}":   "https://a/c?mac=02%3A00%3A00%3A00%3A00%3A01&uuid=4c4c",
		"https://a/c?uuid=&other=":              "https://a/c?other=&uuid=4c4c",
		"https://a/${hostname}/c?s=x-${serial}": "https://a/node/c?s=x-s+n",
		"https://a/c?code=${code}":              "https://a/c?code=c%26d",
	} {
		got, err := Expand(text, facts)
		if err != nil || got != want {
			t.Errorf("%s becomes %s, %v; want %s", text, got, err, want)
		}
	}

	for _, text := range []string{"ftp://a/c", "metal-iso", ":", "file:///etc/passwd"} {
		if got, err := Expand(text, facts); err == nil {
			t.Errorf("%s becomes %s", text, got)
		}
	}

	names, err := Variables("https://a/${hostname}?uuid=&code=${code}")
	if diff := cmp.Diff([]string{"code", "hostname", "uuid"}, names); diff != "" || err != nil {
		t.Errorf("variables (-want +got):\n%s%v", diff, err)
	}
}

// The server stumbles twice and then has the configuration.
func TestDownload(t *testing.T) {
	var calls atomic.Int32

	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/absent":
			http.NotFound(w, r)
		case calls.Add(1) == 1:
			http.Error(w, "not yet", http.StatusServiceUnavailable)
		default:
			w.Write([]byte(hostname)) //nolint:errcheck // the test sees it
		}
	}))
	t.Cleanup(server.Close)

	logger := slog.New(slog.DiscardHandler)
	at := func(path string) func(context.Context) (string, error) {
		return func(context.Context) (string, error) { return server.URL + path, nil }
	}

	text, err := Download(t.Context(), server.Client(), at("/config"), logger)
	if err != nil || string(text) != hostname || calls.Load() != 2 {
		t.Errorf("after %d calls: %q, %v", calls.Load(), text, err)
	}

	if text, err := Download(t.Context(), server.Client(), at("/absent"), logger); err != nil || text != nil {
		t.Errorf("what is not there: %q, %v", text, err)
	}
}

func TestStore(t *testing.T) {
	store := Store{Dir: t.TempDir()}

	if text, err := store.Load(); text != nil || err != nil {
		t.Fatalf("an empty folder: %q, %v", text, err)
	}

	for _, text := range []string{hostname, resolver} {
		if err := store.Save([]byte(text)); err != nil {
			t.Fatal(err)
		}

		if got, err := store.Load(); err != nil || string(got) != text {
			t.Fatalf("loaded %q, %v", got, err)
		}
	}

	if err := store.Remove(); err != nil {
		t.Fatal(err)
	}

	if entries, err := os.ReadDir(store.Dir); err != nil || len(entries) > 0 {
		t.Errorf("left are %v, %v", entries, err)
	}
}

// However a file was torn, the configuration before it comes back, and the torn
// one stays for people to look at.
func TestStoreHeals(t *testing.T) {
	sealed := seal([]byte(resolver))

	for cut := range len(sealed) - 1 {
		store := Store{Dir: t.TempDir()}
		current := filepath.Join(store.Dir, currentFile)

		for _, text := range []string{hostname, resolver} {
			if err := store.Save([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}

		torn := append([]byte{}, sealed...)
		for i := cut; i < len(torn); i++ {
			torn[i] = 0 // what a file system shows of blocks that were never written
		}

		if err := os.WriteFile(current, torn, 0o600); err != nil {
			t.Fatal(err)
		}

		text, err := store.Load()
		if string(text) != hostname || !errors.Is(err, ErrTorn) {
			t.Fatalf("cut at %d: %q, %v", cut, text, err)
		}

		if kept, err := os.ReadFile(filepath.Join(store.Dir, brokenFile)); err != nil || string(kept) != string(torn) {
			t.Fatalf("cut at %d: kept %q, %v", cut, kept, err)
		}
	}
}

func TestStoreTakesFilesOfOthers(t *testing.T) {
	store := Store{Dir: t.TempDir()}
	if err := os.WriteFile(filepath.Join(store.Dir, currentFile), []byte(hostname), 0o600); err != nil {
		t.Fatal(err)
	}

	if text, err := store.Load(); err != nil || string(text) != hostname {
		t.Errorf("loaded %q, %v", text, err)
	}
}

func FuzzUnseal(f *testing.F) {
	f.Add(seal([]byte(hostname)))
	f.Add([]byte(digestPrefix))
	f.Fuzz(func(t *testing.T, data []byte) {
		text, err := unseal(data)
		if err == nil && len(text) == 0 {
			t.Error("nothing was stored, and it is no error")
		}
	})
}
