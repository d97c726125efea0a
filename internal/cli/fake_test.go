package cli_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"

	clusterapi "github.com/basalt-os/basalt/api/cluster"
	"github.com/basalt-os/basalt/api/common"
	cosiresource "github.com/basalt-os/basalt/api/cosi/resource"
	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/api/storage"
	"github.com/basalt-os/basalt/internal/rbac"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources"
	"github.com/basalt-os/basalt/internal/resources/cluster"
	"github.com/basalt-os/basalt/internal/resources/config"
	"github.com/basalt-os/basalt/internal/resources/machinetype"
	"github.com/basalt-os/basalt/internal/resources/runtime"
	"github.com/basalt-os/basalt/internal/state"
	"github.com/basalt-os/basalt/pkg/client/clientconfig"
	"github.com/basalt-os/basalt/pkg/secrets"
)

// fake is a node as the client sees it: an API on loopback, with the real
// server of resources over a real store. It stands for the nodes 10.0.0.1 and
// 10.0.0.2; all others cannot be reached.
type fake struct {
	machine.UnimplementedMachineServiceServer
	clusterapi.UnimplementedClusterServiceServer

	table *resources.Table

	mu      sync.Mutex
	state   *state.Server
	applied []byte
}

// stateServer passes calls to the server of the present run of the node.
type stateServer struct {
	cosiresource.UnimplementedStateServer
	*fake
}

const actor = "f5e9a2c0-0000-4000-8000-000000000001"

// machineConfig is the configuration that the node runs with.
const machineConfig = `apiVersion: v1alpha1
kind: HostnameConfig
hostname: first
`

// startFake starts a node and returns the client configuration for it.
func startFake() (*clientconfig.Config, func(), error) {
	table, err := resources.NewTable(resources.Describe[reconcile.Status]())
	if err != nil {
		return nil, nil, err
	}

	f := &fake{table: table}
	if err := f.boot(context.Background()); err != nil {
		return nil, nil, err
	}

	ca, err := secrets.NewCA(secrets.CAOptions{Organization: "test"})
	if err != nil {
		return nil, nil, err
	}

	loopback := netip.MustParseAddr("127.0.0.1")

	server, err := ca.IssueServer(secrets.Request{IPs: []netip.Addr{loopback}})
	if err != nil {
		return nil, nil, err
	}

	admin, err := ca.IssueClient(secrets.Request{Organizations: []string{"os:admin"}})
	if err != nil {
		return nil, nil, err
	}

	certificate, err := server.TLS()
	if err != nil {
		return nil, nil, err
	}

	pool, err := secrets.Pool(ca.CertPEM())
	if err != nil {
		return nil, nil, err
	}

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}

	api := grpc.NewServer(
		grpc.Creds(credentials.NewTLS(&tls.Config{
			MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{certificate},
			ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
		})),
		grpc.UnaryInterceptor(func(ctx context.Context, q any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
			if err := route(ctx); err != nil {
				return nil, err
			}

			return handle(ctx, q)
		}),
		grpc.StreamInterceptor(func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
			if err := route(stream.Context()); err != nil {
				return err
			}

			return handle(srv, stream)
		}),
	)
	machine.RegisterMachineServiceServer(api, f)
	clusterapi.RegisterClusterServiceServer(api, f)
	storage.RegisterStorageServiceServer(api, diskServer{})
	cosiresource.RegisterStateServer(api, stateServer{fake: f})

	done := make(chan struct{})

	go func() {
		defer close(done)

		_ = api.Serve(listener)
	}()

	stop := func() {
		api.Stop()
		<-done
	}

	return clientconfig.New("test", &clientconfig.Context{
		Endpoints: []string{listener.Addr().String()}, Nodes: []string{"10.0.0.1"},
		CA: ca.CertPEM(), Crt: admin.Cert, Key: admin.Key,
	}), stop, nil
}

