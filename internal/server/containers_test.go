package server_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"

	"github.com/basalt-os/basalt/api/common"
	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/server"
)

func TestContainers(t *testing.T) {
	n := newNode(t)
	n.containers.list = []server.Container{{
		Namespace: "k8s.io", ID: "ns/pod:c:123", InternalID: "123456", UID: "u", PodID: "ns/pod", Name: "c",
		Image: "i", PID: 12, Status: "CONTAINER_RUNNING", NetworkNamespace: "cni-1",
	}}
	n.containers.stats = []server.ContainerStats{{Namespace: "k8s.io", ID: "ns/pod:c:123", MemoryBytes: 5, CPUTime: time.Second}}
	client := machine.NewMachineServiceClient(n.conn)
	list, err := client.Containers(t.Context(), &machine.ContainersRequest{Namespace: "k8s.io", Driver: common.ContainerDriver_CRI})
	if err != nil {
		t.Fatal(err)
	}
	got := list.GetMessages()[0].GetContainers()[0]
	if got.GetId() != "ns/pod:c:123" || got.GetPid() != 12 || got.GetInternalId() != "123456" || got.GetNetworkNamespace() != "cni-1" {
		t.Errorf("got %v", got)
	}
	stats, err := client.Stats(t.Context(), &machine.StatsRequest{Namespace: "k8s.io"})
	if err != nil {
		t.Fatal(err)
	}
	if got := stats.GetMessages()[0].GetStats()[0]; got.GetMemoryUsage() != 5 || got.GetCpuUsage() != 1e9 {
		t.Errorf("got %v", got)
	}
	if _, err := client.Restart(t.Context(), &machine.RestartRequest{Namespace: "system", Id: "etcd"}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"system/etcd"}, n.containers.restarted); diff != "" {
		t.Errorf("restarted (-want +got):\n%s", diff)
	}
	n.containers.err = server.ErrUnknown
	_, err = client.Restart(t.Context(), &machine.RestartRequest{Namespace: "system", Id: "nobody"})
	wantCode(t, err, codes.NotFound)
}

func TestImages(t *testing.T) {
	n := newNode(t)
	n.images.list = []server.Image{{Name: "a:1", Digest: "sha256:2", Size: 3, Created: time.Unix(4, 0), Labels: map[string]string{"k": "v"}}}
	n.images.progress = []server.LayerProgress{
		{Layer: "sha256:5", Status: server.LayerDownloading, Offset: 1, Total: 2, Elapsed: time.Second},
		{Layer: "sha256:5", Status: server.LayerExtracted, Offset: 2, Total: 2},
	}
	system := &common.ContainerdInstance{Namespace: common.ContainerdNamespace_NS_SYSTEM}
	client := machine.NewImageServiceClient(n.conn)
	listing, err := client.List(t.Context(), &machine.ImageServiceListRequest{Containerd: system})
	if err != nil {
		t.Fatal(err)
	}
	images, err := collect(listing)
	if err != nil || len(images) != 1 || images[0].GetSize() != 3 || images[0].GetLabels()["k"] != "v" {
		t.Errorf("got %v, %v", images, err)
	}
	pull, err := client.Pull(t.Context(), &machine.ImageServicePullRequest{Containerd: system, ImageRef: "a:1"})
	if err != nil {
		t.Fatal(err)
	}
	messages, err := collect(pull)
	if err != nil || len(messages) != 3 {
		t.Fatalf("got %v, %v", messages, err)
	}
	first := messages[0].GetPullProgress()
	if first.GetLayerId() != "sha256:5" || first.GetProgress().GetOffset() != 1 || first.GetProgress().GetElapsed().GetSeconds() != 1 {
		t.Errorf("got %v", first)
	}
	if got := messages[1].GetPullProgress().GetProgress().GetStatus(); got != machine.ImageServicePullLayerProgress_EXTRACT_COMPLETE {
		t.Errorf("got status %v", got)
	}
	if got := messages[2].GetName(); got != "a:1@sha256:1" {
		t.Errorf("got name %q", got)
	}
	if _, err := client.Remove(t.Context(), &machine.ImageServiceRemoveRequest{Containerd: system, ImageRef: "a:1"}); err != nil {
		t.Error(err)
	}
	verified, err := client.Verify(t.Context(), &machine.ImageServiceVerifyRequest{ImageRef: "a:1"})
	if err != nil || !verified.GetVerified() {
		t.Errorf("got %v, %v", verified, err)
	}
	if diff := cmp.Diff([]string{"list system", "pull system a:1", "remove system a:1"}, n.images.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestImageImport(t *testing.T) {
	n := newNode(t)
	client := machine.NewImageServiceClient(n.conn)
	upload, err := client.Import(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cri := &common.ContainerdInstance{Namespace: common.ContainerdNamespace_NS_CRI}
	for _, request := range []*machine.ImageServiceImportRequest{
		{Request: &machine.ImageServiceImportRequest_Containerd{Containerd: cri}},
		{Request: &machine.ImageServiceImportRequest_ImageChunk{ImageChunk: &common.Data{Bytes: []byte("arch")}}},
		{Request: &machine.ImageServiceImportRequest_ImageChunk{ImageChunk: &common.Data{Bytes: []byte("ive")}}},
	} {
		if err := upload.Send(request); err != nil {
			t.Fatal(err)
		}
	}
	reply, err := upload.CloseAndRecv()
	if err != nil || reply.GetName() != "imported:latest" || n.images.archive != "archive" {
		t.Errorf("got %v, %v after %q", reply, err, n.images.archive)
	}

	upload, err = client.Import(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := upload.Send(&machine.ImageServiceImportRequest{Request: &machine.ImageServiceImportRequest_ImageChunk{ImageChunk: &common.Data{}}}); err != nil {
		t.Fatal(err)
	}
	_, err = upload.CloseAndRecv()
	wantCode(t, err, codes.InvalidArgument)
}

func TestDeprecatedImageCalls(t *testing.T) {
	n := newNode(t)
	n.images.list = []server.Image{{Name: "a:1", Size: 3}}
	client := machine.NewMachineServiceClient(n.conn)
	listing, err := client.ImageList(t.Context(), &machine.ImageListRequest{Namespace: common.ContainerdNamespace_NS_CRI})
	if err != nil {
		t.Fatal(err)
	}
	images, err := collect(listing)
	if err != nil || len(images) != 1 || images[0].GetCreatedAt() != nil {
		t.Errorf("got %v, %v", images, err)
	}
	if _, err := client.ImagePull(t.Context(), &machine.ImagePullRequest{Namespace: common.ContainerdNamespace_NS_SYSTEM, Reference: "b"}); err != nil {
		t.Error(err)
	}
	_, err = client.ImagePull(t.Context(), &machine.ImagePullRequest{Reference: "b"})
	wantCode(t, err, codes.InvalidArgument)
	if diff := cmp.Diff([]string{"list k8s.io", "pull system b"}, n.images.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}
