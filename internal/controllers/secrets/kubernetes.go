package secrets

import (
	"context"
	"fmt"
	"time"

	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resources/pki"
	resources "github.com/basalt-os/basalt/internal/resources/secrets"
	"github.com/basalt-os/basalt/pkg/secrets"
)

// groupMasters may do everything in a Kubernetes cluster.
const groupMasters = "system:masters"

// ensure is issuer.ensure on the form that resources have.
func ensure(issuer *issuer, current *pki.CertificateAndKey, use usage, request secrets.Request) (*pki.CertificateAndKey, error) {
	pair, err := issuer.ensure(fromResource(current), use, request)
	if err != nil {
		return nil, err
	}

	return toResource(pair), nil
}

// KubernetesDynamicCerts keeps the certificates that the API server reads
// again while it runs.
func KubernetesDynamicCerts(now func() time.Time) reconcile.Controller {
	return derive.One("secrets.KubernetesDynamicCertsController", resources.KubernetesDynamicCertsID,
		[]reconcile.Input{
			reconcile.In[resources.KubernetesRoot]().WithID(resources.KubernetesRootID),
			reconcile.In[resources.CertSAN]().WithID(resources.CertSANKubernetesID),
			timeInput,
		},
		func(ctx context.Context, rt *reconcile.Runtime, current resources.KubernetesDynamicCerts) (resources.KubernetesDynamicCerts, error) {
			root, err := derive.Find[resources.KubernetesRoot](ctx, rt, resources.KubernetesRootID)
			if err != nil {
				return current, err
			}

			names, err := derive.Find[resources.CertSAN](ctx, rt, resources.CertSANKubernetesID)
			if err != nil {
				return current, err
			}

			synced, err := timeSynced(ctx, rt)
			if err != nil {
				return current, err
			}

			if root == nil || names == nil || !synced {
				return derive.None[resources.KubernetesDynamicCerts]()
			}

			next, wait, err := dynamicCertificates(root.Spec, names.Spec, current, now())
			if err != nil {
				return current, err
			}

			rt.RequeueAfter(wait)

			return next, nil
		})
}

func dynamicCertificates(
	root resources.KubernetesRoot, names resources.CertSAN, current resources.KubernetesDynamicCerts, now time.Time,
) (next resources.KubernetesDynamicCerts, wait time.Duration, err error) {
	issuer, err := newIssuer(fromResource(root.IssuingCA), now)
	if err != nil {
		return current, 0, fmt.Errorf("loading the authority of Kubernetes: %w", err)
	}

	aggregator, err := newIssuer(fromResource(root.AggregatorCA), now)
	if err != nil {
		return current, 0, fmt.Errorf("loading the authority of the API aggregation: %w", err)
	}

	request := func(name string, groups ...string) secrets.Request {
		return secrets.Request{
			CommonName: name, Organizations: groups, Algorithm: secrets.ECDSAP256, NotBefore: now, TTL: kubernetesCertificateTTL,
		}
	}

	serving := request("kube-apiserver", "kube-master")
	serving.DNSNames, serving.IPs = names.DNSNames, names.IPs

	if next.APIServer, err = ensure(issuer, current.APIServer, forServer, serving); err != nil {
		return current, 0, err
	}

	next.APIServerKubeletClient, err = ensure(issuer, current.APIServerKubeletClient, forClient,
		request("apiserver-kubelet-client", groupMasters))
	if err != nil {
		return current, 0, err
	}

	next.FrontProxy, err = ensure(aggregator, current.FrontProxy, forClient, request("front-proxy-client"))
	if err != nil {
		return current, 0, err
	}

	return next, min(issuer.wait(), aggregator.wait()), nil
}

// Kubernetes keeps the kubeconfigs of the control plane's components and of
// administrators.
func Kubernetes(reader *configured.Reader, now func() time.Time) reconcile.Controller {
	return derive.One("secrets.KubernetesController", resources.KubernetesID,
		[]reconcile.Input{
			reconcile.In[resources.KubernetesRoot]().WithID(resources.KubernetesRootID), configured.Input(), timeInput,
		},
		func(ctx context.Context, rt *reconcile.Runtime, current resources.Kubernetes) (resources.Kubernetes, error) {
			root, err := derive.Find[resources.KubernetesRoot](ctx, rt, resources.KubernetesRootID)
			if err != nil {
				return current, err
			}

			cfg, err := reader.Read(ctx, rt)
			if err != nil {
				return current, err
			}

			synced, err := timeSynced(ctx, rt)
			if err != nil {
				return current, err
			}

			if root == nil || cfg == nil || !synced {
				return derive.None[resources.Kubernetes]()
			}

			next, wait, err := kubeconfigs(root.Spec, current, cfg.Cluster().AdminCertLifetime, now())
			if err != nil {
				return current, err
			}

			rt.RequeueAfter(wait)

			return next, nil
		})
}

func kubeconfigs(
	root resources.KubernetesRoot, current resources.Kubernetes, adminLifetime time.Duration, now time.Time,
) (resources.Kubernetes, time.Duration, error) {
	issuer, err := newIssuer(fromResource(root.IssuingCA), now)
	if err != nil {
		return current, 0, fmt.Errorf("loading the authority of Kubernetes: %w", err)
	}

	local, remote := root.LocalEndpoint.String(), root.Endpoint.String()

	var next resources.Kubernetes

	for _, k := range []struct {
		current     string
		next        *string
		user, group string
		server      string
		lifetime    time.Duration
		namespace   string
	}{
		{current.ControllerManagerKubeconfig, &next.ControllerManagerKubeconfig, "system:kube-controller-manager", "system:kube-controller-manager", local, kubernetesCertificateTTL, ""},
		{current.SchedulerKubeconfig, &next.SchedulerKubeconfig, "system:kube-scheduler", "system:kube-scheduler", local, kubernetesCertificateTTL, ""},
		{current.LocalhostAdminKubeconfig, &next.LocalhostAdminKubeconfig, "basalt:admin", groupMasters, local, kubernetesCertificateTTL, ""},
		{current.AdminKubeconfig, &next.AdminKubeconfig, "admin", groupMasters, remote, adminLifetime, "default"},
	} {
		pair, err := issuer.ensure(credential(k.current), forClient, secrets.Request{
			CommonName: k.user, Organizations: []string{k.group},
			Algorithm: secrets.ECDSAP256, NotBefore: now, TTL: k.lifetime,
		})
		if err != nil {
			return current, 0, err
		}

		*k.next, err = kubeconfig{
			Cluster: root.Name, User: k.user, Server: k.server, CA: bundleOf(root.AcceptedCAs), Credential: pair, Namespace: k.namespace,
		}.render()
		if err != nil {
			return current, 0, err
		}
	}

	return next, issuer.wait(), nil
}
