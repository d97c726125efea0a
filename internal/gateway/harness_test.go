package gateway_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/basalt-os/basalt/api/common"
	cosiresource "github.com/basalt-os/basalt/api/cosi/resource"
	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/gateway"
	"github.com/basalt-os/basalt/internal/rbac"
	"github.com/basalt-os/basalt/pkg/secrets"
)

// machined stands for the node behind a gateway.
type machined struct {
	machine.UnimplementedMachineServiceServer

	name string

	mu sync.Mutex
	// last is the metadata of the last request.
	last metadata.MD
	// sent counts messages of streams.
	sent int
	// ended gets a value when a stream's handler returns.
	ended chan error
}

func (m *machined) note(ctx context.Context) {
	md, _ := metadata.FromIncomingContext(ctx)

	m.mu.Lock()
	defer m.mu.Unlock()

	m.last = md
}

func (m *machined) lastMetadata() metadata.MD {
	m.mu.Lock()
	defer m.mu.Unlock()

	return m.last
}

func (m *machined) sentMessages() int {
	m.mu.Lock()
	defer m.mu.Unlock()

	return m.sent
}

func (m *machined) Version(ctx context.Context, _ *emptypb.Empty) (*machine.VersionResponse, error) {
	m.note(ctx)

	if err := grpc.SetHeader(ctx, metadata.Pairs("header-from", m.name)); err != nil {
		return nil, err
	}

	if err := grpc.SetTrailer(ctx, metadata.Pairs("trailer-from", m.name)); err != nil {
		return nil, err
	}

	return &machine.VersionResponse{Messages: []*machine.Version{
		{Version: &machine.VersionInfo{Tag: m.name}, Platform: &machine.PlatformInfo{Name: rbac.FromContext(ctx).String()}},
	}}, nil
}

// ServiceList fails with a status that has details.
func (m *machined) ServiceList(context.Context, *emptypb.Empty) (*machine.ServiceListResponse, error) {
	st, err := status.New(codes.Aborted, "no services on "+m.name).WithDetails(&machine.ServiceInfo{Id: "detail"})
	if err != nil {
		return nil, err
	}

	return nil, st.Err()
}

// ApplyConfiguration answers with the size of what came.
func (m *machined) ApplyConfiguration(
	_ context.Context, req *machine.ApplyConfigurationRequest,
) (*machine.ApplyConfigurationResponse, error) {
	return &machine.ApplyConfigurationResponse{Messages: []*machine.ApplyConfiguration{
		{ModeDetails: strconv.Itoa(len(req.GetData()))},
	}}, nil
}

// Logs sends tail_lines lines, then fails if the id says so or waits if it follows.
func (m *machined) Logs(req *machine.LogsRequest, stream grpc.ServerStreamingServer[common.Data]) error {
	err := m.logs(req, stream)

	// Nobody may be interested.
	select {
	case m.ended <- err:
	default:
	}

	return err
}

func (m *machined) logs(req *machine.LogsRequest, stream grpc.ServerStreamingServer[common.Data]) error {
	m.note(stream.Context())

	if err := stream.SendHeader(metadata.Pairs("header-from", m.name)); err != nil {
		return err
	}

	for i := range req.GetTailLines() {
		line := []byte(fmt.Sprintf("%s %d", m.name, i))
		if req.GetId() == "large" {
			line = make([]byte, 64<<10)
		}

		if err := stream.Send(&common.Data{Bytes: line}); err != nil {
			return err
		}

		m.mu.Lock()
		m.sent++
		m.mu.Unlock()
	}

	if req.GetId() == "fail-"+m.name {
		return status.Error(codes.NotFound, "no such log")
	}

	if req.GetFollow() {
		<-stream.Context().Done()

		return stream.Context().Err()
	}

	return nil
}

// EtcdRecover answers with the number of bytes that were streamed.
func (m *machined) EtcdRecover(stream grpc.ClientStreamingServer[common.Data, machine.EtcdRecoverResponse]) error {
	total := 0

	for {
		req, err := stream.Recv()
		if err != nil {
			return stream.SendAndClose(&machine.EtcdRecoverResponse{Messages: []*machine.EtcdRecover{
				{Metadata: &common.Metadata{Error: strconv.Itoa(total)}},
			}})
		}

		total += len(req.GetBytes())
	}
}

// resourceState answers Get with the node's name.
type resourceState struct {
	cosiresource.UnimplementedStateServer

	name string
}

func (s resourceState) Get(context.Context, *cosiresource.GetRequest) (*cosiresource.GetResponse, error) {
	return &cosiresource.GetResponse{Resource: &cosiresource.Resource{Metadata: &cosiresource.Metadata{Id: s.name}}}, nil
}

// node is a gateway with the machined behind it.
type node struct {
	*machined
	*gateway.Gateway
	address  string
	settings gateway.Settings
}

// fleet is a set of nodes with one authority. All listen on the same port of
// different loopback addresses.
type fleet struct {
	t     testing.TB
	ca    *secrets.CA
	port  int
	nodes []*node
}

func newCA(t testing.TB) *secrets.CA {
	t.Helper()

	ca, err := secrets.NewCA(secrets.CAOptions{Organization: "test"})
	if err != nil {
		t.Fatal(err)
	}

	return ca
}

func newFleet(t testing.TB, size int) *fleet {
	t.Helper()

	f := &fleet{t: t, ca: newCA(t)}
	listeners := f.listen(size)

	for i, listener := range listeners {
		f.start(i, listener)
	}

	return f
}

