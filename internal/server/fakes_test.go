package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/basalt-os/basalt/internal/events"
	"github.com/basalt-os/basalt/internal/logs"
	"github.com/basalt-os/basalt/internal/meta"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources"
	"github.com/basalt-os/basalt/internal/server"
	"github.com/basalt-os/basalt/internal/service"
	"github.com/basalt-os/basalt/internal/state"
	"github.com/basalt-os/basalt/internal/timesync"
)

// node is an API server over fakes, with a client.
type node struct {
	conn   *grpc.ClientConn
	server *server.Server

	services map[string]grpc.ServiceInfo
	root     string // what the server takes for the root folder

	machine      *fakeMachine
	installation *fakeInstallation
	meta         *meta.Values
	supervisor   *service.Supervisor
	logs         *logs.Book
	events       *events.Ring
	config       *fakeConfig
	credentials  *fakeCredentials
	etcd         *fakeEtcd
	containers   *fakeContainers
	images       *fakeImages
	cluster      *fakeCluster
	clock        *fakeClock
	controllers  *fakeControllers
	disks        *fakeDisks
}

// newNode serves over a Unix socket until the test ends.
func newNode(t *testing.T, options ...func(*server.Options)) *node {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	book := logs.NewBook(logs.DefaultBufferSize, nil)
	n := &node{
		root:         t.TempDir(),
		machine:      &fakeMachine{},
		installation: &fakeInstallation{},
		meta:         meta.New(resource.NewStore()),
		supervisor:   service.NewSupervisor(logger, book, ignoreServices{}),
		logs:         book,
		events:       events.NewRing(100, nil),
		config:       &fakeConfig{},
		credentials:  &fakeCredentials{},
		etcd:         &fakeEtcd{client: &fakeEtcdClient{}},
		containers:   &fakeContainers{},
		images:       &fakeImages{},
		cluster:      &fakeCluster{client: fake.NewClientset()},
		clock:        &fakeClock{},
		controllers:  &fakeControllers{},
		disks:        &fakeDisks{},
	}
	given := server.Options{
		Logger:       logger,
		Platform:     server.Platform{Name: "container", Mode: "container"},
		Machine:      n.machine,
		Installation: n.installation,
		Meta:         n.meta,
		Services:     n.supervisor,
		Logs:         n.logs,
		Events:       n.events,
		Config:       n.config,
		Credentials:  n.credentials,
		Etcd:         n.etcd,
		Containers:   n.containers,
		Images:       n.images,
		Cluster:      n.cluster,
		Clock:        n.clock,
		Controllers:  n.controllers,
		Root:         n.root,
		Disks:        n.disks,
	}
	for _, option := range options {
		option(&given)
	}
	var err error
	n.server, err = server.New(given)
	if err != nil {
		t.Fatal(err)
	}
	n.serve(t)
	return n
}

func (n *node) serve(t *testing.T) {
	t.Helper()
	registrar := grpc.NewServer(grpc.UnaryInterceptor(server.UnaryErrors), grpc.StreamInterceptor(server.StreamErrors))
	n.server.Register(registrar)
	table, err := resources.NewTable()
	if err != nil {
		t.Fatal(err)
	}
	state.New(resource.NewStore(), table).Register(registrar)
	n.services = registrar.GetServiceInfo()
	socket := filepath.Join(t.TempDir(), "machine.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- registrar.Serve(listener) }()
	n.conn, err = grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := n.conn.Close()
		registrar.Stop()
		if err := errors.Join(err, <-done, n.supervisor.Close(context.Background())); err != nil {
			t.Error(err)
		}
		n.server.Close()
	})
}

// wantCode fails the test unless the error has the code.
func wantCode(t *testing.T, err error, want codes.Code) {
	t.Helper()
	if got := status.Code(err); got != want {
		t.Fatalf("got code %v (%v), want %v", got, err, want)
	}
}

// collect reads a stream to its end.
func collect[T any](stream grpc.ServerStreamingClient[T]) ([]*T, error) {
	var all []*T
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, message)
	}
}

type ignoreServices struct{}

func (ignoreServices) ServiceChanged(service.Status) {}

type fakeMachine struct {
	mu    sync.Mutex
	err   error
	calls []any    // the arguments of each call
	actor []string // of each call
}

func (f *fakeMachine) record(ctx context.Context, call any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, call)
	f.actor = append(f.actor, events.Actor(ctx))
	return f.err
}

