// Package kubeaccess has the controllers that give pods access to the node's own
// API, where the configuration allows it.
//
// A pod's owner makes a ServiceAccount of the group talos.dev that names the
// wanted roles. If the namespace and the roles are on the lists of the
// configuration, a control plane node answers with a secret of the same name
// that holds a client configuration, and keeps its certificate fresh. What is not
// allowed is said in the status of the object.
package kubeaccess

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/kubeaccess"
	"github.com/basalt-os/basalt/internal/resources/secrets"
	"github.com/basalt-os/basalt/pkg/machineconfig"
)

// Dependencies are what the controllers of this package need.
type Dependencies struct {
	Config *configured.Reader
	Now    func() time.Time
	Logger *slog.Logger
}

// Controllers are all controllers of this package.
func Controllers(d Dependencies) []reconcile.Controller {
	return []reconcile.Controller{Config(d.Config), Endpoints(), Accounts(d.Now, d.Logger)}
}

// Config says what pods may get. There is none on workers, which have no key to
// sign with.
func Config(reader *configured.Reader) reconcile.Controller {
	return configured.One(reader, "kubeaccess.ConfigController", kubeaccess.ConfigID,
		func(cfg *machineconfig.Config) (kubeaccess.Config, error) {
			if !cfg.Machine().IsControlPlane() {
				return derive.None[kubeaccess.Config]()
			}

			access := cfg.Machine().KubernetesAccess
			if access == nil {
				return kubeaccess.Config{}, nil
			}

			return kubeaccess.Config{
				Enabled: true, AllowedAPIRoles: access.AllowedRoles, AllowedKubernetesNamespaces: access.AllowedKubernetesNamespaces,
			}, nil
		})
}

// callTimeout bounds one call to the Kubernetes API.
const callTimeout = 15 * time.Second

// retryPause is how long to wait before the Kubernetes API is asked again.
const retryPause = 10 * time.Second

// accessInputs are what administrator reads.
func accessInputs() []reconcile.Input {
	return []reconcile.Input{
		derive.In[kubeaccess.Config](kubeaccess.ConfigID),
		derive.In[secrets.Kubernetes](secrets.KubernetesID),
	}
}

// administrator returns what pods may get, and how to call the Kubernetes API of
// this node; nil when access is off.
func administrator(ctx context.Context, from resource.Reader) (*kubeaccess.Config, *rest.Config, error) {
	access, err := derive.Find[kubeaccess.Config](ctx, from, kubeaccess.ConfigID)
	if err != nil || access == nil || !access.Spec.Enabled {
		return nil, nil, err
	}

	kubeconfigs, err := derive.Need[secrets.Kubernetes](ctx, from, secrets.KubernetesID)
	if err != nil {
		return nil, nil, err
	}

	config, err := clientcmd.RESTConfigFromKubeConfig([]byte(kubeconfigs.Spec.LocalhostAdminKubeconfig))
	if err != nil {
		return nil, nil, fmt.Errorf("reading kubeconfig: %w", err)
	}

	config.Timeout, config.UserAgent, config.WarningHandler = callTimeout, "basalt", rest.NoWarnings{}

	return &access.Spec, config, nil
}
