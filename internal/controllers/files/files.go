// Package files has the controllers that write files: those that appear under
// /etc, and folders of secrets for one user.
package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/google/renameio/v2"

	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/files"
)

// Etc is what people see as /etc.
type Etc interface {
	// Show makes a file that has been written appear under /etc.
	Show(name string) error
	// Hide takes it away again.
	Hide(name string) error
}

// EtcFiles writes every file that is specified into the folder root, and has
// it shown under /etc when it has its first contents, and hidden when nothing
// specifies it any longer.
//
// A file is rewritten in place, because what shows it may be a mount of the
// file itself.
func EtcFiles(root string, etc Etc) reconcile.Controller {
	shown := map[string]bool{}

	return derive.All("files.EtcFileController", []reconcile.Input{reconcile.In[files.EtcFileSpec]()},
		func(ctx context.Context, rt *reconcile.Runtime) (map[string]files.EtcFileStatus, error) {
			specs, err := resource.List[files.EtcFileSpec](ctx, rt)
			if err != nil {
				return nil, err
			}

			return writeEtc(root, etc, specs, shown)
		})
}

// writeEtc makes the files be what the specifications say; shown are those that
// people see, before and after.
func writeEtc(
	root string, etc Etc, specs []*resource.Resource[files.EtcFileSpec], shown map[string]bool,
) (map[string]files.EtcFileStatus, error) {
	out := map[string]files.EtcFileStatus{}

	for _, spec := range specs {
		name := spec.Meta.ID
		if spec.Meta.Phase != resource.Running {
			continue
		}

		if !filepath.IsLocal(name) {
			return nil, fmt.Errorf("writing /etc/%s: the name leads out of /etc", name)
		}

		if err := overwrite(filepath.Join(root, name), []byte(spec.Spec.Contents), spec.Spec.Mode); err != nil {
			return nil, fmt.Errorf("writing /etc/%s: %w", name, err)
		}

		if !shown[name] {
			if err := etc.Show(name); err != nil {
				return nil, fmt.Errorf("showing /etc/%s: %w", name, err)
			}

			shown[name] = true
		}

		out[name] = files.EtcFileStatus{SpecVersion: strconv.FormatUint(spec.Meta.Version, 10)}
	}

	for name := range shown {
		if _, ok := out[name]; ok {
			continue
		}

		if err := etc.Hide(name); err != nil {
			return nil, fmt.Errorf("hiding /etc/%s: %w", name, err)
		}

		if err := os.Remove(filepath.Join(root, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("removing /etc/%s: %w", name, err)
		}

		delete(shown, name)
	}

	return out, nil
}

// overwrite gives a file its contents without replacing the file, and leaves
// it alone when it has them already.
func overwrite(path string, contents []byte, mode fs.FileMode) error {
	current, err := os.ReadFile(path)
	if err == nil && bytes.Equal(current, contents) {
		return os.Chmod(path, mode)
	}

	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}

	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}

	if err := os.WriteFile(path, contents, mode); err != nil {
		return err
	}

	return os.Chmod(path, mode)
}

// Folder is a folder whose files belong to one user.
type Folder struct {
	Path string
	// Owner is the user and the group that may read the files.
	Owner int
}

// File is the contents of one file of a folder.
type File struct {
	Contents []byte
	// Secret files are for the owner alone.
	Secret bool
}

// Write makes the folder hold exactly the given files. Each file is replaced at
// once, so that a reader sees the old contents or the new.
func (f Folder) Write(contents map[string]File) error {
	if err := os.MkdirAll(f.Path, 0o700); err != nil {
		return fmt.Errorf("making folder %s: %w", f.Path, err)
	}

	if err := os.Chown(f.Path, f.Owner, f.Owner); err != nil {
		return fmt.Errorf("giving folder %s to user %d: %w", f.Path, f.Owner, err)
	}

	for name, file := range contents {
		if err := f.writeFile(name, file); err != nil {
			return fmt.Errorf("writing %s: %w", filepath.Join(f.Path, name), err)
		}
	}

	entries, err := os.ReadDir(f.Path)
	if err != nil {
		return fmt.Errorf("reading folder %s: %w", f.Path, err)
	}

	for _, entry := range entries {
		if _, ok := contents[entry.Name()]; ok || entry.IsDir() {
			continue
		}

		if err := os.Remove(filepath.Join(f.Path, entry.Name())); err != nil {
			return fmt.Errorf("removing old file: %w", err)
		}
	}

	return nil
}

func (f Folder) writeFile(name string, file File) error {
	path := filepath.Join(f.Path, name)

	if current, err := os.ReadFile(path); err == nil && bytes.Equal(current, file.Contents) {
		return nil
	}

	mode := fs.FileMode(0o444)
	if file.Secret {
		mode = 0o400
	}

	pending, err := renameio.NewPendingFile(path, renameio.WithStaticPermissions(mode))
	if err != nil {
		return err
	}
	defer pending.Cleanup() //nolint:errcheck // nothing is left after a replacement

	if _, err := pending.Write(file.Contents); err != nil {
		return err
	}

	if err := pending.Chown(f.Owner, f.Owner); err != nil {
		return err
	}

	return pending.CloseAtomicallyReplace()
}
