package cluster

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"

	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/reconcile"
)

// Dependencies are what the controllers of this package need.
type Dependencies struct {
	Config *configured.Reader
	Logger *slog.Logger
	// Version is what discovery services are told about this program.
	Version string
	// IdentityPath is the file that keeps the node's identity over restarts.
	IdentityPath string
	// IdentityOnVolume says that the file's folder is a volume, which has to be
	// mounted first.
	IdentityOnVolume bool
	// TLS and Dial are how discovery services are reached; both may be nil.
	TLS  func() *tls.Config
	Dial func(ctx context.Context, address string) (net.Conn, error)
	// OperatingSystem is what the node tells others that it runs.
	OperatingSystem string
}

// Controllers are all controllers of this package.
func Controllers(d Dependencies) []reconcile.Controller {
	return []reconcile.Controller{
		Identity(d.IdentityPath, d.IdentityOnVolume),
		Info(d.Config),
		Config(d.Config),
		LocalAffiliate(d.Config, d.OperatingSystem),
		DiscoveryService(d),
		Affiliates(),
		Members(),
		Endpoints(),
	}
}
