package registry

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// layout writes a layout with two images, one of them inside an index, and
// returns its folder and the digests of the manifest, the index and a blob.
func layout(t *testing.T) (dir string, manifest, index, blob digest.Digest) {
	t.Helper()

	dir = t.TempDir()
	store := func(data []byte) digest.Digest {
		d := digest.FromBytes(data)
		write(t, filepath.Join(dir, "blobs", "sha256", d.Encoded()), data)

		return d
	}
	descriptor := func(mediaType string, d digest.Digest, name string) v1.Descriptor {
		return v1.Descriptor{MediaType: mediaType, Digest: d, Annotations: map[string]string{v1.AnnotationRefName: name}}
	}

	blob = store([]byte("0123456789"))
	manifest = store([]byte(`{"a":"manifest"}`))
	inner := store([]byte(`{"another":"manifest"}`))
	index = store(encode(t, v1.Index{Manifests: []v1.Descriptor{descriptor(v1.MediaTypeImageManifest, inner, "")}}))

	write(t, filepath.Join(dir, "index.json"), encode(t, v1.Index{Manifests: []v1.Descriptor{
		descriptor(v1.MediaTypeImageManifest, manifest, "registry.k8s.io/etcd:v3.7.3"),
		descriptor(v1.MediaTypeImageManifest, manifest, "registry.k8s.io/etcd:v3.6.0"),
		descriptor(v1.MediaTypeImageIndex, index, "docker.io/library/busybox:latest"),
	}}))

	return dir, manifest, index, blob
}

func encode(t *testing.T, value any) []byte {
	t.Helper()

	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}

	return data
}

func write(t *testing.T, name string, data []byte) {
	t.Helper()

	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}

	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func serve(t *testing.T, dir string) http.Handler {
	t.Helper()

	handler, err := New(dir)
	if err != nil {
		t.Fatal(err)
	}

	return handler
}

// answer is what a test looks at.
type answer struct {
	Status    int
	MediaType string
	Digest    string
	Length    string
	Body      string
}

func ask(t *testing.T, handler http.Handler, method, target string, header ...string) answer {
	t.Helper()

	req := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}

	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, req)

	res := recorder.Result()

	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}

	return answer{
		res.StatusCode, res.Header.Get("Content-Type"), res.Header.Get("Docker-Content-Digest"),
		res.Header.Get("Content-Length"), strings.TrimSpace(string(body)),
	}
}

func TestPull(t *testing.T) {
	dir, manifest, index, blob := layout(t)
	handler := serve(t, dir)
	inner := digest.FromString(`{"another":"manifest"}`)
	manifestAnswer := answer{200, v1.MediaTypeImageManifest, manifest.String(), "16", `{"a":"manifest"}`}

	tests := []struct {
		name, method, path string
		want               answer
	}{
		{"version", "GET", "/v2/", answer{200, "application/json", "", "", "{}"}},
		{"by tag for a registry", "GET", "/v2/etcd/manifests/v3.7.3?ns=registry.k8s.io", manifestAnswer},
		{"by tag for no registry", "GET", "/v2/etcd/manifests/v3.7.3", manifestAnswer},
		{"by digest", "GET", "/v2/etcd/manifests/" + manifest.String(), manifestAnswer},
		{"HEAD", "HEAD", "/v2/etcd/manifests/v3.7.3", answer{200, v1.MediaTypeImageManifest, manifest.String(), "16", ""}},
		{"Docker's own host name", "HEAD", "/v2/library/busybox/manifests/latest?ns=registry-1.docker.io",
			answer{200, v1.MediaTypeImageIndex, index.String(), "239", ""}},
		{"manifest in an index", "GET", "/v2/library/busybox/manifests/" + inner.String(),
			answer{200, v1.MediaTypeImageManifest, inner.String(), "22", `{"another":"manifest"}`}},
		{"blob", "GET", "/v2/etcd/blobs/" + blob.String(), answer{200, "application/octet-stream", blob.String(), "10", "0123456789"}},
		{"tags", "GET", "/v2/etcd/tags/list", answer{200, "application/json", "", "", `{"name":"etcd","tags":["v3.6.0","v3.7.3"]}`}},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, ask(t, handler, test.method, test.path)); diff != "" {
				t.Errorf("%s %s (-want +got):\n%s", test.method, test.path, diff)
			}
		})
	}
}

