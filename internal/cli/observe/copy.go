package observe

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/cli/connect"
	"github.com/basalt-os/basalt/pkg/client"
)

func newCopy() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "copy <src-path> -|<local-path>",
		Aliases: []string{"cp"},
		Short:   "Copy files of a node to this machine",
		Long: `Copy a file or a folder of a node to this machine.

With "-" in place of a local path, the files are written to the standard output
as a compressed archive (.tar.gz). Otherwise they are unpacked into the local
folder, which is made when it does not exist.`,
		Example: `  basaltctl copy /var/log/pods ./pods
  basaltctl copy /etc/kubernetes - > kubernetes.tar.gz`,
		Args: cobra.ExactArgs(2),
	}

	reach := connect.Add(cmd)
	cmd.RunE = reach.Run(func(cmd *cobra.Command, target *connect.Target, args []string) error {
		return target.Only(cmd.Context(), func(ctx context.Context, n connect.Node) error {
			reader, err := client.NewReader(n.Machine.Copy(ctx, &machine.CopyRequest{RootPath: args[0]}))
			if err != nil {
				return err
			}

			if args[1] == "-" {
				_, err = reader.WriteTo(cmd.OutOrStdout())

				return err
			}

			return unpack(reader, args[1])
		})
	})
	cmd.ValidArgsFunction = completePath(reach)

	return cmd
}

// unpack writes the files of a compressed archive into a folder. The archive
// is not trusted: nothing is written outside the folder.
func unpack(archive io.Reader, folder string) error {
	unzipped, err := gzip.NewReader(archive)
	if err != nil {
		return fmt.Errorf("unpacking: %w", err)
	}

	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("unpacking: %w", err)
	}

	root, err := os.OpenRoot(folder)
	if err != nil {
		return fmt.Errorf("unpacking: %w", err)
	}
	defer root.Close() //nolint:errcheck // a folder

	files := tar.NewReader(unzipped)

	for {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}

		if err != nil {
			return fmt.Errorf("unpacking: %w", err)
		}

		if err := unpackOne(root, header, files); err != nil {
			return fmt.Errorf("unpacking %q: %w", header.Name, err)
		}
	}
}

// unpackOne writes one file. Kinds of files that this machine should not get,
// such as devices, are left out.
func unpackOne(root *os.Root, header *tar.Header, content io.Reader) error {
	name := filepath.Clean("/" + header.Name)[1:]
	if name == "" {
		if header.Typeflag == tar.TypeDir {
			return nil
		}

		name = "file"
	}

	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}

	permissions := fs.FileMode(header.Mode).Perm()

	switch header.Typeflag {
	case tar.TypeDir:
		return root.MkdirAll(name, permissions|0o700)
	case tar.TypeSymlink:
		return root.Symlink(header.Linkname, name)
	case tar.TypeReg:
		file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, permissions)
		if err != nil {
			return err
		}

		_, err = io.Copy(file, content)

		return errors.Join(err, file.Close())
	default:
		return nil
	}
}
