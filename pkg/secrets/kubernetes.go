package secrets

import (
	"errors"
	"fmt"
	"io/fs"
)

// NewBundleFromKubernetesPKI makes a bundle that takes over the authorities of
// an existing cluster, from a folder laid out as kubeadm's /etc/kubernetes/pki:
// ca, etcd/ca, front-proxy-ca (each .crt and .key) and sa.key. The rest is new.
// All files that are missing or unusable are reported together.
func NewBundleFromKubernetesPKI(pki fs.FS, opts Options) (*Bundle, error) {
	var (
		b    Bundle
		errs []error
	)

	read := func(name string) []byte {
		data, err := fs.ReadFile(pki, name)
		if err != nil {
			errs = append(errs, fmt.Errorf("reading Kubernetes PKI: %w", err))
		}

		return data
	}

	for _, authority := range []struct {
		pair *KeyPair
		name string
	}{
		{&b.Certs.K8s, "ca"},
		{&b.Certs.Etcd, "etcd/ca"},
		{&b.Certs.K8sAggregator, "front-proxy-ca"},
	} {
		*authority.pair = KeyPair{Cert: read(authority.name + ".crt"), Key: read(authority.name + ".key")}

		if len(authority.pair.Cert) == 0 || len(authority.pair.Key) == 0 {
			continue
		}

		if _, err := LoadCA(*authority.pair); err != nil {
			errs = append(errs, fmt.Errorf("reading Kubernetes PKI: %s: %w", authority.name, err))
		}
	}

	b.Certs.K8sServiceAccount.Key = read("sa.key")

	if len(b.Certs.K8sServiceAccount.Key) > 0 {
		if _, err := ParseKey(b.Certs.K8sServiceAccount.Key); err != nil {
			errs = append(errs, fmt.Errorf("reading Kubernetes PKI: sa.key: %w", err))
		}
	}

	if err := errors.Join(errs...); err != nil {
		return nil, err
	}

	return complete(&b, opts)
}
