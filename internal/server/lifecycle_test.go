package server_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/basalt-os/basalt/api/common"
	"github.com/basalt-os/basalt/api/machine"
	internalmachine "github.com/basalt-os/basalt/internal/machine"
	"github.com/basalt-os/basalt/internal/server"
	"github.com/basalt-os/basalt/internal/version"
)

func TestVersion(t *testing.T) {
	n := newNode(t)
	reply, err := machine.NewMachineServiceClient(n.conn).Version(t.Context(), &emptypb.Empty{})
	if err != nil {
		t.Fatal(err)
	}
	got := reply.GetMessages()[0]
	if got.GetVersion().GetTag() != version.Tag || got.GetPlatform().GetMode() != "container" || !got.GetFeatures().GetRbac() {
		t.Errorf("got %v", got)
	}
}

func TestSequencesCarryTheActorOfTheReply(t *testing.T) {
	n := newNode(t)
	client := machine.NewMachineServiceClient(n.conn)
	reboot, err := client.Reboot(t.Context(), &machine.RebootRequest{Mode: machine.RebootRequest_POWERCYCLE})
	if err != nil {
		t.Fatal(err)
	}
	shutdown, err := client.Shutdown(t.Context(), &machine.ShutdownRequest{Force: true})
	if err != nil {
		t.Fatal(err)
	}
	reset, err := client.Reset(t.Context(), &machine.ResetRequest{Graceful: true, Reboot: true, Mode: machine.ResetRequest_SYSTEM_DISK})
	if err != nil {
		t.Fatal(err)
	}
	actors := []string{reboot.GetMessages()[0].GetActorId(), shutdown.GetMessages()[0].GetActorId(), reset.GetMessages()[0].GetActorId()}
	if diff := cmp.Diff(n.machine.actor, actors); diff != "" {
		t.Errorf("actors (-sequence +reply):\n%s", diff)
	}
	want := []any{server.RebootPowerCycle, true, server.ResetOptions{Graceful: true, Reboot: true, WipeSystemDisk: true}}
	if diff := cmp.Diff(want, n.machine.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestLockedSequenceIsAPrecondition(t *testing.T) {
	n := newNode(t)
	n.machine.err = fmt.Errorf("starting: %w", internalmachine.ErrLocked)
	_, err := machine.NewMachineServiceClient(n.conn).Reboot(t.Context(), &machine.RebootRequest{})
	wantCode(t, err, codes.FailedPrecondition)
}

func TestResetRefusesContradictions(t *testing.T) {
	state := []*machine.ResetPartitionSpec{{Label: "STATE", Wipe: true}}
	for name, request := range map[string]*machine.ResetRequest{
		"user disks with mode system disk":    {Mode: machine.ResetRequest_SYSTEM_DISK, UserDisksToWipe: []string{"/dev/vdb"}},
		"partitions with mode user disks":     {Mode: machine.ResetRequest_USER_DISKS, SystemPartitionsToWipe: state, UserDisksToWipe: []string{"/dev/vdb"}},
		"mode user disks without a user disk": {Mode: machine.ResetRequest_USER_DISKS},
		"partition without label":             {SystemPartitionsToWipe: []*machine.ResetPartitionSpec{{}}},
		"unknown mode":                        {Mode: 77},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			_, err := machine.NewMachineServiceClient(n.conn).Reset(t.Context(), request)
			wantCode(t, err, codes.InvalidArgument)
			if len(n.machine.calls) > 0 {
				t.Error("the reset began nevertheless")
			}
		})
	}
}

func TestRecoverThenBootstrap(t *testing.T) {
	n := newNode(t)
	client := machine.NewMachineServiceClient(n.conn)
	request := &machine.BootstrapRequest{RecoverEtcd: true, RecoverSkipHashCheck: true}
	_, err := client.Bootstrap(t.Context(), request)
	wantCode(t, err, codes.NotFound)

	upload, err := client.EtcdRecover(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, chunk := range []string{"snap", "shot"} {
		if err := upload.Send(&common.Data{Bytes: []byte(chunk)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := upload.CloseAndRecv(); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Bootstrap(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(n.root, "var/lib/etcd.snapshot")
	content, err := os.ReadFile(path)
	if err != nil || string(content) != "snapshot" {
		t.Errorf("got snapshot %q, %v", content, err)
	}
	want := []any{server.BootstrapOptions{Snapshot: path, SkipHashCheck: true}}
	if diff := cmp.Diff(want, n.machine.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestAnEmptySnapshotIsRefused(t *testing.T) {
	n := newNode(t)
	upload, err := machine.NewMachineServiceClient(n.conn).EtcdRecover(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = upload.CloseAndRecv()
	wantCode(t, err, codes.InvalidArgument)
}

func TestKubeconfigIsAnArchiveOfOneFile(t *testing.T) {
	n := newNode(t)
	stream, err := machine.NewMachineServiceClient(n.conn).Kubeconfig(t.Context(), &emptypb.Empty{})
	if err != nil {
		t.Fatal(err)
	}
	files := readArchive(t, readAll(t, stream.Recv))
	want := map[string]string{"kubeconfig": "apiVersion: v1\nkind: Config\n"}
	if diff := cmp.Diff(want, files); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestGenerateClientConfiguration(t *testing.T) {
	n := newNode(t)
	client := machine.NewMachineServiceClient(n.conn)
	_, err := client.GenerateClientConfiguration(t.Context(), &machine.GenerateClientConfigurationRequest{Roles: []string{"os:king"}})
	wantCode(t, err, codes.InvalidArgument)
	_, err = client.GenerateClientConfiguration(t.Context(), &machine.GenerateClientConfigurationRequest{})
	wantCode(t, err, codes.InvalidArgument)
	reply, err := client.GenerateClientConfiguration(t.Context(), &machine.GenerateClientConfigurationRequest{
		Roles: []string{"os:reader"}, CrtTtl: durationpb.New(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	if string(reply.GetMessages()[0].GetKey()) != "key" || n.credentials.ttl != time.Hour || n.credentials.roles[0] != "os:reader" {
		t.Errorf("got %v for %v, %v", reply, n.credentials.roles, n.credentials.ttl)
	}
}

// readAll puts the chunks of a stream together.
func readAll(t *testing.T, receive func() (*common.Data, error)) []byte {
	t.Helper()
	var all []byte
	for {
		chunk, err := receive()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, chunk.GetBytes()...)
	}
}

// readArchive returns the files of a gzipped tar archive; folders end in a
// slash, links have their target as content.
func readArchive(t *testing.T, archive []byte) map[string]string {
	t.Helper()
	plain, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	reader := tar.NewReader(plain)
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name] = string(content) + header.Linkname
	}
}
