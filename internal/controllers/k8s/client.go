package k8s

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/controllers/k8s/kubelet"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/config"
	"github.com/basalt-os/basalt/internal/resources/k8s"
	"github.com/basalt-os/basalt/internal/resources/secrets"
)

// callTimeout bounds one call to the Kubernetes API.
const callTimeout = 15 * time.Second

// credentialInputs are what nodeConfig reads.
func credentialInputs() []reconcile.Input {
	return []reconcile.Input{
		derive.In[config.MachineType](config.MachineTypeID),
		derive.In[secrets.Kubernetes](secrets.KubernetesID),
		derive.In[k8s.KubeletKubeconfig](k8s.KubeletID),
	}
}

// nodeConfig is how the node itself calls the Kubernetes API: as an
// administrator where it runs the control plane, as its kubelet elsewhere.
func nodeConfig(ctx context.Context, from resource.Reader, files KubeletFiles) (*rest.Config, error) {
	machine, err := derive.Need[config.MachineType](ctx, from, config.MachineTypeID)
	if err != nil {
		return nil, err
	}

	if machine.Spec.Type.IsControlPlane() {
		return adminConfig(ctx, from)
	}

	if _, err := derive.Need[k8s.KubeletKubeconfig](ctx, from, k8s.KubeletID); err != nil {
		return nil, err
	}

	text, err := os.ReadFile(files.Root + kubelet.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading the kubelet's kubeconfig: %w", err)
	}

	return restConfig(text)
}

// adminConfig is how a control plane calls the Kubernetes API.
func adminConfig(ctx context.Context, from resource.Reader) (*rest.Config, error) {
	kubeconfigs, err := derive.Need[secrets.Kubernetes](ctx, from, secrets.KubernetesID)
	if err != nil {
		return nil, err
	}

	return restConfig([]byte(kubeconfigs.Spec.LocalhostAdminKubeconfig))
}

func restConfig(kubeconfig []byte) (*rest.Config, error) {
	cfg, err := clientcmd.RESTConfigFromKubeConfig(kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading kubeconfig: %w", err)
	}

	cfg.Timeout = callTimeout
	cfg.QPS, cfg.Burst = 50, 100
	cfg.UserAgent = "basalt"

	return cfg, nil
}

// apiPause is how long to wait before the Kubernetes API is asked again.
const apiPause = time.Second

// apiReady returns nil when the API server serves. Until then it has the
// controller wait and ask again.
func apiReady(ctx context.Context, rt *reconcile.Runtime, client kubernetes.Interface) error {
	if serves(ctx, client) {
		return nil
	}

	rt.RequeueAfter(apiPause)

	return reconcile.WaitingFor(resource.PointerOf[k8s.StaticPod](k8s.APIServerID), "the Kubernetes API does not answer")
}

// serves reports whether the API server says that it is ready.
func serves(ctx context.Context, client kubernetes.Interface) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()

	var status int

	err := client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).StatusCode(&status).Error()

	return err == nil && status == http.StatusOK
}