func TestRange(t *testing.T) {
	dir, _, _, blob := layout(t)
	handler := serve(t, dir)

	got := ask(t, handler, "GET", "/v2/etcd/blobs/"+blob.String(), "Range", "bytes=3-5")
	if got.Status != http.StatusPartialContent || got.Body != "345" || got.Length != "3" {
		t.Errorf("range 3-5 = %+v", got)
	}

	got = ask(t, handler, "GET", "/v2/etcd/blobs/"+blob.String(), "Range", "bytes=20-")
	if got.Status != http.StatusRequestedRangeNotSatisfiable {
		t.Errorf("range 20- = %+v", got)
	}
}

func TestRefusal(t *testing.T) {
	dir, _, _, blob := layout(t)
	handler := serve(t, dir)
	absent := digest.FromString("absent").String()

	tests := []struct {
		method, path string
		status       int
		code         string
	}{
		{"GET", "/v2/etcd/manifests/v9", 404, "MANIFEST_UNKNOWN"},
		{"GET", "/v2/etcd/manifests/v3.7.3?ns=ghcr.io", 404, "MANIFEST_UNKNOWN"},
		{"GET", "/v2/etcd/manifests/" + absent, 404, "MANIFEST_UNKNOWN"},
		// Content that is not a manifest is not served as one.
		{"GET", "/v2/etcd/manifests/" + blob.String(), 404, "MANIFEST_UNKNOWN"},
		{"GET", "/v2/etcd/blobs/" + absent, 404, "BLOB_UNKNOWN"},
		{"GET", "/v2/etcd/blobs/sha256:..%2f..%2findex.json", 404, "NAME_UNKNOWN"},
		{"GET", "/v2/etcd/blobs/sha256:..", 400, "DIGEST_INVALID"},
		{"GET", "/v2/etcd/blobs/v3.7.3", 400, "DIGEST_INVALID"},
		{"GET", "/v2/nginx/tags/list", 404, "NAME_UNKNOWN"},
		{"GET", "/v2/etcd/referrers/" + absent, 404, "NAME_UNKNOWN"},
		{"GET", "/", 404, "NAME_UNKNOWN"},
		{"POST", "/v2/etcd/blobs/uploads/", 405, "UNSUPPORTED"},
		{"PUT", "/v2/etcd/manifests/v3.7.3", 405, "UNSUPPORTED"},
	}

	for _, test := range tests {
		t.Run(test.method+" "+test.path, func(t *testing.T) {
			got := ask(t, handler, test.method, test.path)
			if got.Status != test.status || !strings.Contains(got.Body, `"`+test.code+`"`) {
				t.Errorf("answer %+v, want status %d and code %s", got, test.status, test.code)
			}
		})
	}
}

func TestReplacedLayout(t *testing.T) {
	if _, err := New(t.TempDir()); err == nil {
		t.Error("a folder without a layout is served")
	}

	dir, _, _, _ := layout(t)
	handler := serve(t, dir)

	write(t, filepath.Join(dir, "index.json"), encode(t, v1.Index{}))

	if got := ask(t, handler, "GET", "/v2/etcd/manifests/v3.7.3"); got.Status != http.StatusNotFound {
		t.Errorf("image that is not in the new index: %+v", got)
	}

	write(t, filepath.Join(dir, "index.json"), []byte("{"))

	if got := ask(t, handler, "GET", "/v2/etcd/manifests/v3.7.3"); got.Status != http.StatusInternalServerError {
		t.Errorf("broken index: %+v", got)
	}
}

func FuzzServe(f *testing.F) {
	f.Add("etcd/manifests/v3.7.3", "registry.k8s.io")
	f.Add("../../blobs/sha256:"+strings.Repeat("a", 64), "")
	f.Add("a/tags/list", "..")

	dir := f.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "oci"), 0o755); err != nil {
		f.Fatal(err)
	}

	if err := os.WriteFile(filepath.Join(dir, "oci", "index.json"), []byte("{}"), 0o644); err != nil {
		f.Fatal(err)
	}

	handler, err := New(filepath.Join(dir, "oci"))
	if err != nil {
		f.Fatal(err)
	}

	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte("secret"), 0o600); err != nil {
		f.Fatal(err)
	}

	f.Fuzz(func(t *testing.T, path, host string) {
		req := httptest.NewRequest("GET", "/", nil)
		req.URL.Path = "/v2/" + path
		req.URL.RawQuery = "ns=" + host
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, req)

		if strings.Contains(recorder.Body.String(), "secret") && !strings.Contains(path+host, "secret") {
			t.Errorf("%q with %q reads a file outside the layout", path, host)
		}
	})
}
