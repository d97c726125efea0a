package manifest

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	plain "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Port of the node's own API.
const apiPort = 50000

// apiService is the name under which pods find the control plane nodes' own
// API. It has no selector: what is behind it are nodes and not pods, and a
// controller of the node keeps them.
func apiService(Parameters) ([]runtime.Object, error) {
	policy := corev1.IPFamilyPolicyPreferDualStack

	return []runtime.Object{&corev1.Service{
		TypeMeta:   kind("", "v1", "Service"),
		ObjectMeta: metav1.ObjectMeta{Name: "talos", Namespace: metav1.NamespaceDefault},
		Spec: corev1.ServiceSpec{
			IPFamilyPolicy: &policy,
			Ports: []corev1.ServicePort{{
				Name: "apid", Port: apiPort, Protocol: corev1.ProtocolTCP, TargetPort: intstr.FromInt32(apiPort),
			}},
		},
	}}, nil
}

// accountDefinition is the kind by which pods ask for access to the node's own
// API: for each such object the node makes a secret of the same name.
func accountDefinition(Parameters) ([]runtime.Object, error) {
	object := func(required []any, properties map[string]any) map[string]any {
		schema := map[string]any{"type": "object", "properties": properties}
		if len(required) > 0 {
			schema["required"] = required
		}

		return schema
	}
	text := map[string]any{"type": "string"}

	schema := object([]any{"spec"}, map[string]any{
		"spec": object([]any{"roles"}, map[string]any{
			"roles": map[string]any{"type": "array", "items": text, "minItems": int64(1)},
		}),
		"status": object(nil, map[string]any{"failureReason": text}),
	})

	return []runtime.Object{&plain.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1",
		"kind":       "CustomResourceDefinition",
		"metadata":   map[string]any{"name": "serviceaccounts.talos.dev"},
		"spec": map[string]any{
			"group": "talos.dev",
			"scope": "Namespaced",
			"names": map[string]any{
				"plural": "serviceaccounts", "singular": "serviceaccount", "kind": "ServiceAccount",
				"listKind": "ServiceAccountList", "shortNames": []any{"tsa"},
			},
			"versions": []any{map[string]any{
				"name": "v1alpha1", "served": true, "storage": true,
				"schema":       map[string]any{"openAPIV3Schema": schema},
				"subresources": map[string]any{"status": map[string]any{}},
				"additionalPrinterColumns": []any{
					map[string]any{"name": "Roles", "type": "string", "jsonPath": ".spec.roles"},
					map[string]any{"name": "Failure", "type": "string", "jsonPath": ".status.failureReason"},
				},
			}},
		},
	}}}, nil
}