// route refuses nodes that are not there.
func route(ctx context.Context) error {
	md, _ := metadata.FromIncomingContext(ctx)
	for _, node := range md.Get("node") {
		if node != "10.0.0.1" && node != "10.0.0.2" {
			return status.Errorf(codes.Unavailable, "no route to %s", node)
		}
	}

	return nil
}

// boot begins a run of the node, with a new store.
func (f *fake) boot(ctx context.Context) error {
	store := resource.NewStore()
	if err := state.Describe(ctx, store, f.table); err != nil {
		return err
	}

	active := resource.New(config.ActiveID, config.MachineConfig{Text: machineConfig})

	for _, object := range []resource.Object{
		active,
		resource.New("first", cluster.Member{
			NodeID: "a", Hostname: "first", MachineType: machinetype.ControlPlane, OperatingSystem: "Basalt",
			Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.1")},
		}),
		resource.New("second", cluster.Member{
			NodeID: "b", Hostname: "second", MachineType: machinetype.Worker, OperatingSystem: "Basalt",
			Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.2")},
		}),
		resource.New(runtime.MachineStatusID, runtime.MachineStatus{
			Stage: runtime.MachineStageRunning,
			Status: runtime.MachineStatusStatus{UnmetConditions: []runtime.UnmetCondition{
				{Name: "services", Reason: `service "etcd" is not running`},
			}},
		}),
		resource.New("etcd.SpecController", reconcile.Status{
			State: reconcile.StateFailing, Outputs: []string{"EtcdSpecs.etcd.talos.dev"}, Failures: 2, Error: "no address fits",
		}),
	} {
		if err := store.Create(ctx, object, "test"); err != nil {
			return err
		}
	}

	f.mu.Lock()
	defer f.mu.Unlock()

	f.state = state.New(store, f.table)

	return nil
}

func (s stateServer) current() *state.Server {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.state
}

func (s stateServer) Get(ctx context.Context, q *cosiresource.GetRequest) (*cosiresource.GetResponse, error) {
	return s.current().Get(rbac.WithRoles(ctx, rbac.Admin), q)
}

func (s stateServer) List(q *cosiresource.ListRequest, stream grpc.ServerStreamingServer[cosiresource.ListResponse]) error {
	return s.current().List(q, stream)
}

func (s stateServer) Watch(q *cosiresource.WatchRequest, stream grpc.ServerStreamingServer[cosiresource.WatchResponse]) error {
	return s.current().Watch(q, stream)
}

func (f *fake) Version(context.Context, *emptypb.Empty) (*machine.VersionResponse, error) {
	return &machine.VersionResponse{Messages: []*machine.Version{{
		Version:  &machine.VersionInfo{Tag: "v1.14.0+fake", Os: "linux", Arch: "amd64"},
		Platform: &machine.PlatformInfo{Name: "container", Mode: "container"},
		Features: &machine.FeaturesInfo{Rbac: true},
	}}}, nil
}

func (f *fake) ServiceList(context.Context, *emptypb.Empty) (*machine.ServiceListResponse, error) {
	service := func(id, state, event string, healthy bool) *machine.ServiceInfo {
		return &machine.ServiceInfo{
			Id: id, State: state, Health: &machine.ServiceHealth{Healthy: healthy},
			Events: &machine.ServiceEvents{Events: []*machine.ServiceEvent{{Msg: event, State: state}}},
		}
	}

	return &machine.ServiceListResponse{Messages: []*machine.ServiceList{{Services: []*machine.ServiceInfo{
		service("etcd", "Waiting", `Waiting for etcd spec`, false),
		service("kubelet", "Running", "Health check successful", true),
	}}}}, nil
}

func (f *fake) ServiceRestart(_ context.Context, q *machine.ServiceRestartRequest) (*machine.ServiceRestartResponse, error) {
	if q.GetId() == "machined" {
		return nil, status.Error(codes.InvalidArgument, `service "machined" cannot be restarted`)
	}

	return &machine.ServiceRestartResponse{Messages: []*machine.ServiceRestart{{Resp: "restarted " + q.GetId()}}}, nil
}