// listen finds a port that is free on all addresses.
func (f *fleet) listen(size int) []net.Listener {
	f.t.Helper()

	for range 10 {
		var listeners []net.Listener

		port := 0

		for i := range size {
			listener, err := net.Listen("tcp", net.JoinHostPort(nodeAddress(i), strconv.Itoa(port)))
			if err != nil {
				break
			}

			port = listener.Addr().(*net.TCPAddr).Port
			listeners = append(listeners, listener)
		}

		if len(listeners) == size {
			f.port = port

			return listeners
		}

		for _, listener := range listeners {
			_ = listener.Close()
		}
	}

	f.t.Fatal("found no port that is free on all addresses")

	return nil
}

func nodeAddress(i int) string { return "127.0.5." + strconv.Itoa(i+1) }

func (f *fleet) start(i int, listener net.Listener) {
	f.t.Helper()

	n := &node{
		machined: &machined{name: "node" + strconv.Itoa(i), ended: make(chan error, 16)},
		address:  nodeAddress(i),
	}
	socket := filepath.Join(f.t.TempDir(), "machine.sock")
	f.startMachined(socket, n.machined)

	g, err := gateway.New(gateway.Config{
		MachineSocket: socket,
		NodePort:      f.port,
		Local:         func(name string) bool { return name == n.address },
		Hostname:      func() string { return n.name },
		Logger:        slog.New(slog.DiscardHandler),
	})
	if err != nil {
		f.t.Fatal(err)
	}

	client := f.clientCert(rbac.Impersonator)
	n.settings = gateway.Settings{
		Server:      f.serverCert(n.address),
		Client:      &client,
		AcceptedCAs: []*x509.Certificate{f.ca.Certificate()},
	}
	n.Gateway = g
	g.Update(n.settings)

	f.serve(func(ctx context.Context) error { return g.Serve(ctx, listener) })
	f.t.Cleanup(func() {
		if err := g.Close(); err != nil {
			f.t.Error(err)
		}
	})

	f.nodes = append(f.nodes, n)
}

func (f *fleet) startMachined(socket string, m *machined) {
	f.t.Helper()

	authorizer := &rbac.Authorizer{Peers: func(rbac.Peer) (rbac.Grant, bool) {
		return rbac.Grant{Roles: rbac.All, Forwards: true}, true
	}}
	server := grpc.NewServer(grpc.Creds(rbac.PeerCredentials()), grpc.MaxRecvMsgSize(64<<20),
		grpc.UnaryInterceptor(authorizer.Unary()), grpc.StreamInterceptor(authorizer.Stream()),
		// Services that are not registered are authorized all the same.
		grpc.UnknownServiceHandler(func(any, grpc.ServerStream) error {
			return status.Error(codes.Unimplemented, "no such service")
		}))
	machine.RegisterMachineServiceServer(server, m)
	cosiresource.RegisterStateServer(server, resourceState{name: m.name})

	listener, err := net.Listen("unix", socket)
	if err != nil {
		f.t.Fatal(err)
	}

	f.serve(func(ctx context.Context) error {
		defer context.AfterFunc(ctx, server.Stop)()

		return server.Serve(listener)
	})
}

// serve runs a server for as long as the test.
func (f *fleet) serve(run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)

	go func() { done <- run(ctx) }()

	f.t.Cleanup(func() {
		cancel()

		if err := <-done; err != nil {
			f.t.Error(err)
		}
	})
}

func (f *fleet) serverCert(address string) tls.Certificate {
	f.t.Helper()

	return pair(f.t, serverRequest(address), f.ca.IssueServer)
}

func serverRequest(address string) secrets.Request {
	return secrets.Request{CommonName: "node", IPs: []netip.Addr{netip.MustParseAddr(address)}}
}

func (f *fleet) clientCert(roles rbac.Roles) tls.Certificate {
	f.t.Helper()

	return pair(f.t, secrets.Request{Organizations: roles.Strings()}, f.ca.IssueClient)
}

func pair(t testing.TB, req secrets.Request, issue func(secrets.Request) (secrets.KeyPair, error)) tls.Certificate {
	t.Helper()

	issued, err := issue(req)
	if err != nil {
		t.Fatal(err)
	}

	cert, err := issued.TLS()
	if err != nil {
		t.Fatal(err)
	}

	return cert
}

// dial connects to node i with a certificate, or none.
func (f *fleet) dial(i int, certs ...tls.Certificate) *grpc.ClientConn {
	f.t.Helper()

	pool := x509.NewCertPool()
	pool.AddCert(f.ca.Certificate())

	conn, err := grpc.NewClient("passthrough:///"+net.JoinHostPort(nodeAddress(i), strconv.Itoa(f.port)),
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{
			MinVersion: tls.VersionTLS13, RootCAs: pool, Certificates: certs, ServerName: nodeAddress(i),
		})),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20), grpc.MaxCallSendMsgSize(64<<20)))
	if err != nil {
		f.t.Fatal(err)
	}

	f.t.Cleanup(func() { _ = conn.Close() })

	return conn
}

// admin connects to node i as an administrator.
func (f *fleet) admin(i int) machine.MachineServiceClient {
	return machine.NewMachineServiceClient(f.dial(i, f.clientCert(rbac.Admin)))
}

func with(t testing.TB, pairs ...string) context.Context {
	t.Helper()

	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)

	return metadata.AppendToOutgoingContext(ctx, pairs...)
}
