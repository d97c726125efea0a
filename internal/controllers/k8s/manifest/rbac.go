package manifest

import (
	"encoding/base64"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

// Groups that Kubernetes gives to nodes before and after they have a
// certificate of their own.
const (
	groupBootstrappers     = "system:bootstrappers"
	groupNodeBootstrappers = "system:bootstrappers:nodes"
	groupNodes             = "system:nodes"
)

// bootstrapToken is the token Secret without its secret half.
func bootstrapToken(p Parameters) ([]runtime.Object, error) {
	return []runtime.Object{&corev1.Secret{
		TypeMeta:   kind("", "v1", "Secret"),
		ObjectMeta: inSystem("bootstrap-token-"+p.BootstrapTokenID, nil),
		Type:       corev1.SecretTypeBootstrapToken,
		StringData: map[string]string{
			"token-id":                       p.BootstrapTokenID,
			"usage-bootstrap-authentication": "true",
			"auth-extra-groups":              groupNodeBootstrappers,
		},
	}}, nil
}

// Complete puts the secret half into the bootstrap token object. Objects of
// any other kind are left alone. Manifests are readable by more people than
// secrets are, so the token's secret joins them only on the way to the API.
func Complete(object map[string]any, tokenSecret string) {
	if object["kind"] != "Secret" || object["type"] != string(corev1.SecretTypeBootstrapToken) {
		return
	}

	if data, ok := object["stringData"].(map[string]any); ok {
		data["token-secret"] = tokenSecret
	}
}

func clusterRoleBinding(name, role string, subjects ...rbacv1.Subject) *rbacv1.ClusterRoleBinding {
	return &rbacv1.ClusterRoleBinding{
		TypeMeta:   kind(rbacv1.GroupName, "v1", "ClusterRoleBinding"),
		ObjectMeta: named(name),
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   subjects,
	}
}

func clusterRole(name string, rules ...rbacv1.PolicyRule) *rbacv1.ClusterRole {
	return &rbacv1.ClusterRole{
		TypeMeta:   kind(rbacv1.GroupName, "v1", "ClusterRole"),
		ObjectMeta: named(name),
		Rules:      rules,
	}
}

func rule(group string, resources []string, verbs ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: resources, Verbs: verbs}
}

func groupSubject(name string) rbacv1.Subject {
	return rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: name}
}

func accountSubject(name string) rbacv1.Subject {
	return rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Name: name, Namespace: systemNamespace}
}

func serviceAccount(name string) *corev1.ServiceAccount {
	return &corev1.ServiceAccount{TypeMeta: kind("", "v1", "ServiceAccount"), ObjectMeta: inSystem(name, nil)}
}

// approverBinding lets the controller manager approve the first certificate
// of a node.
func approverBinding(Parameters) ([]runtime.Object, error) {
	return []runtime.Object{clusterRoleBinding("system-bootstrap-approve-node-client-csr",
		"system:certificates.k8s.io:certificatesigningrequests:nodeclient",
		groupSubject(groupBootstrappers))}, nil
}

// nodeBootstrapBinding lets a node that only has the token ask for one.
func nodeBootstrapBinding(Parameters) ([]runtime.Object, error) {
	return []runtime.Object{clusterRoleBinding("system-bootstrap-node-bootstrapper",
		"system:node-bootstrapper",
		groupSubject(groupNodeBootstrappers), groupSubject(groupNodes))}, nil
}

// renewalBinding lets a node renew its certificate.
func renewalBinding(Parameters) ([]runtime.Object, error) {
	return []runtime.Object{clusterRoleBinding("system-bootstrap-node-renewal",
		"system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
		groupSubject(groupNodes))}, nil
}

// nodeRoles let every node see the others and the API servers' addresses,
// which the node's own controllers follow with the kubelet's credentials.
func nodeRoles(Parameters) ([]runtime.Object, error) {
	const name = "system:talos-nodes"

	return []runtime.Object{
		clusterRole(name,
			rule("", []string{"nodes"}, "get", "list", "watch"),
			rule("discovery.k8s.io", []string{"endpointslices"}, "get", "list", "watch"),
		),
		clusterRoleBinding(name, name, groupSubject(groupNodes)),
	}, nil
}

// kubeconfigInCluster is a kubeconfig for pods that run on the host's network
// and cannot use the service address of the API, kube-proxy first of all. It
// holds no credentials of its own: it points at the pod's service account.
func kubeconfigInCluster(p Parameters) ([]runtime.Object, error) {
	config := map[string]any{
		"apiVersion": "v1",
		"kind":       "Config",
		"clusters": []any{map[string]any{
			"name": "local",
			"cluster": map[string]any{
				"server":                     p.Config.Server,
				"certificate-authority-data": base64.StdEncoding.EncodeToString(p.CA),
			},
		}},
		"users": []any{map[string]any{
			"name": "service-account",
			"user": map[string]any{"tokenFile": "/var/run/secrets/kubernetes.io/serviceaccount/token"},
		}},
		"contexts": []any{map[string]any{
			"name":    "service-account@local",
			"context": map[string]any{"cluster": "local", "user": "service-account"},
		}},
		"current-context": "service-account@local",
	}

	text, err := yaml.Marshal(config)
	if err != nil {
		return nil, fmt.Errorf("rendering kubeconfig: %w", err)
	}

	return []runtime.Object{&corev1.ConfigMap{
		TypeMeta:   kind("", "v1", "ConfigMap"),
		ObjectMeta: inSystem("kubeconfig-in-cluster", nil),
		Data:       map[string]string{"kubeconfig": string(text)},
	}}, nil
}