func (f *fakeMachine) Reboot(ctx context.Context, mode server.RebootMode) error {
	return f.record(ctx, mode)
}

func (f *fakeMachine) Shutdown(ctx context.Context, force bool) error { return f.record(ctx, force) }

func (f *fakeMachine) Reset(ctx context.Context, options server.ResetOptions) error {
	return f.record(ctx, options)
}

func (f *fakeMachine) Upgrade(ctx context.Context, options server.UpgradeOptions) error {
	return f.record(ctx, options)
}

func (f *fakeMachine) Rollback(ctx context.Context) error { return f.record(ctx, "rollback") }

// fakeInstallation prints a line and ends with a code.
type fakeInstallation struct {
	code int
	err  error
}

func (f *fakeInstallation) Install(_ context.Context, image, disk string, progress func(string)) (int, error) {
	progress("installing " + image + " to " + disk)
	return f.code, f.err
}

func (f *fakeInstallation) Upgrade(_ context.Context, image string, progress func(string)) (int, error) {
	progress("upgrading to " + image)
	return f.code, f.err
}

func (f *fakeMachine) Bootstrap(ctx context.Context, options server.BootstrapOptions) error {
	return f.record(ctx, options)
}

type fakeConfig struct {
	mu              sync.Mutex
	running, stored string
	invalid         error
	warnings        []string
	reboot          []string
	activated       chan string // receives when not nil
}

func (f *fakeConfig) Running(context.Context) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.running == "" {
		return nil, nil
	}
	return []byte(f.running), nil
}

func (f *fakeConfig) Difference(_ context.Context, running, next []byte) (string, error) {
	if string(running) == string(next) {
		return "", nil
	}
	return fmt.Sprintf("-%s\n+%s\n", running, next), nil
}

func (f *fakeConfig) Validate(context.Context, []byte) ([]string, error) {
	return f.warnings, f.invalid
}

func (f *fakeConfig) NeedsReboot(context.Context, []byte, []byte) ([]string, error) {
	return f.reboot, nil
}

func (f *fakeConfig) Store(_ context.Context, next []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stored = string(next)
	return nil
}

func (f *fakeConfig) Activate(_ context.Context, next []byte) error {
	f.mu.Lock()
	f.running = string(next)
	f.mu.Unlock()
	if f.activated != nil {
		f.activated <- string(next)
	}
	return nil
}

func (f *fakeConfig) state() (running, stored string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.running, f.stored
}

type fakeCredentials struct {
	roles []string
	ttl   time.Duration
}

func (f *fakeCredentials) Kubeconfig(context.Context) ([]byte, error) {
	return []byte("apiVersion: v1\nkind: Config\n"), nil
}

func (f *fakeCredentials) ClientConfig(_ context.Context, roles []string, ttl time.Duration) (server.ClientConfig, error) {
	f.roles, f.ttl = roles, ttl
	return server.ClientConfig{CA: []byte("ca"), Certificate: []byte("crt"), Key: []byte("key"), Config: []byte("context: x\n")}, nil
}

type fakeEtcd struct {
	client *fakeEtcdClient
	id     uint64
	err    error
}

func (f *fakeEtcd) Local(context.Context) (server.EtcdClient, error)   { return f.client, f.err }
func (f *fakeEtcd) Cluster(context.Context) (server.EtcdClient, error) { return f.client, f.err }
func (f *fakeEtcd) MemberID(context.Context) (uint64, error)           { return f.id, f.err }

// fakeEtcdClient answers what its functions say; calls without one panic.
type fakeEtcdClient struct {
	clientv3.Cluster
	clientv3.Maintenance
	members  clientv3.MemberListResponse
	status   clientv3.StatusResponse
	alarms   clientv3.AlarmResponse
	snapshot io.ReadCloser
	removed  []uint64
	leader   uint64 // of MoveLeader
	disarmed *clientv3.AlarmMember
	asked    []string // endpoints of Defragment
	closed   int
}

func (f *fakeEtcdClient) Endpoints() []string { return []string{"https://127.0.0.1:2379"} }

func (f *fakeEtcdClient) Close() error {
	f.closed++
	return nil
}

func (f *fakeEtcdClient) MemberList(context.Context, ...clientv3.OpOption) (*clientv3.MemberListResponse, error) {
	return &f.members, nil
}

