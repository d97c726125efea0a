package secrets

import (
	"log/slog"
	"time"

	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/reconcile"
)

// Dependencies are what the controllers of this package need.
type Dependencies struct {
	Config *configured.Reader
	Signer Signer
	Logger *slog.Logger
	// Now is the wall clock.
	Now func() time.Time
}

// Controllers are all controllers of this package.
func Controllers(d Dependencies) []reconcile.Controller {
	return []reconcile.Controller{
		OSRoot(d.Config),
		EtcdRoot(d.Config),
		KubernetesRoot(d.Config),
		Kubelet(d.Config),
		MaintenanceRoot(d.Config, d.Logger, d.Now),
		MaintenanceCertSANs(),
		APICertSANs(),
		KubernetesCertSANs(),
		API(d.Signer, d.Now),
		Trustd(d.Now),
		Etcd(d.Now),
		KubernetesDynamicCerts(d.Now),
		Kubernetes(d.Config, d.Now),
	}
}
