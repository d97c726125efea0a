package client

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/basalt-os/basalt/pkg/client/clientconfig"
	"github.com/basalt-os/basalt/pkg/secrets"
)

// Option changes how New connects.
type Option func(*options)

type options struct {
	config       *clientconfig.Config
	configPath   string
	context      *clientconfig.Context
	contextName  string
	endpoints    []string
	socket       string
	tls          *tls.Config
	insecure     bool
	fingerprints []string
	dialOptions  []grpc.DialOption
}

// WithConfig takes endpoints and certificates from a client configuration.
func WithConfig(config *clientconfig.Config) Option {
	return func(o *options) { o.config = config }
}

// WithConfigFile takes endpoints and certificates from a file. An empty path
// means the usual places (see [clientconfig.Paths]).
func WithConfigFile(path string) Option {
	return func(o *options) { o.configPath = path }
}

// WithContextName chooses another than the current context of the configuration.
func WithContextName(name string) Option {
	return func(o *options) { o.contextName = name }
}

// WithContext uses a context that is in no configuration.
func WithContext(context *clientconfig.Context) Option {
	return func(o *options) { o.context = context }
}

// WithEndpoints connects to these addresses instead of the context's. Each is a
// host, with a port where it is not DefaultPort.
func WithEndpoints(endpoints ...string) Option {
	return func(o *options) { o.endpoints = endpoints }
}

// WithTLS uses this TLS configuration instead of the context's certificates.
func WithTLS(config *tls.Config) Option {
	return func(o *options) { o.tls = config }
}

// WithMaintenance connects to a machine without configuration. Such a machine
// cannot prove who it is except by its fingerprint ([secrets.Fingerprint]),
// which it shows on its console: when any are given, the machine must have one
// of them. No client certificate is sent.
func WithMaintenance(fingerprints ...string) Option {
	return func(o *options) { o.insecure, o.fingerprints = true, fingerprints }
}

// WithUnixSocket connects to a Unix socket, without TLS, for programs on the
// node itself.
func WithUnixSocket(path string) Option {
	return func(o *options) { o.socket = path }
}

// WithDialOptions adds options of gRPC itself, such as interceptors.
func WithDialOptions(opts ...grpc.DialOption) Option {
	return func(o *options) { o.dialOptions = append(o.dialOptions, opts...) }
}

// credentials returns how to prove who both ends are. No server name is set:
// each endpoint must have a certificate for its own address.
func (o *options) credentials() (credentials.TransportCredentials, error) {
	if o.tls != nil {
		return credentials.NewTLS(o.tls), nil
	}

	if o.insecure {
		return credentials.NewTLS(maintenanceTLS(o.fingerprints)), nil
	}

	pool, err := o.context.Pool()
	if err != nil {
		return nil, err
	}

	config := &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: pool}

	cert, err := o.context.Certificate()
	if err != nil {
		return nil, err
	}

	if cert != nil {
		config.Certificates = []tls.Certificate{*cert}
	}

	return credentials.NewTLS(config), nil
}

// maintenanceTLS accepts any certificate, or those with the fingerprints.
func maintenanceTLS(fingerprints []string) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true, // VerifyConnection compares fingerprints
		VerifyConnection: func(state tls.ConnectionState) error {
			return checkFingerprint(state.PeerCertificates, fingerprints)
		},
	}
}

func checkFingerprint(chain []*x509.Certificate, accepted []string) error {
	if len(accepted) == 0 {
		return nil
	}

	if len(chain) == 0 {
		return errors.New("the machine has no certificate")
	}

	got := secrets.Fingerprint(chain[0])
	if !slices.Contains(accepted, got) {
		return fmt.Errorf("the machine has fingerprint %s, expected %s", got, strings.Join(accepted, " or "))
	}

	return nil
}
