package etcd

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/cli/connect"
	"github.com/basalt-os/basalt/pkg/client"
)

func newSnapshot(reach *connect.Flags) *cobra.Command {
	return &cobra.Command{
		Use:   "snapshot <path>",
		Short: "Save a snapshot of etcd to a file",
		Long: `Save a snapshot of etcd to a file.

The file is there only when the whole snapshot has come and its hash is right.
"basaltctl bootstrap --recover-from" makes a cluster from it.`,
		Example: "  basaltctl etcd snapshot etcd.snapshot --nodes 10.5.0.2",
		Args:    cobra.ExactArgs(1),
		RunE: reach.Run(func(cmd *cobra.Command, target *connect.Target, args []string) error {
			return target.Only(cmd.Context(), func(ctx context.Context, n connect.Node) error {
				reader, err := client.NewReader(n.Machine.EtcdSnapshot(ctx, &machine.EtcdSnapshotRequest{}))
				if err != nil {
					return err
				}

				length, err := save(reader, args[0])
				if err != nil {
					return err
				}

				fmt.Fprintf(cmd.ErrOrStderr(), "Saved snapshot of %s to %s\n", size(length), args[0])

				return nil
			})
		}),
	}
}

// save writes a snapshot and checks it.
func save(source io.Reader, path string) (int64, error) {
	file, err := renameio.NewPendingFile(path, renameio.WithStaticPermissions(0o600))
	if err != nil {
		return 0, fmt.Errorf("saving snapshot: %w", err)
	}
	defer file.Cleanup()

	n, err := io.Copy(file, source)
	if err != nil {
		return 0, err
	}

	if err := verify(file.File, n); err != nil {
		return 0, err
	}

	if err := file.CloseAtomicallyReplace(); err != nil {
		return 0, fmt.Errorf("saving snapshot: %w", err)
	}

	return n, nil
}

// errIncomplete is about a snapshot that is not all there.
var errIncomplete = errors.New("the snapshot is damaged or incomplete: its hash is wrong")

// verify checks the hash that etcd puts after the pages of its database, whose
// size is a multiple of 512 bytes.
func verify(file io.ReaderAt, length int64) error {
	const page = 512

	if length < page || length%page != sha256.Size {
		return errIncomplete
	}

	hash := sha256.New()
	if _, err := io.Copy(hash, io.NewSectionReader(file, 0, length-sha256.Size)); err != nil {
		return fmt.Errorf("checking snapshot: %w", err)
	}

	stored := make([]byte, sha256.Size)
	if _, err := file.ReadAt(stored, length-sha256.Size); err != nil {
		return fmt.Errorf("checking snapshot: %w", err)
	}

	if string(hash.Sum(nil)) != string(stored) {
		return errIncomplete
	}

	return nil
}
