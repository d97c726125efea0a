package secrets

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"go.yaml.in/yaml/v4"
)

// Bundle is everything secret about a cluster. Its YAML form is the file that
// `gen secrets` writes and `gen config --with-secrets` reads.
type Bundle struct {
	Cluster    Cluster    `yaml:"cluster"`
	Secrets    Kubernetes `yaml:"secrets"`
	TrustdInfo TrustdInfo `yaml:"trustdinfo"`
	Certs      Certs      `yaml:"certs"`
}

// Cluster identifies a cluster to the discovery service.
type Cluster struct {
	ID     string `yaml:"id"`     // base64 of 32 random bytes; known to the discovery service
	Secret string `yaml:"secret"` // base64 of 32 random bytes; encrypts what the service stores
}

// Kubernetes has the secrets of Kubernetes that are not certificates.
type Kubernetes struct {
	BootstrapToken            string `yaml:"bootstraptoken"` // of kubelets that join
	AESCBCEncryptionSecret    string `yaml:"aescbcencryptionsecret,omitempty"`
	SecretboxEncryptionSecret string `yaml:"secretboxencryptionsecret,omitempty"` // base64 of 32 random bytes
}

// TrustdInfo has the token with which workers ask for certificates.
type TrustdInfo struct {
	Token string `yaml:"token"`
}

// Certs are the cluster's authorities and the service account key.
type Certs struct {
	Etcd              KeyPair `yaml:"etcd"`
	K8s               KeyPair `yaml:"k8s"`
	K8sAggregator     KeyPair `yaml:"k8saggregator"`
	K8sServiceAccount Key     `yaml:"k8sserviceaccount"`
	OS                KeyPair `yaml:"os"`
}

// Key is a private key without a certificate.
type Key struct {
	Key PEM `yaml:"key"`
}

// Options of [NewBundle] and [NewBundleFromKubernetesPKI].
type Options struct {
	BootstrapToken string    // empty: a random one
	NotBefore      time.Time // of the authorities; zero: now
}

// NewBundle makes the secrets of a new cluster: an Ed25519 authority for the
// OS, ECDSA P-256 authorities for etcd, Kubernetes and its aggregator, an RSA
// key for service accounts, and random tokens.
func NewBundle(opts Options) (*Bundle, error) {
	return complete(&Bundle{}, opts)
}

// complete fills what a bundle has not yet.
func complete(b *Bundle, opts Options) (*Bundle, error) {
	authorities := []struct {
		pair *KeyPair
		opts CAOptions
	}{
		{&b.Certs.OS, CAOptions{Algorithm: Ed25519, Organization: "talos"}},
		{&b.Certs.Etcd, CAOptions{Algorithm: ECDSAP256, Organization: "etcd"}},
		{&b.Certs.K8s, CAOptions{Algorithm: ECDSAP256, Organization: "kubernetes"}},
		{&b.Certs.K8sAggregator, CAOptions{Algorithm: ECDSAP256, CommonName: "front-proxy"}},
	}

	for _, a := range authorities {
		if !a.pair.IsZero() {
			continue
		}

		a.opts.NotBefore = opts.NotBefore

		ca, err := NewCA(a.opts)
		if err != nil {
			return nil, err
		}

		*a.pair = ca.KeyPair()
	}

	if len(b.Certs.K8sServiceAccount.Key) == 0 {
		key, err := NewKey(RSA4096)
		if err != nil {
			return nil, fmt.Errorf("generating service account key: %w", err)
		}

		if b.Certs.K8sServiceAccount.Key, err = EncodeKey(key); err != nil {
			return nil, err
		}
	}

	orNew := func(value *string, generate func() string) {
		if *value == "" {
			*value = generate()
		}
	}

	if opts.BootstrapToken != "" {
		if !tokenForm.MatchString(opts.BootstrapToken) {
			return nil, errors.New("bootstrap token: expected the form abcdef.0123456789abcdef")
		}

		b.Secrets.BootstrapToken = opts.BootstrapToken
	}

	orNew(&b.Cluster.ID, newSecret)
	orNew(&b.Cluster.Secret, newSecret)
	orNew(&b.Secrets.BootstrapToken, NewToken)
	orNew(&b.Secrets.SecretboxEncryptionSecret, newSecret)
	orNew(&b.TrustdInfo.Token, NewToken)

	return b, nil
}

// Load parses a bundle and checks it.
func Load(data []byte) (*Bundle, error) {
	var b Bundle

	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)

	if err := dec.Decode(&b); err != nil {
		return nil, fmt.Errorf("decoding secrets bundle: %w", err)
	}

	if err := b.Validate(); err != nil {
		return nil, err
	}

	return &b, nil
}

// Bytes is the bundle as YAML.
func (b *Bundle) Bytes() ([]byte, error) {
	var buf bytes.Buffer

	enc := yaml.NewEncoder(&buf)
	enc.SetIndent(4)

	if err := enc.Encode(b); err != nil {
		return nil, fmt.Errorf("encoding secrets bundle: %w", err)
	}

	return buf.Bytes(), nil
}

// Validate reports everything that is missing or does not fit together, as one
// joined error.
func (b *Bundle) Validate() error {
	var errs []error

	for _, field := range []struct{ name, value string }{
		{"cluster.id", b.Cluster.ID},
		{"cluster.secret", b.Cluster.Secret},
		{"trustdinfo.token", b.TrustdInfo.Token},
		{"secrets.bootstraptoken", b.Secrets.BootstrapToken},
		{"certs.k8sserviceaccount.key", string(b.Certs.K8sServiceAccount.Key)},
	} {
		if field.value == "" {
			errs = append(errs, fmt.Errorf("secrets bundle: %s is missing", field.name))
		}
	}

	for _, token := range []struct{ name, value string }{
		{"secrets.bootstraptoken", b.Secrets.BootstrapToken},
		{"trustdinfo.token", b.TrustdInfo.Token},
	} {
		if token.value != "" && !tokenForm.MatchString(token.value) {
			errs = append(errs, fmt.Errorf("secrets bundle: %s: expected the form abcdef.0123456789abcdef", token.name))
		}
	}

	for _, authority := range []struct {
		name string
		pair KeyPair
	}{
		{"certs.etcd", b.Certs.Etcd},
		{"certs.k8s", b.Certs.K8s},
		{"certs.k8saggregator", b.Certs.K8sAggregator},
		{"certs.os", b.Certs.OS},
	} {
		if _, err := LoadCA(authority.pair); err != nil {
			errs = append(errs, fmt.Errorf("secrets bundle: %s: %w", authority.name, err))
		}
	}

	return errors.Join(errs...)
}

// OSAuthority is the authority of the OS API.
func (b *Bundle) OSAuthority() (*CA, error) { return LoadCA(b.Certs.OS) }
