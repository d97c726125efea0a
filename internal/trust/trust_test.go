package trust_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	securityapi "github.com/basalt-os/basalt/api/security"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources"
	"github.com/basalt-os/basalt/internal/resources/pki"
	resourcesecrets "github.com/basalt-os/basalt/internal/resources/secrets"
	"github.com/basalt-os/basalt/internal/state"
	"github.com/basalt-os/basalt/internal/trust"
	"github.com/basalt-os/basalt/pkg/secrets"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const token = "abcdef.0123456789abcdef"

var address = netip.MustParseAddr("127.0.7.1")

func newCA(t *testing.T) *secrets.CA {
	t.Helper()

	ca, err := secrets.NewCA(secrets.CAOptions{Organization: "test"})
	if err != nil {
		t.Fatal(err)
	}

	return ca
}

// signer is a running server.
type signer struct {
	ca     *secrets.CA
	server *trust.Server
	client trust.Client
	log    *logBuffer
}

// logBuffer may be written to while it is read.
type logBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()

	return l.buffer.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()

	return l.buffer.String()
}

func settings(t *testing.T, ca *secrets.CA) trust.Settings {
	t.Helper()

	issued, err := ca.IssueServer(secrets.Request{IPs: []netip.Addr{address}})
	if err != nil {
		t.Fatal(err)
	}

	cert, err := issued.TLS()
	if err != nil {
		t.Fatal(err)
	}

	return trust.Settings{Server: cert, Issuer: ca, Token: token}
}

func newSigner(t *testing.T) *signer {
	t.Helper()

	s := &signer{ca: newCA(t), log: &logBuffer{}}
	s.server = trust.NewServer(slog.New(slog.NewTextHandler(s.log, nil)), nil)
	s.server.Update(settings(t, s.ca))

	listener, err := net.Listen("tcp", net.JoinHostPort(address.String(), "0"))
	if err != nil {
		t.Fatal(err)
	}

	s.client.Port = listener.Addr().(*net.TCPAddr).Port

	background(t, func(ctx context.Context) error { return s.server.Serve(ctx, listener) })

	return s
}

