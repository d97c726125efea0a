package trust

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/basalt-os/basalt/internal/resources/secrets"
	"github.com/basalt-os/basalt/internal/sandbox"
	"github.com/basalt-os/basalt/internal/statewatch"
	keys "github.com/basalt-os/basalt/pkg/secrets"
)

// User is the user and group that trustd becomes.
const User = 51

// DefaultStateSocket is where machined serves the state that trustd needs.
const DefaultStateSocket = "/system/run/trustd/runtime.sock"

// Options say how Run is connected to the node. Zero values mean the defaults.
type Options struct {
	// StateSocket serves cosi.resource.State with the StateTypes and nothing
	// else, to trustd's user and nobody else.
	StateSocket string
	// Listen is host:port to serve on; empty means DefaultPort of all addresses.
	Listen string
	// Sandbox gives up all that trustd does not need. The supervisor starts the
	// process as root, with no namespaces of its own; it becomes User by itself.
	Sandbox bool
	Logger  *slog.Logger
}

// StateTypes are the types of resources that the state socket must serve.
func StateTypes() []string {
	return []string{secrets.Trustd{}.Definition().Type, secrets.OSRoot{}.Definition().Type}
}

// Run is trustd: it signs certificates until the context ends. It takes its own
// certificate, the authority and the token from the state socket and listens as
// soon as it has them; later changes apply without a restart.
func Run(ctx context.Context, o Options) error {
	if o.StateSocket == "" {
		o.StateSocket = DefaultStateSocket
	}

	if o.Listen == "" {
		o.Listen = ":" + strconv.Itoa(DefaultPort)
	}

	if o.Sandbox {
		report, err := sandbox.Enter(sandbox.Profile{
			User:    User,
			Visible: sandbox.SocketFolders(o.StateSocket),
			Bind:    []uint16{DefaultPort},
		})
		if err != nil {
			return err
		}

		o.Logger.Info("sandboxed", "privateRoot", report.PrivateRoot, "landlock", report.Landlock, "seccomp", report.Seccomp)
	}

	conn, err := statewatch.Dial(o.StateSocket)
	if err != nil {
		return err
	}

	group, ctx := errgroup.WithContext(ctx)
	f := &feeder{ctx: ctx, server: NewServer(o.Logger, nil), group: group, listen: o.Listen, logger: o.Logger}

	group.Go(func() error {
		return statewatch.Follow(ctx, conn, secrets.TrustdID, o.Logger, func(spec *secrets.Trustd) {
			f.change(func() { f.certificates = spec })
		})
	})
	group.Go(func() error {
		return statewatch.Follow(ctx, conn, secrets.OSRootID, o.Logger, func(spec *secrets.OSRoot) {
			f.change(func() { f.root = spec })
		})
	})

	return errors.Join(group.Wait(), conn.Close())
}

// feeder turns resources into settings, and starts the server with the first.
type feeder struct {
	ctx    context.Context
	server *Server
	group  *errgroup.Group
	listen string
	logger *slog.Logger

	mu           sync.Mutex
	certificates *secrets.Trustd
	root         *secrets.OSRoot
	serving      bool
}

// change applies a change of the resources. While one of them is missing the
// server goes on with what it had.
func (f *feeder) change(set func()) {
	f.mu.Lock()
	defer f.mu.Unlock()

	set()

	if f.certificates == nil || f.certificates.Server == nil || f.root == nil || f.root.IssuingCA == nil {
		return
	}

	settings, err := settingsOf(f.certificates, f.root)
	if err == nil {
		f.server.Update(settings)
		err = f.serve()
	}

	if err != nil {
		f.logger.Error("applying new settings", "error", err)
	}
}

func (f *feeder) serve() error {
	if f.serving {
		return nil
	}

	// Landlock knows nothing of multipath TCP.
	var config net.ListenConfig

	config.SetMultipathTCP(false)

	listener, err := config.Listen(f.ctx, "tcp", f.listen)
	if err != nil {
		return fmt.Errorf("listening for signing requests: %w", err)
	}

	f.serving = true
	f.group.Go(func() error { return f.server.Serve(f.ctx, listener) })
	f.logger.Info("signing certificates", "address", listener.Addr())

	return nil
}

func settingsOf(certificates *secrets.Trustd, root *secrets.OSRoot) (Settings, error) {
	server, err := keys.KeyPair{Cert: keys.PEM(certificates.Server.Crt), Key: keys.PEM(certificates.Server.Key)}.TLS()
	if err != nil {
		return Settings{}, fmt.Errorf("reading server certificate: %w", err)
	}

	issuer, err := keys.LoadCA(keys.KeyPair{Cert: keys.PEM(root.IssuingCA.Crt), Key: keys.PEM(root.IssuingCA.Key)})
	if err != nil {
		return Settings{}, fmt.Errorf("reading authority: %w", err)
	}

	return Settings{Server: server, Issuer: issuer, Token: root.Token}, nil
}
