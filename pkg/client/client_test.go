package client_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/basalt-os/basalt/api/common"
	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/pkg/client"
	"github.com/basalt-os/basalt/pkg/client/clientconfig"
	"github.com/basalt-os/basalt/pkg/secrets"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// node answers as a gateway does, with canned failures of other nodes.
type node struct {
	machine.UnimplementedMachineServiceServer

	calls atomic.Int64
}

func (n *node) Version(ctx context.Context, _ *emptypb.Empty) (*machine.VersionResponse, error) {
	n.calls.Add(1)

	md, _ := metadata.FromIncomingContext(ctx)
	resp := &machine.VersionResponse{}

	for _, name := range append(md.Get("node"), md.Get("nodes")...) {
		m := &machine.Version{Metadata: &common.Metadata{Hostname: name}, Version: &machine.VersionInfo{Tag: "v1"}}

		switch {
		case strings.HasPrefix(name, "old-bad"):
			m.Metadata.Error = "something went wrong"
		case strings.HasPrefix(name, "bad"):
			st := status.New(codes.Unavailable, "no route to host")
			m.Metadata.Error, m.Metadata.Status = st.Err().Error(), st.Proto()
		}

		resp.Messages = append(resp.Messages, m)
	}

	return resp, nil
}

func (n *node) Events(_ *machine.EventsRequest, stream grpc.ServerStreamingServer[machine.Event]) error {
	known, err := anypb.New(&machine.TaskEvent{Task: "mount"})
	if err != nil {
		return err
	}

	for _, event := range []*machine.Event{
		{Id: "1", ActorId: "actor", Data: known, Metadata: &common.Metadata{Hostname: "a"}},
		{Id: "2", Data: &anypb.Any{TypeUrl: "basalt/future.Event"}},
		{Metadata: &common.Metadata{Hostname: "b", Status: status.New(codes.Aborted, "stopped").Proto()}},
		{Id: "3", Data: known},
	} {
		if err := stream.Send(event); err != nil {
			return err
		}
	}

	return status.Error(codes.Unavailable, "going down")
}

func (n *node) Read(req *machine.ReadRequest, stream grpc.ServerStreamingServer[common.Data]) error {
	if req.GetPath() == "/absent" {
		return status.Error(codes.NotFound, "no such file")
	}

	for _, part := range []string{"one", "", "two"} {
		if err := stream.Send(&common.Data{Bytes: []byte(part)}); err != nil {
			return err
		}
	}

	if req.GetPath() == "/torn" {
		return stream.Send(&common.Data{Metadata: &common.Metadata{Hostname: "n", Error: "disk on fire"}})
	}

	return nil
}

func (n *node) Kubeconfig(_ *emptypb.Empty, stream grpc.ServerStreamingServer[common.Data]) error {
	var buffer bytes.Buffer

	zipped := gzip.NewWriter(&buffer)
	archive := tar.NewWriter(zipped)
	err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "kubeconfig", Size: 4, Mode: 0o600})
	_, writeErr := archive.Write([]byte("kind"))

	if err := errors.Join(err, writeErr, archive.Close(), zipped.Close()); err != nil {
		return err
	}

	for part := range slices.Chunk(buffer.Bytes(), 10) {
		if err := stream.Send(&common.Data{Bytes: part}); err != nil {
			return err
		}
	}

	return nil
}

func (n *node) EtcdRecover(stream grpc.ClientStreamingServer[common.Data, machine.EtcdRecoverResponse]) error {
	total := 0

	for {
		data, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}

		if err != nil {
			return err
		}

		total += len(data.GetBytes())
	}

	return stream.SendAndClose(&machine.EtcdRecoverResponse{Messages: []*machine.EtcdRecover{
		{Metadata: &common.Metadata{Hostname: fmt.Sprint(total)}},
	}})
}

// cluster is one authority with servers on loopback addresses.
type cluster struct {
	t     *testing.T
	ca    *secrets.CA
	nodes []*node
	addrs []string
	certs []tls.Certificate
}

func newCluster(t *testing.T, size int) *cluster {
	t.Helper()

	ca, err := secrets.NewCA(secrets.CAOptions{Organization: "test"})
	if err != nil {
		t.Fatal(err)
	}

	c := &cluster{t: t, ca: ca}

	for i := range size {
		ip := fmt.Sprintf("127.0.6.%d", i+1)
		cert := keyPair(t, ca.IssueServer, secrets.Request{IPs: []netip.Addr{netip.MustParseAddr(ip)}})
		c.serve(ip, cert)
	}

	return c
}