func (f *fake) Logs(q *machine.LogsRequest, stream grpc.ServerStreamingServer[common.Data]) error {
	if q.GetId() != "kubelet" {
		return status.Errorf(codes.NotFound, "there is no log %q", q.GetId())
	}

	lines := []string{"one\n", "two\n", "three\n"}
	if tail := int(q.GetTailLines()); tail >= 0 {
		lines = lines[max(len(lines)-tail, 0):]
	}

	// The pieces of a stream end anywhere.
	for _, piece := range slices.Collect(slices.Chunk([]byte(strings.Join(lines, "")), 3)) {
		if err := stream.Send(&common.Data{Bytes: piece}); err != nil {
			return err
		}
	}

	return nil
}

func (f *fake) ApplyConfiguration(_ context.Context, q *machine.ApplyConfigurationRequest) (*machine.ApplyConfigurationResponse, error) {
	if bytes.Contains(q.GetData(), []byte("refused")) {
		return nil, status.Error(codes.InvalidArgument, "the hostname is refused")
	}

	f.mu.Lock()
	defer f.mu.Unlock()

	f.applied = q.GetData()

	return &machine.ApplyConfigurationResponse{Messages: []*machine.ApplyConfiguration{{
		ModeDetails: "mode " + q.GetMode().String() + ", " + strings.ReplaceAll(strings.TrimSpace(string(q.GetData())), "\n", "; "),
		Warnings:    []string{"a warning"},
	}}}, nil
}

