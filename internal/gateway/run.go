package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/basalt-os/basalt/internal/resources/pki"
	"github.com/basalt-os/basalt/internal/resources/runtime"
	"github.com/basalt-os/basalt/internal/resources/secrets"
	"github.com/basalt-os/basalt/internal/sandbox"
	"github.com/basalt-os/basalt/internal/statewatch"
	keys "github.com/basalt-os/basalt/pkg/secrets"
)

// User is the user and group that the gateway becomes.
const User = 50

// Paths on a node.
const (
	DefaultMachineSocket = "/system/run/machined/machine.sock"
	DefaultStateSocket   = "/system/run/apid/runtime.sock"
)

// Options say how Run is connected to the node. Zero values mean the defaults.
type Options struct {
	// MachineSocket is machined's API. The gateway's process must be able to
	// connect to it, and machined must let it forward roles (rbac.Grant).
	MachineSocket string
	// StateSocket serves cosi.resource.State with the StateTypes and nothing
	// else, to the gateway's user and nobody else.
	StateSocket string
	// Sandbox gives up all that the gateway does not need. The supervisor
	// starts the process as root, with no namespaces of its own; it becomes
	// User by itself. Started as User, it has everything but a private root.
	Sandbox bool
	// NodePort is the port of other nodes' gateways.
	NodePort int
	Logger   *slog.Logger
}

// StateTypes are the types of resources that the state socket must serve.
func StateTypes() []string {
	return []string{secrets.API{}.Definition().Type, runtime.APIServiceConfig{}.Definition().Type}
}

// Run is apid: it serves the API until the context ends. It takes its
// certificates and settings from the state socket and listens as soon as it has
// both; later changes apply without a restart.
func Run(ctx context.Context, o Options) error {
	o.complete()

	if o.Sandbox {
		if err := o.enterSandbox(); err != nil {
			return err
		}
	}

	gateway, err := New(Config{MachineSocket: o.MachineSocket, NodePort: o.NodePort, Logger: o.Logger})
	if err != nil {
		return err
	}

	conn, err := statewatch.Dial(o.StateSocket)
	if err != nil {
		return errors.Join(err, gateway.Close())
	}

	group, ctx := errgroup.WithContext(ctx)
	f := &feeder{ctx: ctx, gateway: gateway, group: group, logger: o.Logger}

	group.Go(func() error {
		return statewatch.Follow(ctx, conn, secrets.APIID, o.Logger, func(spec *secrets.API) {
			f.change(func() { f.certificates = spec })
		})
	})
	group.Go(func() error {
		return statewatch.Follow(ctx, conn, runtime.APIServiceConfigID, o.Logger, func(spec *runtime.APIServiceConfig) {
			f.change(func() { f.config = spec })
		})
	})

	return errors.Join(group.Wait(), gateway.Close(), conn.Close())
}

func (o *Options) complete() {
	if o.MachineSocket == "" {
		o.MachineSocket = DefaultMachineSocket
	}

	if o.StateSocket == "" {
		o.StateSocket = DefaultStateSocket
	}

	if o.NodePort == 0 {
		o.NodePort = DefaultPort
	}
}

func (o *Options) enterSandbox() error {
	const dns = 53

	report, err := sandbox.Enter(sandbox.Profile{
		User:    User,
		Visible: sandbox.SocketFolders(o.MachineSocket, o.StateSocket),
		// Names of other nodes are looked up as everywhere on the node.
		Links:   map[string]string{"/etc": sandbox.SystemFiles},
		Bind:    []uint16{DefaultPort},
		Connect: []uint16{uint16(o.NodePort), dns},
	})
	if err != nil {
		return err
	}

	o.Logger.Info("sandboxed", "privateRoot", report.PrivateRoot, "landlock", report.Landlock, "seccomp", report.Seccomp)

	return nil
}

// feeder turns resources into settings and keeps the listener at the address
// that they name.
type feeder struct {
	ctx     context.Context
	gateway *Gateway
	group   *errgroup.Group
	logger  *slog.Logger

	mu           sync.Mutex
	certificates *secrets.API
	config       *runtime.APIServiceConfig
	address      string
	stop         context.CancelFunc
}

// change applies a change of the resources. While one of them is missing the
// gateway goes on with what it had.
func (f *feeder) change(set func()) {
	f.mu.Lock()
	defer f.mu.Unlock()

	set()

	if f.certificates == nil || f.config == nil {
		return
	}

	settings, err := settingsOf(f.certificates, f.config)
	if err == nil {
		f.gateway.Update(settings)
		err = f.listen(settings.ListenAddress)
	}

	if err != nil {
		f.logger.Error("applying new settings", "error", err)
	}
}

// listen moves the listener to the address, unless it is there. Connections
// that were accepted at the old address stay.
func (f *feeder) listen(address string) error {
	if address == f.address {
		return nil
	}

	// Landlock knows nothing of multipath TCP.
	var config net.ListenConfig

	config.SetMultipathTCP(false)

	listener, err := config.Listen(f.ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listening for API calls: %w", err)
	}

	if f.stop != nil {
		f.stop()
	}

	ctx, stop := context.WithCancel(f.ctx)
	f.address, f.stop = address, stop

	f.group.Go(func() error { return f.gateway.Serve(ctx, listener) })
	f.logger.Info("serving the API", "address", listener.Addr())

	return nil
}

// settingsOf reads the resources.
func settingsOf(certificates *secrets.API, config *runtime.APIServiceConfig) (Settings, error) {
	settings := Settings{
		ListenAddress:          config.ListenAddress,
		RoutingDisabled:        config.NodeRoutingDisabled,
		ReadOnlyRole:           config.ReadonlyRoleMode,
		SkipClientVerification: config.SkipVerifyingClientCert || certificates.SkipVerifyingClientCert,
	}

	server, err := keyPair(certificates.Server)
	if err != nil {
		return Settings{}, fmt.Errorf("reading server certificate: %w", err)
	}

	if server == nil {
		return Settings{}, errors.New("reading server certificate: there is none")
	}

	settings.Server = *server

	if settings.Client, err = keyPair(certificates.Client); err != nil {
		return Settings{}, fmt.Errorf("reading client certificate: %w", err)
	}

	settings.AcceptedCAs, err = authorities(certificates.AcceptedCAs)

	return settings, err
}

// keyPair returns nil for a certificate that is not there.
func keyPair(pair *pki.CertificateAndKey) (*tls.Certificate, error) {
	if pair == nil || len(pair.Crt) == 0 {
		return nil, nil
	}

	cert, err := keys.KeyPair{Cert: keys.PEM(pair.Crt), Key: keys.PEM(pair.Key)}.TLS()
	if err != nil {
		return nil, err
	}

	return &cert, nil
}

func authorities(list []*pki.Certificate) ([]*x509.Certificate, error) {
	var all []*x509.Certificate

	for _, entry := range list {
		if entry == nil || len(entry.Crt) == 0 {
			continue
		}

		parsed, err := keys.ParseCertificates(entry.Crt)
		if err != nil {
			return nil, fmt.Errorf("reading accepted authorities: %w", err)
		}

		all = append(all, parsed...)
	}

	return all, nil
}
