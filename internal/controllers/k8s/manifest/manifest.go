// Package manifest builds the Kubernetes objects with which a cluster starts:
// the bootstrap token, the roles of node bootstrap, the pod network,
// kube-proxy, cluster DNS and a kubeconfig for pods of the host network.
//
// Everything here is a pure function of the configuration. Objects are built
// from the typed API and handed on in their unstructured form.
package manifest

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/basalt-os/basalt/internal/resources/k8s"
)

// Group is a named, ordered set of objects that are applied together.
type Group struct {
	// ID names the group and, compared as text, orders it among all others.
	ID string
	// Objects are complete: each has its apiVersion, kind and metadata.
	Objects []map[string]any
}

// systemNamespace is where everything that belongs to the cluster itself runs.
const systemNamespace = metav1.NamespaceSystem

// Parameters are what the objects are made from.
type Parameters struct {
	Config k8s.BootstrapManifestsConfig
	// CA is the certificate bundle of the Kubernetes API, in PEM.
	CA []byte
	// BootstrapTokenID is the public half of the node bootstrap token. The
	// secret half is not part of a manifest: see Complete.
	BootstrapTokenID string
}

// Build returns the groups that the configuration asks for, in order.
func Build(p Parameters) ([]Group, error) {
	groups := []struct {
		id      string
		enabled bool
		objects func(Parameters) ([]runtime.Object, error)
	}{
		{"00-kubelet-bootstrapping-token", true, bootstrapToken},
		{"01-csr-approver-role-binding", true, approverBinding},
		{"01-csr-node-bootstrap", true, nodeBootstrapBinding},
		{"01-csr-renewal-role-binding", true, renewalBinding},
		{"05-flannel", p.Config.FlannelEnabled, flannel},
		{"10-kube-proxy", p.Config.ProxyEnabled, proxy},
		{"11-core-dns", p.Config.CoreDNSEnabled, coreDNS},
		{"11-core-dns-svc", p.Config.CoreDNSEnabled, coreDNSService},
		{"11-kube-config-in-cluster", true, kubeconfigInCluster},
		{"11-talos-node-rbac-template", true, nodeRoles},
		{"12-talos-api-service", p.Config.TalosAPIServiceEnabled, apiService},
		{"13-talos-service-account-crd", p.Config.TalosAPIServiceEnabled, accountDefinition},
	}

	var out []Group

	for _, g := range groups {
		if !g.enabled {
			continue
		}

		objects, err := g.objects(p)
		if err != nil {
			return nil, fmt.Errorf("building manifest %s: %w", g.id, err)
		}

		group := Group{ID: g.id}

		for _, o := range objects {
			u, err := unstructured(o)
			if err != nil {
				return nil, fmt.Errorf("building manifest %s: %w", g.id, err)
			}

			group.Objects = append(group.Objects, u)
		}

		out = append(out, group)
	}

	return out, nil
}

// unstructured is the object as plain maps, without the empty status and
// creation time that the typed form always carries.
func unstructured(o runtime.Object) (map[string]any, error) {
	u, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return nil, fmt.Errorf("converting %s: %w", o.GetObjectKind().GroupVersionKind(), err)
	}

	delete(u, "status")
	dropNull(u)

	return u, nil
}

// dropNull removes keys whose value is null, at any depth.
func dropNull(v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if value == nil {
				delete(v, key)

				continue
			}

			dropNull(value)
		}
	case []any:
		for _, value := range v {
			dropNull(value)
		}
	}
}

func kind(group, version, kind string) metav1.TypeMeta {
	gv := schema.GroupVersion{Group: group, Version: version}

	return metav1.TypeMeta{APIVersion: gv.String(), Kind: kind}
}

func named(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Name: name} }

func inSystem(name string, labels map[string]string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: systemNamespace, Labels: labels}
}