func (f *fake) Kubeconfig(_ *emptypb.Empty, stream grpc.ServerStreamingServer[common.Data]) error {
	const text = `apiVersion: v1
kind: Config
clusters:
- name: prod
  cluster: {server: "https://10.0.0.1:6443"}
users:
- name: admin@prod
  user: {token: secret}
contexts:
- name: admin@prod
  context: {cluster: prod, user: admin@prod, namespace: default}
current-context: admin@prod
`

	var out bytes.Buffer

	compressed := gzip.NewWriter(&out)
	archive := tar.NewWriter(compressed)

	if err := archive.WriteHeader(&tar.Header{Name: "kubeconfig", Mode: 0o600, Size: int64(len(text)), Typeflag: tar.TypeReg}); err != nil {
		return err
	}

	if _, err := archive.Write([]byte(text)); err != nil {
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

// Copy sends an archive that also has a file outside the folder.
func (f *fake) Copy(_ *machine.CopyRequest, stream grpc.ServerStreamingServer[common.Data]) error {
	var out bytes.Buffer

	compressed := gzip.NewWriter(&out)
	archive := tar.NewWriter(compressed)

	for _, header := range []*tar.Header{
		{Name: "sub/", Mode: 0o755, Typeflag: tar.TypeDir},
		{Name: "sub/file", Mode: 0o644, Size: 5, Typeflag: tar.TypeReg},
		{Name: "../outside", Mode: 0o644, Size: 5, Typeflag: tar.TypeReg},
	} {
		if err := archive.WriteHeader(header); err != nil {
			return err
		}

		if header.Size > 0 {
			if _, err := archive.Write([]byte("hello")); err != nil {
				return err
			}
		}
	}

	_ = archive.Close()
	_ = compressed.Close()

	return stream.Send(&common.Data{Bytes: out.Bytes()})
}

func (f *fake) EtcdMemberList(context.Context, *machine.EtcdMemberListRequest) (*machine.EtcdMemberListResponse, error) {
	return &machine.EtcdMemberListResponse{Messages: []*machine.EtcdMembers{{Members: []*machine.EtcdMember{{
		Id: 0xabc, Hostname: "first", PeerUrls: []string{"https://10.0.0.1:2380"}, ClientUrls: []string{"https://10.0.0.1:2379"},
	}}}}}, nil
}

// EtcdSnapshot sends a snapshot whose hash is wrong on the second node.
func (f *fake) EtcdSnapshot(_ *machine.EtcdSnapshotRequest, stream grpc.ServerStreamingServer[common.Data]) error {
	pages := make([]byte, 1024)
	hash := sha256.Sum256(pages)

	md, _ := metadata.FromIncomingContext(stream.Context())
	if slices.Contains(md.Get("node"), "10.0.0.2") {
		hash[0]++
	}

	return stream.Send(&common.Data{Bytes: append(pages, hash[:]...)})
}

func (f *fake) HealthCheck(_ *clusterapi.HealthCheckRequest, stream grpc.ServerStreamingServer[clusterapi.HealthCheckProgress]) error {
	for _, message := range []string{
		"discovered nodes: control plane [\"10.0.0.1\"], worker []",
		"waiting for etcd to be healthy: ...", "waiting for etcd to be healthy: OK",
		"waiting for nodes to be ready: ...", "waiting for nodes to be ready: first is not",
	} {
		if err := stream.Send(&clusterapi.HealthCheckProgress{Message: message}); err != nil {
			return err
		}
	}

	return status.Error(codes.DeadlineExceeded, "nodes to be ready: first is not")
}

// Reboot begins another run of the node.
func (f *fake) Reboot(context.Context, *machine.RebootRequest) (*machine.RebootResponse, error) {
	if err := f.boot(context.Background()); err != nil {
		return nil, err
	}

	return &machine.RebootResponse{Messages: []*machine.Reboot{{ActorId: actor}}}, nil
}

// Shutdown fails on the way.
func (f *fake) Shutdown(context.Context, *machine.ShutdownRequest) (*machine.ShutdownResponse, error) {
	return &machine.ShutdownResponse{Messages: []*machine.Shutdown{{ActorId: "shutdown"}}}, nil
}

func (f *fake) Events(q *machine.EventsRequest, stream grpc.ServerStreamingServer[machine.Event]) error {
	payloads := []proto.Message{
		&machine.SequenceEvent{Sequence: "reboot", Action: machine.SequenceEvent_START},
		&machine.PhaseEvent{Phase: "stopEverything", Action: machine.PhaseEvent_START},
		&machine.TaskEvent{Task: "stopServices", Action: machine.TaskEvent_START},
		&machine.SequenceEvent{Sequence: "reboot", Action: machine.SequenceEvent_STOP},
	}

	if q.GetWithActorId() == "shutdown" {
		payloads = []proto.Message{&machine.SequenceEvent{
			Sequence: "shutdown", Action: machine.SequenceEvent_STOP, Error: &common.Error{Message: "a volume is busy"},
		}}
	}

	for i, payload := range payloads {
		data, err := anypb.New(payload)
		if err != nil {
			return err
		}

		event := &machine.Event{Id: "event" + string(rune('0'+i)), ActorId: q.GetWithActorId(), Data: data}
		if err := stream.Send(event); err != nil {
			return err
		}
	}

	// A node's stream goes on; nobody who waits for more than this gets it.
	if q.GetWithActorId() != "" {
		<-stream.Context().Done()
	}

	return nil
}

// diskServer erases everything but one disk.
type diskServer struct {
	storage.UnimplementedStorageServiceServer
}

func (diskServer) BlockDeviceWipe(_ context.Context, q *storage.BlockDeviceWipeRequest) (*storage.BlockDeviceWipeResponse, error) {
	for _, d := range q.GetDevices() {
		if d.GetDevice() == "sda" {
			return nil, status.Error(codes.FailedPrecondition, "erasing sda: the device is in use by volume META")
		}
	}

	return &storage.BlockDeviceWipeResponse{Messages: []*storage.BlockDeviceWipe{{}}}, nil
}