func (f *fakeEtcdClient) MemberRemove(_ context.Context, id uint64) (*clientv3.MemberRemoveResponse, error) {
	f.removed = append(f.removed, id)
	return &clientv3.MemberRemoveResponse{}, nil
}

func (f *fakeEtcdClient) Status(context.Context, string) (*clientv3.StatusResponse, error) {
	return &f.status, nil
}

func (f *fakeEtcdClient) AlarmList(context.Context) (*clientv3.AlarmResponse, error) {
	return &f.alarms, nil
}

func (f *fakeEtcdClient) AlarmDisarm(_ context.Context, member *clientv3.AlarmMember) (*clientv3.AlarmResponse, error) {
	f.disarmed = member
	return &f.alarms, nil
}

func (f *fakeEtcdClient) Defragment(_ context.Context, endpoint string) (*clientv3.DefragmentResponse, error) {
	f.asked = append(f.asked, endpoint)
	return &clientv3.DefragmentResponse{}, nil
}

func (f *fakeEtcdClient) MoveLeader(_ context.Context, id uint64) (*clientv3.MoveLeaderResponse, error) {
	f.leader = id
	return &clientv3.MoveLeaderResponse{}, nil
}

func (f *fakeEtcdClient) Downgrade(_ context.Context, _ clientv3.DowngradeAction, version string) (*clientv3.DowngradeResponse, error) {
	return &clientv3.DowngradeResponse{Version: version}, nil
}

func (f *fakeEtcdClient) SnapshotWithVersion(context.Context) (*clientv3.SnapshotResponse, error) {
	if f.snapshot == nil {
		return nil, errors.New("no snapshot")
	}
	return &clientv3.SnapshotResponse{Snapshot: f.snapshot}, nil
}

type fakeContainers struct {
	list      []server.Container
	stats     []server.ContainerStats
	restarted []string
	logPath   string
	err       error
}

func (f *fakeContainers) List(context.Context, string, bool) ([]server.Container, error) {
	return f.list, f.err
}

func (f *fakeContainers) Stats(context.Context, string, bool) ([]server.ContainerStats, error) {
	return f.stats, f.err
}

func (f *fakeContainers) Restart(_ context.Context, namespace, id string, _ bool) error {
	f.restarted = append(f.restarted, namespace+"/"+id)
	return f.err
}

func (f *fakeContainers) LogPath(context.Context, string) (string, error) { return f.logPath, f.err }

type fakeImages struct {
	list     []server.Image
	progress []server.LayerProgress
	archive  string // what Import read
	calls    []string
	err      error
}

func (f *fakeImages) List(_ context.Context, namespace string) ([]server.Image, error) {
	f.calls = append(f.calls, "list "+namespace)
	return f.list, f.err
}

func (f *fakeImages) Pull(_ context.Context, namespace, reference string, progress func(server.LayerProgress)) (string, error) {
	f.calls = append(f.calls, "pull "+namespace+" "+reference)
	if progress != nil {
		for _, p := range f.progress {
			progress(p)
		}
	}
	return reference + "@sha256:1", f.err
}

func (f *fakeImages) Import(_ context.Context, namespace string, archive io.Reader) (string, error) {
	f.calls = append(f.calls, "import "+namespace)
	content, err := io.ReadAll(archive)
	f.archive = string(content)
	return "imported:latest", errors.Join(err, f.err)
}

func (f *fakeImages) Remove(_ context.Context, namespace, reference string) error {
	f.calls = append(f.calls, "remove "+namespace+" "+reference)
	return f.err
}

func (f *fakeImages) Verify(_ context.Context, reference string, _ *server.ImageCredentials) (server.Verification, error) {
	return server.Verification{Verified: true, Message: "no rule applies", Reference: reference}, f.err
}

type fakeCluster struct {
	members []server.Member
	client  kubernetes.Interface
}

func (f *fakeCluster) Members(context.Context) ([]server.Member, error) { return f.members, nil }

func (f *fakeCluster) Kubernetes(context.Context, string) (kubernetes.Interface, error) {
	return f.client, nil
}

type fakeClock struct {
	timesync.Client

	servers []string
}

func (f *fakeClock) Servers(context.Context) ([]string, bool, error) { return f.servers, false, nil }

type fakeControllers struct{ graph reconcile.Graph }

func (f *fakeControllers) Graph() reconcile.Graph { return f.graph }
