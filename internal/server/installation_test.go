package server_test

import (
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"

	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/server"
)

func TestUpgradeAndRollback(t *testing.T) {
	n := newNode(t)
	client := machine.NewMachineServiceClient(n.conn)
	_, err := client.Upgrade(t.Context(), &machine.UpgradeRequest{})
	wantCode(t, err, codes.InvalidArgument)
	_, err = client.Upgrade(t.Context(), &machine.UpgradeRequest{
		Image: "image", Stage: true, Force: true, RebootMode: machine.UpgradeRequest_POWERCYCLE,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Rollback(t.Context(), &machine.RollbackRequest{}); err != nil {
		t.Fatal(err)
	}
	want := []any{server.UpgradeOptions{Image: "image", Stage: true, Force: true}, "rollback"}
	if diff := cmp.Diff(want, n.machine.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestMeta(t *testing.T) {
	n := newNode(t)
	client := machine.NewMachineServiceClient(n.conn)
	for _, key := range []uint32{0, 0x100} {
		_, err := client.MetaWrite(t.Context(), &machine.MetaWriteRequest{Key: key, Value: []byte("v")})
		wantCode(t, err, codes.InvalidArgument)
	}
	if _, err := client.MetaWrite(t.Context(), &machine.MetaWriteRequest{Key: 0x0a, Value: []byte("v")}); err != nil {
		t.Fatal(err)
	}
	if value, ok := n.meta.Get(0x0a); !ok || string(value) != "v" {
		t.Errorf("the value is %q", value)
	}
	if _, err := client.MetaDelete(t.Context(), &machine.MetaDeleteRequest{Key: 0x0a}); err != nil {
		t.Fatal(err)
	}
	_, err := client.MetaDelete(t.Context(), &machine.MetaDeleteRequest{Key: 0x0a})
	wantCode(t, err, codes.NotFound)
}

func TestInstallerProgress(t *testing.T) {
	n := newNode(t)
	n.installation.code = 3
	client := machine.NewLifecycleServiceClient(n.conn)
	upgrade, err := client.Upgrade(t.Context(), &machine.LifecycleServiceUpgradeRequest{
		Source: &machine.InstallArtifactsSource{ImageName: "image"},
	})
	if err != nil {
		t.Fatal(err)
	}
	install, err := client.Install(t.Context(), &machine.LifecycleServiceInstallRequest{
		Source: &machine.InstallArtifactsSource{ImageName: "image"}, Destination: &machine.InstallDestination{Disk: "/dev/vda"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for want, receive := range map[string]func() (*machine.LifecycleServiceInstallProgress, error){
		"upgrading to image": func() (*machine.LifecycleServiceInstallProgress, error) {
			r, err := upgrade.Recv()
			return r.GetProgress(), err
		},
		"installing image to /dev/vda": func() (*machine.LifecycleServiceInstallProgress, error) {
			r, err := install.Recv()
			return r.GetProgress(), err
		},
	} {
		line, err := receive()
		if err != nil || line.GetMessage() != want {
			t.Errorf("got %v, %v, want %q", line, err, want)
		}
		if code, err := receive(); err != nil || code.GetExitCode() != 3 {
			t.Errorf("got %v, %v, want exit code 3", code, err)
		}
		if _, err := receive(); !errors.Is(err, io.EOF) {
			t.Errorf("the stream goes on with %v", err)
		}
	}
}

func TestInstallNeedsADisk(t *testing.T) {
	n := newNode(t)
	stream, err := machine.NewLifecycleServiceClient(n.conn).Install(t.Context(), &machine.LifecycleServiceInstallRequest{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	wantCode(t, err, codes.InvalidArgument)
}
