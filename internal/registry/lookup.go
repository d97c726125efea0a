package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// byTag finds an image by the registry that the client would have asked, the
// repository and the tag. Without a registry, as when somebody asks this server
// by its own name, the first image with that repository and tag is it.
func byTag(index *v1.Index, host, name, tag string) *v1.Descriptor {
	for i, d := range index.Manifests {
		if repository, has, ok := cutTag(d.Annotations[v1.AnnotationRefName]); ok && has == tag && matches(repository, host, name) {
			return &index.Manifests[i]
		}
	}

	return nil
}

// matches says whether a full repository name is the one asked for.
func matches(repository, host, name string) bool {
	if host != "" {
		return repository == public(host, name)
	}

	_, path, ok := strings.Cut(repository, "/")

	return ok && path == name
}

// public is the full name of a repository. Docker's registry has two host names
// and a folder that is left out in names.
func public(host, name string) string {
	if host == "registry-1.docker.io" {
		host = "docker.io"
	}

	if host == "" {
		return name
	}

	return host + "/" + name
}

// cutTag takes "host/name:tag" apart.
func cutTag(reference string) (repository, tag string, ok bool) {
	i := strings.LastIndexByte(reference, ':')
	if i < strings.LastIndexByte(reference, '/') {
		return "", "", false
	}

	return reference[:i], reference[i+1:], true
}

// byDigest finds a manifest or an index by digest, in the layout's index and in
// the indexes that it names.
func (r *registry) byDigest(index *v1.Index, wanted digest.Digest) (*v1.Descriptor, error) {
	for i, d := range index.Manifests {
		if d.Digest == wanted {
			return &index.Manifests[i], nil
		}

		if d.MediaType != v1.MediaTypeImageIndex {
			continue
		}

		data, err := os.ReadFile(r.path(d.Digest))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}

		inner := &v1.Index{}

		if err == nil {
			err = json.Unmarshal(data, inner)
		}

		if err != nil {
			return nil, fmt.Errorf("reading the index %s: %w", d.Digest, err)
		}

		if found, err := r.byDigest(inner, wanted); found != nil || err != nil {
			return found, err
		}
	}

	return nil, nil
}
