package inject

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"go.yaml.in/yaml/v4"
)

const (
	// volumeName is the volume with the client configuration.
	volumeName = "talos-secrets"
	// mountPath is where clients look for it.
	mountPath = "/var/run/secrets/talos.dev"
)

// templates says for each kind of workload where its pod template is; the pod
// itself has its spec at the top.
var templates = map[string][]string{
	"Pod":         {"spec"},
	"Deployment":  {"spec", "template", "spec"},
	"StatefulSet": {"spec", "template", "spec"},
	"DaemonSet":   {"spec", "template", "spec"},
	"ReplicaSet":  {"spec", "template", "spec"},
	"Job":         {"spec", "template", "spec"},
	"CronJob":     {"spec", "jobTemplate", "spec", "template", "spec"},
}

// ServiceAccounts adds a service account with the roles for each workload of a
// manifest, which is a stream of YAML documents. What is in it otherwise, its
// order and comments, stays. Done again, it changes nothing but the roles.
func ServiceAccounts(manifest []byte, roles []string) ([]byte, error) {
	documents, err := decode(manifest)
	if err != nil {
		return nil, err
	}

	present := map[string]*yaml.Node{} // service accounts by name
	found := false

	for _, d := range documents {
		if scalar(d, "apiVersion") == "talos.dev/v1alpha1" && scalar(d, "kind") == "ServiceAccount" {
			present[accountKey(d)] = d
		}
	}

	var out []*yaml.Node

	for _, d := range documents {
		path, ok := templates[scalar(d, "kind")]
		if !ok {
			out = append(out, d)

			continue
		}

		found = true

		account, err := mount(d, path)
		if err != nil {
			return nil, err
		}

		object := accountFor(d, account, roles)
		if old := present[accountKey(object)]; old != nil {
			*old = *object
		} else {
			out = append(out, object)
		}

		out = append(out, d)
	}

	if !found {
		return nil, errors.New("the manifest has no pod, deployment, stateful set, daemon set, replica set, job or cron job")
	}

	return encode(out)
}

// decode reads the documents of a stream.
func decode(manifest []byte) ([]*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(manifest))

	var documents []*yaml.Node

	for {
		var document yaml.Node

		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return documents, nil
		}

		if err != nil {
			return nil, fmt.Errorf("reading manifest: %w", err)
		}

		if len(document.Content) != 1 {
			continue
		}

		switch root := document.Content[0]; root.Kind {
		case yaml.MappingNode:
			documents = append(documents, root)
		case yaml.ScalarNode:
			if root.Tag != "!!null" {
				return nil, fmt.Errorf("reading manifest: line %d is not an object", root.Line)
			}
		default:
			return nil, fmt.Errorf("reading manifest: line %d is not an object", root.Line)
		}
	}
}

func encode(documents []*yaml.Node) ([]byte, error) {
	var out bytes.Buffer

	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)

	for _, d := range documents {
		if err := encoder.Encode(d); err != nil {
			return nil, fmt.Errorf("writing manifest: %w", err)
		}
	}

	if err := encoder.Close(); err != nil {
		return nil, fmt.Errorf("writing manifest: %w", err)
	}

	return out.Bytes(), nil
}

// mount gives the pods of a workload the secret, and returns its name.
func mount(workload *yaml.Node, path []string) (string, error) {
	name := scalar(field(workload, "metadata"), "name")
	if name == "" {
		name = scalar(field(workload, "metadata"), "generateName")
	}

	kind := scalar(workload, "kind")

	if name == "" {
		return "", fmt.Errorf("line %d: the %s has no name", workload.Line, kind)
	}

	pod := workload
	for _, step := range path {
		if pod = field(pod, step); pod == nil || pod.Kind != yaml.MappingNode {
			return "", fmt.Errorf("%s %s has no pod template", kind, name)
		}
	}

	secret := name + "-" + volumeName

	put(list(pod, "volumes"), mapping("name", volumeName, "secret", mapping("secretName", secret)))

	for _, kind := range []string{"initContainers", "containers"} {
		containers := field(pod, kind)
		if containers == nil {
			continue
		}

		for _, c := range containers.Content {
			if c.Kind == yaml.MappingNode {
				put(list(c, "volumeMounts"), mapping("mountPath", mountPath, "name", volumeName))
			}
		}
	}

	return secret, nil
}

// accountFor is the service account of a workload, in its namespace.
func accountFor(workload *yaml.Node, name string, roles []string) *yaml.Node {
	meta := mapping("name", name)
	if namespace := scalar(field(workload, "metadata"), "namespace"); namespace != "" {
		meta = mapping("name", name, "namespace", namespace)
	}

	wanted := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	for _, role := range roles {
		wanted.Content = append(wanted.Content, text(role))
	}

	return mapping("apiVersion", "talos.dev/v1alpha1", "kind", "ServiceAccount", "metadata", meta, "spec", mapping("roles", wanted))
}

func accountKey(object *yaml.Node) string {
	meta := field(object, "metadata")

	return scalar(meta, "namespace") + "/" + scalar(meta, "name")
}

// field is the value of a key, nil when there is none.
func field(object *yaml.Node, key string) *yaml.Node {
	if object == nil || object.Kind != yaml.MappingNode {
		return nil
	}

	for i := 0; i+1 < len(object.Content); i += 2 {
		if object.Content[i].Value == key {
			return object.Content[i+1]
		}
	}

	return nil
}

func scalar(object *yaml.Node, key string) string {
	if value := field(object, key); value != nil && value.Kind == yaml.ScalarNode {
		return value.Value
	}

	return ""
}

// list is the list of a key, which is added where there is none.
func list(object *yaml.Node, key string) *yaml.Node {
	value := field(object, key)
	if value == nil {
		value = &yaml.Node{}
		object.Content = append(object.Content, text(key), value)
	}

	if value.Kind != yaml.SequenceNode {
		*value = yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	}

	return value
}

// put adds an item to a list, or replaces the one of its name.
func put(items, item *yaml.Node) {
	for i, old := range items.Content {
		if scalar(old, "name") == scalar(item, "name") {
			items.Content[i] = item

			return
		}
	}

	items.Content = append(items.Content, item)
}

func text(value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value}
}

// mapping is an object of keys and values; values are texts or nodes.
func mapping(pairs ...any) *yaml.Node {
	object := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}

	for _, p := range pairs {
		node, ok := p.(*yaml.Node)
		if !ok {
			node = text(fmt.Sprint(p))
		}

		object.Content = append(object.Content, node)
	}

	return object
}
