package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/basalt-os/basalt/internal/rbac"
)

// Settings are what the gateway works with at one moment. They are replaced as
// a whole ([Gateway.Update]) and never modified.
type Settings struct {
	// ListenAddress is host:port of the API; an empty host means all addresses.
	ListenAddress string
	// Server is the node's own certificate.
	Server tls.Certificate
	// Client is the certificate, with role os:impersonator, by which the
	// gateway calls other nodes. Without it requests reach this node only.
	Client *tls.Certificate
	// AcceptedCAs sign the certificates of callers and of other nodes.
	AcceptedCAs []*x509.Certificate
	// RoutingDisabled refuses requests to other nodes.
	RoutingDisabled bool
	// ReadOnlyRole gives os:reader to every caller, known or not. It is for
	// maintenance mode.
	ReadOnlyRole bool
	// SkipClientVerification accepts callers without a certificate.
	SkipClientVerification bool
}

// pool returns the accepted authorities for verification.
func (s *Settings) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	for _, ca := range s.AcceptedCAs {
		pool.AddCert(ca)
	}

	return pool
}

func (s *Settings) accepts(ca *x509.Certificate) bool {
	return slices.ContainsFunc(s.AcceptedCAs, ca.Equal)
}

// serverTLS returns the TLS configuration for callers. Sessions are not
// resumed: each connection proves its certificate against the authorities of
// today.
func (s *Settings) serverTLS() *tls.Config {
	config := &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{s.Server},
		NextProtos:             []string{"h2"},
		SessionTicketsDisabled: true,
	}

	if !s.SkipClientVerification {
		config.ClientAuth = tls.RequireAndVerifyClientCert
		config.ClientCAs = s.pool()
		config.VerifyConnection = func(state tls.ConnectionState) error {
			return checkUsage(state, x509.ExtKeyUsageClientAuth)
		}
	}

	return config
}

// clientTLS returns the TLS configuration for calls to another node.
func (s *Settings) clientTLS() (*tls.Config, error) {
	if s.Client == nil {
		return nil, errors.New("connecting to another node: this node has no client certificate")
	}

	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{*s.Client},
		RootCAs:      s.pool(),
		VerifyConnection: func(state tls.ConnectionState) error {
			return checkUsage(state, x509.ExtKeyUsageServerAuth)
		},
	}, nil
}

// checkUsage forces the extended key usage. The library accepts certificates
// that have none; here a certificate says what it is for.
func checkUsage(state tls.ConnectionState, usage x509.ExtKeyUsage) error {
	if len(state.PeerCertificates) == 0 || !slices.Contains(state.PeerCertificates[0].ExtKeyUsage, usage) {
		return errors.New("certificate is not meant for this use: its extended key usage says otherwise")
	}

	return nil
}

// caller returns the roles of whoever sent the request. Errors are gRPC
// statuses with code Unauthenticated.
func (s *Settings) caller(ctx context.Context, md metadata.MD, now time.Time) (rbac.Roles, error) {
	if s.ReadOnlyRole {
		return rbac.Reader, nil
	}

	from, ok := peer.FromContext(ctx)
	if !ok {
		return rbac.None, status.Error(codes.Unauthenticated, "the caller is not known")
	}

	info, ok := from.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 {
		return rbac.None, status.Error(codes.Unauthenticated, "a client certificate is needed")
	}

	// A connection can outlive what was verified when it began.
	leaf := info.State.PeerCertificates[0]
	if now.After(leaf.NotAfter) {
		return rbac.None, status.Error(codes.Unauthenticated, "the client certificate has expired")
	}

	if !slices.ContainsFunc(info.State.VerifiedChains, func(chain []*x509.Certificate) bool {
		return s.accepts(chain[len(chain)-1])
	}) {
		return rbac.None, status.Error(codes.Unauthenticated, "the client certificate's authority is not accepted any more")
	}

	// Organisations that are no roles of this version allow nothing.
	roles, _ := rbac.Parse(leaf.Subject.Organization)

	if stated := md.Get(rbac.RoleMetadata); len(stated) > 0 && roles.HasAny(rbac.Impersonator) {
		roles, _ = rbac.Parse(stated)
		roles = roles.Without(rbac.Impersonator)
	}

	return roles, nil
}

// rotating are transport credentials that take the settings of the moment for
// each new connection, so that new certificates need no new connection pool
// and no connection is dropped for them.
type rotating struct {
	settings   func() *Settings
	serverName string
}

func (r *rotating) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return credentials.NewTLS(r.settings().serverTLS()).ServerHandshake(conn)
}

func (r *rotating) ClientHandshake(
	ctx context.Context, authority string, conn net.Conn,
) (net.Conn, credentials.AuthInfo, error) {
	config, err := r.settings().clientTLS()
	if err != nil {
		return nil, nil, err
	}

	config.ServerName = r.serverName

	return credentials.NewTLS(config).ClientHandshake(ctx, authority, conn)
}

func (r *rotating) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls"}
}

func (r *rotating) Clone() credentials.TransportCredentials {
	clone := *r

	return &clone
}

func (r *rotating) OverrideServerName(string) error {
	return fmt.Errorf("overriding server name %q: not supported", r.serverName)
}
