package cluster

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	clusterapi "github.com/basalt-os/basalt/api/cluster"
	"github.com/basalt-os/basalt/api/common"
	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/pkg/client/clientconfig"
	"github.com/basalt-os/basalt/pkg/provision"
	"github.com/basalt-os/basalt/pkg/secrets"
)

// fakeNode is an API on loopback that stands for all nodes of a cluster. It has
// a kubeconfig at the second attempt.
type fakeNode struct {
	machine.UnimplementedMachineServiceServer
	clusterapi.UnimplementedClusterServiceServer

	mu    sync.Mutex
	calls []string // in order, repeated ones once
}

const fakeKubeconfig = "apiVersion: v1\nkind: Config\n"

// fakeCluster makes the folder of a cluster that exists: its description, a host
// process that has nothing to start, and a client configuration for the node.
func fakeCluster(t *testing.T, spec *provision.Spec, folder provision.Folder) *fakeNode {
	t.Helper()

	if err := folder.Create(spec, map[string][]byte{}); err != nil {
		t.Fatal(err)
	}

	listener, err := net.Listen("unix", folder.Path("host.sock"))
	if err != nil {
		t.Fatal(err)
	}

	nothing := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "[]") })
	serve(t, func() { http.Serve(listener, nothing) }, func() { listener.Close() }) //nolint:errcheck // ends with the listener

	node := new(fakeNode)
	if err := node.start(t).Save(folder.Talosconfig()); err != nil {
		t.Fatal(err)
	}

	return node
}

// serve runs a server until the test ends.
func serve(t *testing.T, run, stop func()) {
	t.Helper()

	var wg sync.WaitGroup

	wg.Go(run)
	t.Cleanup(func() {
		stop()
		wg.Wait()
	})
}

// start serves the API and returns a client configuration for it.
func (f *fakeNode) start(t *testing.T) *clientconfig.Config {
	t.Helper()

	ca, err := secrets.NewCA(secrets.CAOptions{Organization: "test"})
	if err != nil {
		t.Fatal(err)
	}

	server, err := ca.IssueServer(secrets.Request{IPs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}})
	if err != nil {
		t.Fatal(err)
	}

	admin, err := ca.IssueClient(secrets.Request{Organizations: []string{"os:admin"}})
	if err != nil {
		t.Fatal(err)
	}

	certificate, err := server.TLS()
	if err != nil {
		t.Fatal(err)
	}

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	api := grpc.NewServer(grpc.Creds(credentials.NewTLS(&tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{certificate},
	})))
	machine.RegisterMachineServiceServer(api, f)
	clusterapi.RegisterClusterServiceServer(api, f)
	serve(t, func() { api.Serve(listener) }, api.Stop) //nolint:errcheck // ends with the test

	return clientconfig.New("test", &clientconfig.Context{
		Endpoints: []string{listener.Addr().String()}, Nodes: []string{"10.5.0.2"},
		CA: ca.CertPEM(), Crt: admin.Cert, Key: admin.Key,
	})
}

// called notes a call and says whether it is the first of its name.
func (f *fakeNode) called(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()

	if slices.Contains(f.calls, name) {
		return false
	}

	f.calls = append(f.calls, name)

	return true
}

func (f *fakeNode) Version(context.Context, *emptypb.Empty) (*machine.VersionResponse, error) {
	f.called("version")

	return &machine.VersionResponse{Messages: []*machine.Version{{}}}, nil
}

func (f *fakeNode) Bootstrap(context.Context, *machine.BootstrapRequest) (*machine.BootstrapResponse, error) {
	f.called("bootstrap")

	return &machine.BootstrapResponse{Messages: []*machine.Bootstrap{{}}}, nil
}

func (f *fakeNode) HealthCheck(*clusterapi.HealthCheckRequest, grpc.ServerStreamingServer[clusterapi.HealthCheckProgress]) error {
	f.called("health")

	return nil
}

func (f *fakeNode) Kubeconfig(_ *emptypb.Empty, stream grpc.ServerStreamingServer[common.Data]) error {
	if f.called("kubeconfig") {
		return status.Error(codes.Unavailable, "not ready")
	}

	var out bytes.Buffer

	compressed := gzip.NewWriter(&out)
	archive := tar.NewWriter(compressed)

	if err := archive.WriteHeader(&tar.Header{Name: "kubeconfig", Size: int64(len(fakeKubeconfig)), Typeflag: tar.TypeReg}); err != nil {
		return err
	}

	if _, err := archive.Write([]byte(fakeKubeconfig)); err != nil {
		return err
	}

	if err := archive.Close(); err != nil {
		return err
	}

	if err := compressed.Close(); err != nil {
		return err
	}

	return stream.Send(&common.Data{Bytes: out.Bytes()})
}
