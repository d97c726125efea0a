package server

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
	"google.golang.org/grpc"

	"github.com/basalt-os/basalt/api/common"
	"github.com/basalt-os/basalt/api/machine"
)

// recoverySnapshot is where an uploaded snapshot waits for Bootstrap.
const recoverySnapshot = "/var/lib/etcd.snapshot"

// EtcdSnapshot streams a snapshot of the database of this node's member.
func (s machineService) EtcdSnapshot(_ *machine.EtcdSnapshotRequest, stream grpc.ServerStreamingServer[common.Data]) error {
	ctx := stream.Context()
	err := withEtcd(ctx, s.Etcd.Local, func(client EtcdClient) error {
		snapshot, err := client.SnapshotWithVersion(ctx)
		if err != nil {
			return err
		}
		defer snapshot.Snapshot.Close()
		return copyChunks(ctx, chunkWriter{stream: stream}, snapshot.Snapshot)
	})
	if err != nil {
		return fmt.Errorf("taking etcd snapshot: %w", err)
	}
	return nil
}

// EtcdRecover stores a snapshot for a later Bootstrap. A snapshot that did not
// arrive whole leaves an earlier one in place.
func (s machineService) EtcdRecover(stream grpc.ClientStreamingServer[common.Data, machine.EtcdRecoverResponse]) error {
	path := s.path(recoverySnapshot)
	if err := receiveFile(stream, path); err != nil {
		return fmt.Errorf("storing etcd snapshot: %w", err)
	}
	return stream.SendAndClose(&machine.EtcdRecoverResponse{Messages: []*machine.EtcdRecover{{}}})
}

// receiveFile writes the chunks of a stream into a file that only root reads.
func receiveFile(stream grpc.ClientStreamingServer[common.Data, machine.EtcdRecoverResponse], path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := renameio.NewPendingFile(path, renameio.WithPermissions(0o600))
	if err != nil {
		return err
	}
	received := int64(0)
	for {
		chunk, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return errors.Join(err, file.Cleanup())
		}
		n, err := file.Write(chunk.GetBytes())
		if err != nil {
			return errors.Join(err, file.Cleanup())
		}
		received += int64(n)
	}
	if received == 0 {
		return errors.Join(fmt.Errorf("nothing was sent: %w", ErrInvalid), file.Cleanup())
	}
	return file.CloseAtomicallyReplace()
}
