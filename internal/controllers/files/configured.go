package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resources/files"
	"github.com/basalt-os/basalt/pkg/machineconfig"
	"github.com/basalt-os/basalt/pkg/machineconfig/document"
)

// Of a file in a configuration that gives no permissions.
const defaultMode fs.FileMode = 0o644

// Configured takes the files under /etc from the configuration.
func Configured(reader *configured.Reader) reconcile.Controller {
	return configured.All(reader, "files.EtcFileConfigController",
		func(cfg *machineconfig.Config) (map[string]files.EtcFileSpec, error) {
			return etcFiles(cfg.Machine().Files, machineconfig.All[document.EtcFileConfig](cfg)), nil
		})
}

// etcFiles are the specifications by the path below /etc. Parts of the
// container runtime's configuration have a controller of their own.
func etcFiles(legacy []document.File, docs []*document.EtcFileConfig) map[string]files.EtcFileSpec {
	out := map[string]files.EtcFileSpec{}

	for _, file := range legacy {
		name, below := strings.CutPrefix(path.Clean(file.Path), "/etc/")
		if part, err := path.Match("cri/conf.d/*.part", name); below && (err != nil || !part) {
			out[name] = files.EtcFileSpec{Contents: file.Content, Mode: modeOf(file.Permissions)}
		}
	}

	for _, doc := range docs {
		out[doc.Name] = files.EtcFileSpec{Contents: doc.Contents, Mode: modeOf(doc.Mode)}
	}

	return out
}

func modeOf(mode document.FileMode) fs.FileMode {
	if mode == 0 {
		return defaultMode
	}

	return fs.FileMode(mode)
}

// Persistent writes the files of the configuration that are under /var, where
// they stay. Root is the folder that has var in it.
func Persistent(reader *configured.Reader, root string) reconcile.Controller {
	return derive.Act("files.PersistentFileController", []reconcile.Input{configured.Input()}, nil,
		func(ctx context.Context, rt *reconcile.Runtime) error {
			cfg, err := reader.Read(ctx, rt)
			if err != nil || cfg == nil {
				return err
			}

			var failed []error

			for _, file := range cfg.Machine().Files {
				name := path.Clean(file.Path)

				switch {
				case strings.HasPrefix(name, "/etc/"):
				case strings.HasPrefix(name, "/var/"):
					failed = append(failed, persist(filepath.Join(root, name), file))
				default:
					failed = append(failed, fmt.Errorf("writing %s: only files under /etc and /var can be written", name))
				}
			}

			return errors.Join(failed...)
		})
}

// persist writes one file. To append is to make sure that the file ends so:
// the configuration may be read many times.
func persist(name string, file document.File) error {
	contents := []byte(file.Content)

	if file.Op == "append" {
		current, err := os.ReadFile(name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("appending to a file: %w", err)
		}

		if bytes.HasSuffix(current, contents) {
			contents = current
		} else {
			contents = append(current, contents...)
		}
	}

	if err := overwrite(name, contents, modeOf(file.Permissions)); err != nil {
		return fmt.Errorf("writing a file of the configuration: %w", err)
	}

	return nil
}
