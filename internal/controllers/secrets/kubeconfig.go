package secrets

import (
	"bytes"
	"encoding/base64"
	"fmt"

	"sigs.k8s.io/yaml"

	"github.com/basalt-os/basalt/pkg/secrets"
)

// kubeconfig is what identifies a client of one cluster.
type kubeconfig struct {
	Cluster string
	User    string
	// Server is the URL of the API.
	Server string
	// CA is the bundle of authorities that the API's certificate may be from.
	CA         []byte
	Credential secrets.KeyPair
	// TLSServerName is what the API's certificate must be for, where that is
	// not the name in the URL.
	TLSServerName string
	Namespace     string
}

// render returns the kubeconfig as YAML.
func (k kubeconfig) render() (string, error) {
	encode := base64.StdEncoding.EncodeToString
	name := k.User + "@" + k.Cluster

	cluster := map[string]any{"server": k.Server, "certificate-authority-data": encode(k.CA)}
	if k.TLSServerName != "" {
		cluster["tls-server-name"] = k.TLSServerName
	}

	context := map[string]any{"cluster": k.Cluster, "user": name}
	if k.Namespace != "" {
		context["namespace"] = k.Namespace
	}

	text, err := yaml.Marshal(map[string]any{
		"apiVersion": "v1",
		"kind":       "Config",
		"clusters":   []any{map[string]any{"name": k.Cluster, "cluster": cluster}},
		"users": []any{map[string]any{"name": name, "user": map[string]any{
			"client-certificate-data": encode(k.Credential.Cert),
			"client-key-data":         encode(k.Credential.Key),
		}}},
		"contexts":        []any{map[string]any{"name": name, "context": context}},
		"current-context": name,
	})
	if err != nil {
		return "", fmt.Errorf("rendering kubeconfig of %s: %w", k.User, err)
	}

	return string(text), nil
}

// credential is the client certificate in a kubeconfig that render made, and
// the zero pair when the text is anything else.
func credential(text string) secrets.KeyPair {
	var config struct {
		Users []struct {
			User struct {
				Certificate []byte `json:"client-certificate-data"`
				Key         []byte `json:"client-key-data"`
			} `json:"user"`
		} `json:"users"`
	}

	if err := yaml.Unmarshal([]byte(text), &config); err != nil || len(config.Users) != 1 {
		return secrets.KeyPair{}
	}

	user := config.Users[0].User

	return secrets.KeyPair{Cert: user.Certificate, Key: user.Key}
}

// bundle joins PEM texts, each once, in order.
func bundle(texts ...[]byte) []byte {
	var (
		out  bytes.Buffer
		seen = map[string]bool{}
	)

	for _, text := range texts {
		text = bytes.TrimSpace(text)
		if len(text) == 0 || seen[string(text)] {
			continue
		}

		seen[string(text)] = true

		out.Write(text)
		out.WriteByte('\n')
	}

	return out.Bytes()
}
