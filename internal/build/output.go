package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/build/cache"
	"github.com/basalt-os/basalt/internal/build/oci"
	"github.com/basalt-os/basalt/internal/build/tree"
	"github.com/basalt-os/basalt/internal/payload"
)

// writeOutputs brings the output folders up to date, one build at a time.
func (b *builder) writeOutputs(ctx context.Context, result *Result, programs map[string]compiled, images []image, packed []oci.Image, root *tree.Tree) error {
	if err := os.MkdirAll(b.options.Output, 0o755); err != nil {
		return fmt.Errorf("making the output folder: %w", err)
	}

	unlock, err := cache.Lock(ctx, filepath.Join(b.options.Output, ".lock"))
	if err != nil {
		return err
	}
	defer unlock()

	digests, err := oci.WriteLayout(filepath.Join(b.options.Output, "oci"), packed, b.keeps)
	if err != nil {
		return err
	}

	for i, image := range images {
		result.Images = append(result.Images, BuiltImage{
			Title: image.title, Names: image.names, Digest: digests[i].String(),
			Size: packed[i].Size(), Layers: packed[i].Layers,
		})
	}

	if err := b.writeBills(programs, images); err != nil {
		return err
	}

	if err := b.writeFolder("root", root); err != nil {
		return fmt.Errorf("writing the root tree: %w", err)
	}

	for _, name := range []string{"basaltctl", "kubectl"} {
		if err := writeProgram(filepath.Join(b.options.Programs, name), programs[name].program(name)); err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
	}

	return nil
}

// keeps says which images of an earlier build stay when this one does not make
// them: installers, which a build for container nodes leaves alone.
func (b *builder) keeps(name string) bool {
	tag, ok := strings.CutPrefix(name, payload.Repository+":")

	return ok && !slices.ContainsFunc(b.kernels, func(k kernelProfile) bool { return k.installerTag() == tag })
}

// writeFolder puts the tree in place of the one of an earlier build. Nodes that
// run from an earlier root keep it: it is moved aside, and removed by a later
// build when nobody has it mounted any more.
func (b *builder) writeFolder(name string, root *tree.Tree) error {
	dir := filepath.Join(b.options.Output, name)
	stamp := filepath.Join(b.options.Output, "."+name+".digest")

	if err := removeUnused(b.options.Output); err != nil {
		return err
	}

	if data, err := os.ReadFile(stamp); err == nil && string(data) == root.Digest() && root.IsFolder(dir) {
		return nil
	}

	if err := os.RemoveAll(stamp); err != nil {
		return err
	}

	work, err := os.MkdirTemp(b.options.Output, oldRoot)
	if err != nil {
		return err
	}

	next := filepath.Join(work, name)
	if err := root.WriteFolder(next); err != nil {
		return err
	}

	err = unix.Renameat2(unix.AT_FDCWD, next, unix.AT_FDCWD, dir, unix.RENAME_EXCHANGE)
	if errors.Is(err, unix.ENOENT) {
		err = os.Rename(next, dir)
	}

	if err != nil {
		return err
	}

	if err := renameio.WriteFile(stamp, []byte(root.Digest()), 0o644); err != nil {
		return err
	}

	return removeUnused(b.options.Output)
}

// oldRoot is how the folders begin that hold root trees of earlier builds.
const oldRoot = ".root-"

// removeUnused removes earlier root trees that no process has mounted.
func removeUnused(output string) error {
	old, err := filepath.Glob(filepath.Join(output, oldRoot+"*"))
	if err != nil {
		return err
	}

	for _, dir := range old {
		if strings.HasSuffix(dir, ".digest") || mounted(dir) {
			continue
		}

		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}

	return nil
}

// mounted says whether any process that we may look at has something of dir
// mounted.
func mounted(dir string) bool {
	tables, _ := filepath.Glob("/proc/[0-9]*/mountinfo") // the pattern is good

	for _, table := range tables {
		// A process may end while we look.
		data, err := os.ReadFile(table)
		if err == nil && strings.Contains(string(data), "/"+filepath.Base(dir)+"/") {
			return true
		}
	}

	return false
}

// writeProgram replaces name with the program when it is another one.
func writeProgram(name string, p program) error {
	if sum, err := fileSum(name); err == nil && sum == p.Sum {
		return nil
	}

	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}

	file, err := renameio.NewPendingFile(name, renameio.WithPermissions(0o755))
	if err != nil {
		return err
	}
	defer file.Cleanup()

	source, err := os.Open(p.path)
	if err != nil {
		return err
	}
	defer source.Close()

	if _, err := io.Copy(file, source); err != nil {
		return err
	}

	return file.CloseAtomicallyReplace()
}
