// Package registry serves the images of an OCI layout as a registry that
// clients can pull from. It stands in for every registry at once: a mirror's
// client says in the query parameter "ns" whose image it wants, and the layout's
// index has images by their full public names.
//
// It follows the OCI distribution specification for pulls: manifests and
// indexes by tag and by digest, blobs with ranges, and lists of tags. Nothing
// can be pushed.
package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// New returns a handler over the layout in dir. The layout may be replaced while
// it is served: its index is read for every request. An error says that there is
// no layout. The handler is safe for concurrent use.
func New(dir string) (http.Handler, error) {
	r := &registry{dir: dir}

	if _, err := r.index(); err != nil {
		return nil, err
	}

	mux := http.NewServeMux()

	// Names have slashes in them, so the paths are taken apart by hand. The
	// method GET allows HEAD too.
	mux.HandleFunc("GET /v2/{path...}", r.serve)
	mux.HandleFunc("/", func(w http.ResponseWriter, req *http.Request) {
		if req.Method != http.MethodGet && req.Method != http.MethodHead {
			reply(w, http.StatusMethodNotAllowed, "UNSUPPORTED", "this registry can only be pulled from")

			return
		}

		reply(w, http.StatusNotFound, "NAME_UNKNOWN", "there is nothing under this path")
	})

	return mux, nil
}

type registry struct {
	dir string
}

func (r *registry) serve(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")

	path := req.PathValue("path")
	if path == "" {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, "{}")

		return
	}

	name, kind, reference, ok := split(path)
	if !ok {
		reply(w, http.StatusNotFound, "NAME_UNKNOWN", "there is nothing under this path")

		return
	}

	host := req.URL.Query().Get("ns")

	var err error

	switch kind {
	case "manifests":
		err = r.manifest(w, req, host, name, reference)
	case "blobs":
		err = r.blob(w, req, reference)
	case "tags":
		err = r.tags(w, req, host, name)
	}

	var problem *problem

	switch {
	case err == nil:
	case errors.As(err, &problem):
		reply(w, problem.status, problem.code, problem.message)
	default:
		reply(w, http.StatusInternalServerError, "UNKNOWN", err.Error())
	}
}

// split takes "<name>/manifests/<reference>" and its like apart.
func split(path string) (name, kind, reference string, ok bool) {
	parts := strings.Split(path, "/")
	if len(parts) < 3 || slices.Contains(parts, "") {
		return "", "", "", false
	}

	name = strings.Join(parts[:len(parts)-2], "/")
	kind, reference = parts[len(parts)-2], parts[len(parts)-1]

	switch kind {
	case "manifests", "blobs":
		return name, kind, reference, true
	case "tags":
		return name, kind, reference, reference == "list"
	}

	return "", "", "", false
}

// manifest serves a manifest or an index by tag or by digest.
func (r *registry) manifest(w http.ResponseWriter, req *http.Request, host, name, reference string) error {
	index, err := r.index()
	if err != nil {
		return err
	}

	var found *v1.Descriptor

	if wanted, err := digest.Parse(reference); err == nil {
		found, err = r.byDigest(index, wanted)
		if err != nil {
			return err
		}
	} else {
		found = byTag(index, host, name, reference)
	}

	if found == nil {
		return &problem{http.StatusNotFound, "MANIFEST_UNKNOWN", fmt.Sprintf("there is no image %s:%s", public(host, name), reference)}
	}

	return r.serveBlob(w, req, found.Digest, found.MediaType)
}

// blob serves any content by its digest.
func (r *registry) blob(w http.ResponseWriter, req *http.Request, reference string) error {
	wanted, err := digest.Parse(reference)
	if err != nil {
		return &problem{http.StatusBadRequest, "DIGEST_INVALID", "this is not a digest"}
	}

	return r.serveBlob(w, req, wanted, "application/octet-stream")
}

// serveBlob sends a file of the layout; the standard library does ranges,
// conditions and HEAD.
func (r *registry) serveBlob(w http.ResponseWriter, req *http.Request, d digest.Digest, mediaType string) error {
	file, err := os.Open(r.path(d))
	if errors.Is(err, fs.ErrNotExist) {
		return &problem{http.StatusNotFound, "BLOB_UNKNOWN", fmt.Sprintf("there is no content %s", d)}
	}

	if err != nil {
		return err
	}
	defer file.Close()

	info, err := file.Stat()
	if err != nil {
		return err
	}

	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Docker-Content-Digest", d.String())
	w.Header().Set("ETag", `"`+d.String()+`"`)
	http.ServeContent(w, req, "", info.ModTime(), file)

	return nil
}

// path is the file of a digest; Parse has made sure that nothing in it leads
// out of the layout.
func (r *registry) path(d digest.Digest) string {
	return filepath.Join(r.dir, v1.ImageBlobsDir, d.Algorithm().String(), d.Encoded())
}

// tags lists the tags of a repository.
func (r *registry) tags(w http.ResponseWriter, req *http.Request, host, name string) error {
	index, err := r.index()
	if err != nil {
		return err
	}

	tags := []string{}

	for _, d := range index.Manifests {
		if repository, tag, ok := cutTag(d.Annotations[v1.AnnotationRefName]); ok && matches(repository, host, name) {
			tags = append(tags, tag)
		}
	}

	if len(tags) == 0 {
		return &problem{http.StatusNotFound, "NAME_UNKNOWN", fmt.Sprintf("there is no repository %s", public(host, name))}
	}

	slices.Sort(tags)
	w.Header().Set("Content-Type", "application/json")

	return json.NewEncoder(w).Encode(map[string]any{"name": name, "tags": slices.Compact(tags)})
}

// index reads the layout's index.
func (r *registry) index() (*v1.Index, error) {
	index := &v1.Index{}

	data, err := os.ReadFile(filepath.Join(r.dir, v1.ImageIndexFile))
	if err == nil {
		err = json.Unmarshal(data, index)
	}

	if err != nil {
		return nil, fmt.Errorf("reading the index of the image store: %w", err)
	}

	return index, nil
}

// problem is an answer that is not what the client asked for.
type problem struct {
	status        int
	code, message string
}

func (p *problem) Error() string { return p.message }

// reply sends an error as the specification has it.
func reply(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// A client that is gone does not read it; nothing is lost.
	_ = json.NewEncoder(w).Encode(map[string]any{
		"errors": []map[string]string{{"code": code, "message": message}},
	})
}
