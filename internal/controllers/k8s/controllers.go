package k8s

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/controllers/k8s/kubelet"
	"github.com/basalt-os/basalt/internal/reconcile"
)

// Dependencies are what the controllers of this package need.
type Dependencies struct {
	Config *configured.Reader
	// Host is what the kubelet has to know of the machine.
	Host kubelet.Host
	// Files are where the kubelet's files are.
	Files KubeletFiles
	// SecretsRoot and ConfigRoot hold a folder for each component of the
	// control plane.
	SecretsRoot, ConfigRoot string
	// HTTP downloads manifests.
	HTTP   *http.Client
	Now    func() time.Time
	Logger *slog.Logger
}

// Controllers are all controllers of this package.
func Controllers(d Dependencies) []reconcile.Controller {
	return append(controlPlaneConfigs(d.Config),
		Nodename(d.Config),
		NodeAddressFilters(d.Config),
		NodeIPConfig(d.Config),
		NodeIP(),
		NodeLabels(d.Config),
		NodeAnnotations(d.Config),
		NodeTaints(d.Config),
		ConfiguredStaticPods(d.Config),
		StaticPodServer(),
		KubeletConfig(d.Config),
		KubeletSpec(d.Host, d.Files, d.Now),
		KubeletKubeconfig(d.Files),
		KubeletStatus(),
		StaticPodSecrets(d.SecretsRoot),
		StaticPodConfigs(d.ConfigRoot),
		ControlPlanePods(),
		KubePrismEndpoints(d.Config),
		KubePrismConfig(d.Config),
		KubePrism(d.Logger),
		Manifests(),
		ExtraManifests(d.HTTP),
		ManifestApply(),
		NodeStatus(d.Files, d.Logger),
		StaticPodStatus(d.Files, d.Logger),
		NodeApply(d.Files),
	)
}