// background runs a server for as long as the test.
func background(t *testing.T, run func(context.Context) error) {
	t.Helper()

	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)

	go func() { done <- run(ctx) }()

	t.Cleanup(func() {
		cancel()

		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// request returns a request for a server that also asks for a role.
func request(t *testing.T) []byte {
	t.Helper()

	key, err := secrets.NewKey(secrets.Ed25519)
	if err != nil {
		t.Fatal(err)
	}

	csr, err := secrets.NewCSR(key, secrets.Request{
		CommonName: "worker", Organizations: []string{"os:admin"}, DNSNames: []string{"worker", "worker.example.org"},
		IPs: []netip.Addr{netip.MustParseAddr("10.0.0.7"), netip.MustParseAddr("fd00::7")},
	})
	if err != nil {
		t.Fatal(err)
	}

	return csr
}

func TestSign(t *testing.T) {
	s := newSigner(t)

	// An address where nobody answers does not matter.
	crt, err := s.client.Sign(t.Context(), []netip.Addr{netip.MustParseAddr("127.0.7.99"), address}, token, s.ca.CertPEM(), request(t))
	if err != nil {
		t.Fatal(err)
	}

	cert, err := secrets.ParseCertificate(crt)
	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff([]x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, cert.ExtKeyUsage); diff != "" {
		t.Error("usages:", diff)
	}

	if cert.Subject.CommonName != "worker" || len(cert.Subject.Organization) != 0 || cert.IsCA {
		t.Errorf("subject %v, authority %t", cert.Subject, cert.IsCA)
	}

	if diff := cmp.Diff([]string{"worker", "worker.example.org"}, cert.DNSNames); diff != "" {
		t.Error("names:", diff)
	}

	if len(cert.IPAddresses) != 2 {
		t.Errorf("addresses: %v", cert.IPAddresses)
	}

	if lifetime := time.Until(cert.NotAfter); lifetime > 24*time.Hour || lifetime < 23*time.Hour {
		t.Errorf("valid for %v", lifetime)
	}
}

func TestTokens(t *testing.T) {
	s := newSigner(t)

	for _, wrong := range []string{"", "abcdef.0123456789abcdee", token + "0", token[:5]} {
		_, err := s.client.Sign(t.Context(), []netip.Addr{address}, wrong, s.ca.CertPEM(), request(t))
		if err == nil || !strings.Contains(err.Error(), "Unauthenticated") {
			t.Errorf("token %q: %v", wrong, err)
		}
	}

	// A server without a token knows nobody.
	unset := settings(t, s.ca)
	unset.Token = ""
	s.server.Update(unset)

	if _, err := s.client.Sign(t.Context(), []netip.Addr{address}, "", s.ca.CertPEM(), request(t)); err == nil {
		t.Error("an empty token was accepted")
	}

	if strings.Contains(s.log.String(), token[:6]) {
		t.Errorf("the log has the token:\n%s", s.log)
	}
}

func TestClientVerifiesTheServer(t *testing.T) {
	s := newSigner(t)

	if _, err := s.client.Sign(t.Context(), []netip.Addr{address}, token, newCA(t).CertPEM(), request(t)); err == nil ||
		!strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("got %v", err)
	}

	if _, err := s.client.Sign(t.Context(), nil, token, s.ca.CertPEM(), request(t)); err == nil {
		t.Error("nobody was asked, and it succeeded")
	}

	// An authority that nobody accepts signs nothing that the client takes.
	other := settings(t, s.ca)
	other.Issuer = newCA(t)
	s.server.Update(other)

	if _, err := s.client.Sign(t.Context(), []netip.Addr{address}, token, s.ca.CertPEM(), request(t)); err == nil ||
		!strings.Contains(err.Error(), "verifying the certificate") {
		t.Errorf("got %v", err)
	}
}

// raw connects without the client's own checks.
func (s *signer) raw(t *testing.T) securityapi.SecurityServiceClient {
	t.Helper()

	pool := x509.NewCertPool()
	pool.AddCert(s.ca.Certificate())

	conn, err := grpc.NewClient("passthrough:///"+netip.AddrPortFrom(address, uint16(s.client.Port)).String(),
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{
			MinVersion: tls.VersionTLS13, RootCAs: pool, ServerName: address.String(),
		})))
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { _ = conn.Close() })

	return securityapi.NewSecurityServiceClient(conn)
}

func TestRequestsThatAreRefused(t *testing.T) {
	s := newSigner(t)
	client := s.raw(t)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "token", token)

	good, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}

	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}

	many := make([]string, 129)
	for i := range many {
		many[i] = "a"
	}

	names := []string{"worker"}

	for name, test := range map[string]struct {
		key     any
		request x509.CertificateRequest
		want    codes.Code
	}{
		"good":          {good, x509.CertificateRequest{DNSNames: names}, codes.OK},
		"weak key":      {weak, x509.CertificateRequest{DNSNames: names}, codes.InvalidArgument},
		"no names":      {good, x509.CertificateRequest{Subject: pkix.Name{CommonName: "worker"}}, codes.InvalidArgument},
		"wildcard":      {good, x509.CertificateRequest{DNSNames: []string{"*.example.org"}}, codes.InvalidArgument},
		"empty label":   {good, x509.CertificateRequest{DNSNames: []string{"a..b"}}, codes.InvalidArgument},
		"too many":      {good, x509.CertificateRequest{DNSNames: many}, codes.InvalidArgument},
		"mail":          {good, x509.CertificateRequest{DNSNames: names, EmailAddresses: []string{"a@b"}}, codes.InvalidArgument},
		"URI":           {good, x509.CertificateRequest{DNSNames: names, URIs: []*url.URL{{Scheme: "a", Host: "b"}}}, codes.InvalidArgument},
		"any address":   {good, x509.CertificateRequest{IPAddresses: []net.IP{net.IPv4zero}}, codes.InvalidArgument},
		"multicast":     {good, x509.CertificateRequest{IPAddresses: []net.IP{net.ParseIP("ff02::1")}}, codes.InvalidArgument},
		"endless name":  {good, x509.CertificateRequest{DNSNames: names, Subject: pkix.Name{CommonName: strings.Repeat("a", 300)}}, codes.InvalidArgument},
		"label too big": {good, x509.CertificateRequest{DNSNames: []string{strings.Repeat("a", 64)}}, codes.InvalidArgument},
	} {
		der, err := x509.CreateCertificateRequest(rand.Reader, &test.request, test.key)
		if err != nil {
			t.Fatal(err)
		}

		_, err = client.Certificate(ctx, &securityapi.CertificateRequest{
			Csr: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}),
		})
		if status.Code(err) != test.want {
			t.Errorf("%s: %v", name, err)
		}
	}

	if _, err := client.Certificate(ctx, &securityapi.CertificateRequest{Csr: []byte("x")}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("no request: %v", err)
	}

	if _, err := client.Certificate(ctx, &securityapi.CertificateRequest{Csr: make([]byte, 100<<10)}); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("endless request: %v", err)
	}
}

