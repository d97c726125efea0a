package machineconfig

import (
	"errors"
	"fmt"

	"github.com/basalt-os/basalt/pkg/machineconfig/document"
	"github.com/basalt-os/basalt/pkg/secrets"
)

// Secrets is the secrets bundle of the cluster that a control plane node's
// configuration belongs to.
func (c *Config) Secrets() (*secrets.Bundle, error) {
	machine, cluster := c.Machine(), c.Cluster()

	if !machine.IsControlPlane() {
		return nil, errors.New("reading secrets: found the configuration of a worker, expected one of a control plane node")
	}

	b := &secrets.Bundle{
		Cluster:    secrets.Cluster{ID: cluster.ID, Secret: cluster.Secret},
		TrustdInfo: secrets.TrustdInfo{Token: machine.Token},
		Secrets: secrets.Kubernetes{
			BootstrapToken:            cluster.BootstrapToken,
			SecretboxEncryptionSecret: encryptionKey(cluster.Encryption, "secretbox"),
			AESCBCEncryptionSecret:    encryptionKey(cluster.Encryption, "aescbc"),
		},
		Certs: secrets.Certs{
			OS: machine.CA, Etcd: cluster.Etcd.CA, K8s: cluster.CA, K8sAggregator: cluster.AggregatorCA,
			K8sServiceAccount: secrets.Key{Key: cluster.ServiceAccount.Key},
		},
	}

	if err := b.Validate(); err != nil {
		return nil, fmt.Errorf("reading secrets: %w", err)
	}

	return b, nil
}

// encryptionKey is the first key of a provider in an encryption configuration.
func encryptionKey(config document.Free, provider string) string {
	resources, _ := config["resources"].([]any)

	for _, resource := range resources {
		providers, _ := at(resource, "providers").([]any)

		for _, p := range providers {
			keys, _ := at(at(p, provider), "keys").([]any)
			if len(keys) > 0 {
				secret, _ := at(keys[0], "secret").(string)

				return secret
			}
		}
	}

	return ""
}

// at is an entry of free-form content, or nil.
func at(v any, key string) any {
	m, _ := v.(map[string]any)

	return m[key]
}
