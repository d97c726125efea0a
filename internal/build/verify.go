package build

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/basalt-os/basalt/internal/build/source"
)

// Verify builds, and then builds again in another folder with empty caches, and
// compares every program, the root tree, every image and what machines boot. It
// returns the first build's result, and an error that names what differs.
func Verify(ctx context.Context, options Options) (*Result, error) {
	if options.Commit == "" {
		options.Commit = commit(ctx, options.Root)
	}

	first, err := Run(ctx, options)
	if err != nil {
		return nil, err
	}

	work, err := os.MkdirTemp(options.Cache, "verify-")
	if err != nil {
		return nil, explain("the second time", err)
	}
	defer os.RemoveAll(work)

	again := options
	again.Root = filepath.Join(work, "a-folder-with-another-name")
	again.Output, again.Programs = "", ""
	again.Cache, again.GoCache = filepath.Join(work, "cache"), filepath.Join(work, "go-cache")

	if err := source.Copy(options.Root, again.Root); err != nil {
		return nil, explain("the second time", err)
	}

	second, err := Run(ctx, again)
	if err != nil {
		return nil, fmt.Errorf("building for the second time: %w", err)
	}

	differences := compare(first.digests(), second.digests())
	if len(differences) > 0 {
		return first, fmt.Errorf("comparing two builds: these differ: %v", differences)
	}

	fmt.Fprintf(options.Progress, "two builds in two folders gave the same %d digests\n", len(first.digests()))

	return first, nil
}

// named is a digest of something that was built.
type named struct{ name, digest string }

// digests are those of all programs, the root tree, all images, and what machines
// boot.
func (r *Result) digests() []named {
	result := []named{{"root tree", r.Root.Digest}}

	for _, c := range r.Components {
		for _, p := range c.Programs {
			result = append(result, named{c.Name + "/" + p.Name, p.Sum})
		}
	}

	for _, image := range r.Images {
		result = append(result, named{image.Names[0], image.Digest})
	}

	for _, medium := range r.Media {
		result = append(result, named{medium.File, medium.SHA256})
	}

	return result
}

// compare names what is not the same in both.
func compare(first, second []named) []string {
	other := map[string]string{}
	for _, n := range second {
		other[n.name] = n.digest
	}

	var differences []string

	for _, n := range first {
		if other[n.name] != n.digest {
			differences = append(differences, n.name)
		}
	}

	return differences
}