func (c *cluster) serve(ip string, cert tls.Certificate) {
	c.t.Helper()

	pool := x509.NewCertPool()
	pool.AddCert(c.ca.Certificate())

	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(&tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert}, ClientCAs: pool, ClientAuth: tls.VerifyClientCertIfGiven,
	})))
	n := &node{}
	machine.RegisterMachineServiceServer(server, n)

	listener, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		c.t.Fatal(err)
	}

	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()

	c.t.Cleanup(func() {
		server.Stop()

		if err := <-done; err != nil {
			c.t.Error(err)
		}
	})

	c.nodes, c.addrs, c.certs = append(c.nodes, n), append(c.addrs, listener.Addr().String()), append(c.certs, cert)
}

func keyPair(t *testing.T, issue func(secrets.Request) (secrets.KeyPair, error), req secrets.Request) tls.Certificate {
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

func (c *cluster) context() *clientconfig.Context {
	c.t.Helper()

	issued, err := c.ca.IssueClient(secrets.Request{Organizations: []string{"os:admin"}})
	if err != nil {
		c.t.Fatal(err)
	}

	return &clientconfig.Context{Endpoints: c.addrs, CA: c.ca.CertPEM(), Crt: issued.Cert, Key: issued.Key}
}

func newClient(t *testing.T, opts ...client.Option) *client.Client {
	t.Helper()

	c, err := client.New(opts...)
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})

	return c
}

func timeout(t *testing.T) context.Context {
	t.Helper()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)

	return ctx
}

func TestEndpointsTakeTurns(t *testing.T) {
	cl := newCluster(t, 3)
	c := newClient(t, client.WithConfig(clientconfig.New("x", cl.context())))

	// Until all three are connected, calls go to those that are.
	for cl.nodes[0].calls.Load() == 0 || cl.nodes[1].calls.Load() == 0 || cl.nodes[2].calls.Load() == 0 {
		if _, err := c.Machine.Version(timeout(t), &emptypb.Empty{}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEndpointDown(t *testing.T) {
	cl := newCluster(t, 1)
	context := cl.context()
	context.Endpoints = []string{"127.0.6.99:1", cl.addrs[0]}
	c := newClient(t, client.WithContext(context))

	for range 10 {
		if _, err := c.Machine.Version(timeout(t), &emptypb.Empty{}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEndpointsAreVerifiedByTheirAddress(t *testing.T) {
	cl := newCluster(t, 1)
	cl.serve("127.0.6.50", cl.certs[0])
	c := newClient(t, client.WithContext(cl.context()), client.WithEndpoints(cl.addrs[1]))

	_, err := c.Machine.Version(timeout(t), &emptypb.Empty{})
	if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "certificate is valid for 127.0.6.1") {
		t.Errorf("got %v", err)
	}
}

func TestMaintenance(t *testing.T) {
	cl := newCluster(t, 1)
	right := secrets.Fingerprint(cl.certs[0].Leaf)

	for _, test := range []struct {
		fingerprints []string
		want         codes.Code
	}{
		{nil, codes.OK},
		{[]string{"other", right}, codes.OK},
		{[]string{"other"}, codes.Unavailable},
	} {
		c := newClient(t, client.WithMaintenance(test.fingerprints...), client.WithEndpoints(cl.addrs[0]))

		_, err := c.Machine.Version(timeout(t), &emptypb.Empty{})
		if status.Code(err) != test.want {
			t.Errorf("%v: %v", test.fingerprints, err)
		}

		if err != nil && !strings.Contains(err.Error(), right) {
			t.Errorf("the error does not say the fingerprint: %v", err)
		}
	}
}

func TestProxy(t *testing.T) {
	cl := newCluster(t, 1)

	var asked atomic.Value

	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r.Method + " " + r.Host + " " + r.Header.Get("Proxy-Authorization"))
		w.WriteHeader(http.StatusForbidden)
	}))
	defer proxy.Close()

	context := cl.context()
	context.ProxyURL = strings.Replace(proxy.URL, "://", "://me:secret@", 1)
	c := newClient(t, client.WithContext(context))

	_, err := c.Machine.Version(timeout(t), &emptypb.Empty{})
	if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "403 Forbidden") {
		t.Errorf("got %v", err)
	}

	if want := "CONNECT " + cl.addrs[0] + " Basic bWU6c2VjcmV0"; asked.Load() != want {
		t.Errorf("the proxy was asked %v", asked.Load())
	}

	context.ProxyURL = "socks5://me:secret@host"
	if _, err := client.New(client.WithContext(context)); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Setenv(clientconfig.EnvBasalt, filepath.Join(t.TempDir(), "absent"))

	broken := &clientconfig.Context{Endpoints: []string{"a"}, Crt: secrets.PEM("x"), Key: secrets.PEM("y")}

	for name, opts := range map[string][]client.Option{
		"no file":          nil,
		"no endpoints":     {client.WithContext(&clientconfig.Context{})},
		"no context":       {client.WithConfig(clientconfig.New("a", broken)), client.WithContextName("b")},
		"bad certificate":  {client.WithContext(broken)},
		"bad endpoint":     {client.WithMaintenance(), client.WithEndpoints("a:b:c")},
		"endpoint is path": {client.WithMaintenance(), client.WithEndpoints("https://a")},
		"port 0":           {client.WithMaintenance(), client.WithEndpoints("a:0")},
	} {
		if c, err := client.New(opts...); err == nil {
			t.Errorf("%s: accepted", name)

			_ = c.Close()
		}
	}
}

