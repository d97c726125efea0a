package cluster

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"github.com/basalt-os/basalt/pkg/provision"
)

// followInterval is the pause between two looks at a log that may have grown.
const followInterval = 200 * time.Millisecond

func newLogs(t *target) *cobra.Command {
	var follow bool

	command := &cobra.Command{
		Use:   "logs [machine]",
		Short: "Show what the nodes of a cluster write to their consoles",
		Long: `Show what the nodes of a cluster, or one of them, write to their consoles: for
a virtual machine from its firmware on. It needs no API.`,
		Example: `  basaltctl cluster logs basalt-controlplane-1
  basaltctl cluster logs -f`,
		Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return t.nodeNames(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			spec, err := t.folder().Spec()
			if err != nil {
				return err
			}

			nodes := spec.Nodes

			if len(args) > 0 {
				node, err := spec.Node(args[0])
				if err != nil {
					return err
				}

				nodes = []provision.Node{node}
			}

			return t.showLogs(cmd.Context(), cmd.OutOrStdout(), nodes, follow)
		},
	}

	command.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what comes")

	return command
}

// showLogs writes the consoles of nodes; those of several at the same time have
// their names before each line.
func (t *target) showLogs(ctx context.Context, out io.Writer, nodes []provision.Node, follow bool) error {
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		errs = make([]error, len(nodes))
	)

	for i, node := range nodes {
		to := &lineWriter{out: out, mu: &mu}
		if len(nodes) > 1 {
			to.prefix = node.Name + ": "
		}

		wg.Go(func() {
			path := t.folder().Console(node.Name)
			errs[i] = errors.Join(copyLog(ctx, to, path, follow), to.flush())
		})
	}

	wg.Wait()

	return errors.Join(errs...)
}

// lineWriter writes whole lines, so that those of several do not mix.
type lineWriter struct {
	out    io.Writer
	mu     *sync.Mutex
	prefix string
	rest   []byte
}

func (w *lineWriter) Write(data []byte) (int, error) {
	w.rest = append(w.rest, data...)

	for {
		end := bytes.IndexByte(w.rest, '\n')
		if end < 0 {
			return len(data), nil
		}

		if err := w.line(w.rest[:end+1]); err != nil {
			return 0, err
		}

		w.rest = w.rest[end+1:]
	}
}

func (w *lineWriter) line(line []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()

	_, err := fmt.Fprintf(w.out, "%s%s", w.prefix, line)

	return err
}

// flush writes a last line that has no end.
func (w *lineWriter) flush() error {
	if len(w.rest) == 0 {
		return nil
	}

	return w.line(append(w.rest, '\n'))
}

// copyLog copies a console's log; when it is followed, until ctx ends, going on
// with the next file when one was moved aside.
func copyLog(ctx context.Context, to io.Writer, path string, follow bool) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}

	defer func() { file.Close() }() //nolint:errcheck // only read

	ticker := time.NewTicker(followInterval)
	defer ticker.Stop()

	for {
		if _, err := io.Copy(to, file); err != nil || !follow {
			return err
		}

		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}

		next, err := moved(file, path)
		if err != nil {
			return err
		}

		if next == nil {
			continue
		}

		_, err = io.Copy(to, file) // what came until it was moved
		file.Close()               //nolint:errcheck // only read
		file = next

		if err != nil {
			return err
		}
	}
}

// moved opens the file at a path if it is not the one that is open.
func moved(file *os.File, path string) (*os.File, error) {
	next, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // it is on its way
	} else if err != nil {
		return nil, err
	}

	a, err := file.Stat()
	if err != nil {
		return nil, errors.Join(err, next.Close())
	}

	b, err := next.Stat()
	if err != nil || os.SameFile(a, b) {
		return nil, errors.Join(err, next.Close())
	}

	return next, nil
}

// saveLogs writes the logs of a cluster to a compressed archive.
func (t *target) saveLogs(path string) error {
	names, err := filepath.Glob(t.folder().Path("nodes", "*", "console.log*"))
	if err != nil {
		return err
	}

	file, err := renameio.TempFile("", path)
	if err != nil {
		return err
	}
	defer file.Cleanup()

	packed := gzip.NewWriter(file)
	archive := tar.NewWriter(packed)

	for _, name := range append(names, t.folder().Path("host.log")) {
		data, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return err
		}

		relative, err := filepath.Rel(string(t.folder()), name)
		if err != nil {
			return err
		}

		header := &tar.Header{Name: relative, Mode: 0o600, Size: int64(len(data)), Typeflag: tar.TypeReg}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}

		if _, err := archive.Write(data); err != nil {
			return err
		}
	}

	if err := errors.Join(archive.Close(), packed.Close()); err != nil {
		return err
	}

	return file.CloseAtomicallyReplace()
}