func TestGuessingIsSlow(t *testing.T) {
	s := newSigner(t)
	client := s.raw(t)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "token", "guess")

	for range 100 {
		_, err := client.Certificate(ctx, &securityapi.CertificateRequest{})
		if status.Code(err) == codes.ResourceExhausted {
			return
		}
	}

	t.Error("100 guesses in a row were answered")
}

// TestRun runs trustd as a node does: with a store behind a state socket.
func TestRun(t *testing.T) {
	ca := newCA(t)
	socket := filepath.Join(t.TempDir(), "runtime.sock")
	store := resource.NewStore()

	table, err := resources.NewTable()
	if err != nil {
		t.Fatal(err)
	}

	server := grpc.NewServer()
	state.NewFor(store, table, trust.StateTypes()...).Register(server)

	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}

	background(t, func(ctx context.Context) error {
		defer context.AfterFunc(ctx, server.Stop)()

		return server.Serve(listener)
	})

	free, err := net.Listen("tcp", net.JoinHostPort(address.String(), "0"))
	if err != nil {
		t.Fatal(err)
	}

	listen := free.Addr().String()
	port := free.Addr().(*net.TCPAddr).Port

	if err := free.Close(); err != nil {
		t.Fatal(err)
	}

	background(t, func(ctx context.Context) error {
		return trust.Run(ctx, trust.Options{StateSocket: socket, Listen: listen, Logger: slog.New(slog.DiscardHandler)})
	})

	issued, err := ca.IssueServer(secrets.Request{IPs: []netip.Addr{address}})
	if err != nil {
		t.Fatal(err)
	}

	authority := pki.Certificate{Crt: pki.PEM(ca.CertPEM())}

	for _, object := range []resource.Object{
		resource.New(resourcesecrets.TrustdID, resourcesecrets.Trustd{
			AcceptedCAs: []*pki.Certificate{&authority},
			Server:      &pki.CertificateAndKey{Crt: pki.PEM(issued.Cert), Key: pki.PEM(issued.Key)},
		}),
		resource.New(resourcesecrets.OSRootID, resourcesecrets.OSRoot{
			IssuingCA: &pki.CertificateAndKey{Crt: pki.PEM(ca.KeyPair().Cert), Key: pki.PEM(ca.KeyPair().Key)},
			Token:     token,
		}),
	} {
		if err := store.Create(t.Context(), object, ""); err != nil {
			t.Fatal(err)
		}
	}

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()

	// Until trustd has read the store there is nobody to ask.
	for client := (trust.Client{Port: port}); ; {
		if _, err = client.Sign(ctx, []netip.Addr{address}, token, ca.CertPEM(), request(t)); err == nil {
			break
		}

		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}
