package trust

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	securityapi "github.com/basalt-os/basalt/api/security"
	"github.com/basalt-os/basalt/internal/peerlimit"
	"github.com/basalt-os/basalt/pkg/secrets"
)

const (
	// DefaultPort is the port of trustd on control plane nodes.
	DefaultPort = 50001

	// tokenKey is the metadata key of the join token.
	tokenKey = "token"

	// certificateTTL is how long issued certificates are valid.
	certificateTTL = secrets.DefaultCertTTL

	// maxRequest bounds a signing request, in bytes, and maxNames the names and
	// addresses in it.
	maxRequest = 64 << 10
	maxNames   = 128

	// Calls per second of one address, and at once.
	callRate, callBurst = 5, 20

	stopAfter = 2 * time.Second
)

// Settings are what the server works with at one moment. They are replaced as a
// whole and never modified.
type Settings struct {
	// Server is the server's own certificate.
	Server tls.Certificate
	// Issuer signs.
	Issuer *secrets.CA
	// Token is what callers must know.
	Token string
}

// Server signs certificates. Make it with NewServer, give it settings with
// Update, and let it Serve. All methods are safe for concurrent use.
type Server struct {
	securityapi.UnimplementedSecurityServiceServer

	settings atomic.Pointer[Settings]
	server   *grpc.Server
	now      func() time.Time
	logger   *slog.Logger
}

// NewServer returns a server without settings, which refuses all connections. A
// nil clock means time.Now.
func NewServer(logger *slog.Logger, now func() time.Time) *Server {
	if now == nil {
		now = time.Now
	}

	s := &Server{now: now, logger: logger}
	limiter := peerlimit.New(callRate, callBurst, now)

	s.server = grpc.NewServer(
		grpc.Creds(credentials.NewTLS(&tls.Config{
			MinVersion:             tls.VersionTLS13,
			SessionTicketsDisabled: true,
			GetCertificate:         s.certificate,
		})),
		grpc.UnaryInterceptor(limiter.Unary()),
		grpc.MaxRecvMsgSize(maxRequest),
		grpc.MaxConcurrentStreams(16),
		grpc.ConnectionTimeout(10*time.Second),
	)
	securityapi.RegisterSecurityServiceServer(s.server, s)

	return s
}

// Update replaces the settings; calls that begin later use them.
func (s *Server) Update(settings Settings) { s.settings.Store(&settings) }

// Serve answers calls on the listener, which it owns, until the context ends.
// Then it returns nil, and nothing of it runs any more.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	stopped := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		defer close(stopped)

		hard := time.AfterFunc(stopAfter, s.server.Stop)
		defer hard.Stop()

		s.server.GracefulStop()
	})

	err := s.server.Serve(listener)

	if !cancel() {
		<-stopped
	}

	if err != nil {
		return fmt.Errorf("serving on %s: %w", listener.Addr(), err)
	}

	return nil
}

func (s *Server) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	settings := s.settings.Load()
	if settings == nil {
		return nil, errors.New("there is no server certificate yet")
	}

	return &settings.Server, nil
}

// Certificate implements the method of the wire: it signs a request of a caller
// who knows the token.
func (s *Server) Certificate(
	ctx context.Context, req *securityapi.CertificateRequest,
) (*securityapi.CertificateResponse, error) {
	settings := s.settings.Load()
	from := peerlimit.Address(ctx)

	if !knowsToken(ctx, settings.Token) {
		s.logger.Warn("refused a signing request: wrong join token", "peer", from)

		return nil, status.Error(codes.Unauthenticated, "the join token is missing or wrong")
	}

	csr, err := secrets.ParseCSR(req.GetCsr())
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}

	if err := checkRequest(csr); err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "checking certificate request: %v", err)
	}

	crt, err := settings.Issuer.SignCSR(req.GetCsr(), secrets.SignOptions{
		Usages:    []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		NotBefore: s.now(),
		TTL:       certificateTTL,
	})
	if err != nil {
		s.logger.Error("signing a request", "peer", from, "error", err)

		return nil, status.Error(codes.Internal, "the request could not be signed")
	}

	s.logger.Info("signed a request", "peer", from, "subject", csr.Subject.CommonName,
		"names", csr.DNSNames, "addresses", csr.IPAddresses)

	return &securityapi.CertificateResponse{Ca: settings.Issuer.CertPEM(), Crt: crt}, nil
}

// knowsToken compares in a time that says nothing about either token.
func knowsToken(ctx context.Context, want string) bool {
	got := metadata.ValueFromIncomingContext(ctx, tokenKey)
	if len(got) != 1 || want == "" {
		return false
	}

	a, b := sha256.Sum256([]byte(got[0])), sha256.Sum256([]byte(want))

	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// checkRequest refuses what no node has a use for.
func checkRequest(csr *x509.CertificateRequest) error {
	if err := checkKey(csr.PublicKey); err != nil {
		return err
	}

	switch names := len(csr.DNSNames) + len(csr.IPAddresses); {
	case names == 0:
		return errors.New("it has neither names nor addresses")
	case names > maxNames:
		return fmt.Errorf("it has %d names and addresses, more than %d", names, maxNames)
	case len(csr.EmailAddresses) > 0 || len(csr.URIs) > 0:
		return errors.New("it has mail addresses or URIs, which are no names of servers")
	case len(csr.Subject.CommonName) > 253:
		return errors.New("its common name is too long")
	}

	for _, name := range csr.DNSNames {
		if !validName(name) {
			return fmt.Errorf("%.64q is no name of a host", name)
		}
	}

	for _, ip := range csr.IPAddresses {
		if ip.IsUnspecified() || ip.IsMulticast() || ip.Equal(net.IPv4bcast) {
			return fmt.Errorf("%s is no address of a host", ip)
		}
	}

	return nil
}

func checkKey(key any) error {
	switch key := key.(type) {
	case ed25519.PublicKey, *ecdsa.PublicKey:
		return nil
	case *rsa.PublicKey:
		if key.N.BitLen() < 2048 || key.N.BitLen() > 8192 {
			return fmt.Errorf("its RSA key has %d bits, outside of 2048 to 8192", key.N.BitLen())
		}

		return nil
	default:
		return fmt.Errorf("its key is a %T", key)
	}
}

// validName accepts DNS names without wildcards.
func validName(name string) bool {
	if name == "" || len(name) > 253 {
		return false
	}

	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		if label == "" || len(label) > 63 || strings.ContainsFunc(label, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
		}) {
			return false
		}
	}

	return true
}