func TestCheck(t *testing.T) {
	cl := newCluster(t, 1)
	c := newClient(t, client.WithContext(cl.context()))

	ctx := client.WithNodes(timeout(t), "a", "bad1", "b", "old-bad")
	if diff := cmp.Diff([]string{"a", "bad1", "b", "old-bad"}, client.Nodes(ctx)); diff != "" {
		t.Error(diff)
	}

	resp, err := client.Check(c.Machine.Version(ctx, &emptypb.Empty{}))

	var failed client.Errors
	if !errors.As(err, &failed) || len(failed) != 2 {
		t.Fatalf("got %v", err)
	}

	if failed[0].Node != "bad1" || status.Code(failed[0]) != codes.Unavailable || status.Code(err) != codes.Unknown {
		t.Errorf("got %v", failed[0])
	}

	if want := "bad1: no route to host\nold-bad: something went wrong"; err.Error() != want {
		t.Errorf("got %q", err)
	}

	var names []string
	for _, m := range resp.GetMessages() {
		names = append(names, client.Node(m, "endpoint"))
	}

	if diff := cmp.Diff([]string{"a", "b"}, names); diff != "" {
		t.Error(diff)
	}

	// One node replaces many.
	resp, err = client.Check(c.Machine.Version(client.WithNode(ctx, "bad2"), &emptypb.Empty{}))
	if status.Code(err) != codes.Unavailable || len(resp.GetMessages()) != 0 {
		t.Errorf("got %v, %v", resp, err)
	}

	// An error of the call stays what it is.
	if _, err := client.Check(c.Machine.Hostname(ctx, &emptypb.Empty{})); status.Code(err) != codes.Unimplemented {
		t.Errorf("got %v", err)
	}
}

func TestEvents(t *testing.T) {
	cl := newCluster(t, 1)
	c := newClient(t, client.WithContext(cl.context()))

	var got []string

	for event, err := range client.Events(c.Machine.Events(timeout(t), &machine.EventsRequest{})) {
		if err != nil {
			got = append(got, fmt.Sprint("error ", status.Code(err)))

			continue
		}

		task, _ := event.Payload.(*machine.TaskEvent)
		got = append(got, strings.Join([]string{event.Node, event.ID, event.ActorID, task.GetTask()}, " "))
	}

	if diff := cmp.Diff([]string{"a 1 actor mount", "error Aborted", " 3  mount", "error Unavailable"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestReader(t *testing.T) {
	cl := newCluster(t, 1)
	c := newClient(t, client.WithContext(cl.context()))

	open := func(path string) *client.Reader {
		t.Helper()

		r, err := client.NewReader(c.Machine.Read(timeout(t), &machine.ReadRequest{Path: path}))
		if err != nil {
			t.Fatal(err)
		}

		return r
	}

	for _, test := range []struct{ path, want, err string }{
		{"/ok", "onetwo", ""},
		{"/torn", "onetwo", "n: disk on fire"},
		{"/absent", "", "rpc error: code = NotFound desc = no such file"},
	} {
		// With io.ReadAll, which uses Read, and with io.Copy, which uses WriteTo.
		read, readErr := io.ReadAll(open(test.path))

		var copied bytes.Buffer
		_, copyErr := io.Copy(&copied, open(test.path))

		for _, got := range []struct {
			text string
			err  error
		}{{string(read), readErr}, {copied.String(), copyErr}} {
			if got.text != test.want || (got.err == nil) != (test.err == "") || got.err != nil && got.err.Error() != test.err {
				t.Errorf("%s: got %q, %v", test.path, got.text, got.err)
			}
		}
	}
}

func TestSend(t *testing.T) {
	cl := newCluster(t, 1)
	c := newClient(t, client.WithContext(cl.context()))

	stream, err := c.Machine.EtcdRecover(timeout(t))
	if err != nil {
		t.Fatal(err)
	}

	resp, err := client.Send(stream, bytes.NewReader(make([]byte, 1_000_001)))
	if err != nil {
		t.Fatal(err)
	}

	if got := resp.GetMessages()[0].GetMetadata().GetHostname(); got != "1000001" {
		t.Errorf("arrived: %s bytes", got)
	}
}

func TestKubeconfig(t *testing.T) {
	cl := newCluster(t, 1)
	c := newClient(t, client.WithContext(cl.context()))

	data, err := c.Kubeconfig(timeout(t))
	if err != nil || string(data) != "kind" {
		t.Errorf("got %q, %v", data, err)
	}
}
