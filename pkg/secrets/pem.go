package secrets

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// PEM block types that the wire uses.
const (
	typeCertificate = "CERTIFICATE"
	typeRequest     = "CERTIFICATE REQUEST"
	typeEd25519Key  = "ED25519 PRIVATE KEY" // PKCS #8 bytes under the wire's own name
	typeECKey       = "EC PRIVATE KEY"
	typeRSAKey      = "RSA PRIVATE KEY"
	typePKCS8Key    = "PRIVATE KEY"
	typePublicKey   = "PUBLIC KEY"
)

// PEM is PEM text. Its text form (YAML, JSON) is standard base64 of that text.
type PEM []byte

// MarshalText implements [encoding.TextMarshaler].
func (p PEM) MarshalText() ([]byte, error) {
	return base64.StdEncoding.AppendEncode(nil, p), nil
}

// UnmarshalText implements [encoding.TextUnmarshaler].
func (p *PEM) UnmarshalText(text []byte) error {
	decoded, err := base64.StdEncoding.AppendDecode(nil, bytes.TrimSpace(text))
	if err != nil {
		return errors.New("not base64 of PEM text")
	}

	*p = decoded

	return nil
}

// KeyPair is a certificate (or a chain, leaf first) with its private key. Key
// is empty where only the certificate is known, as on worker nodes.
type KeyPair struct {
	Cert PEM `yaml:"crt"`
	Key  PEM `yaml:"key"`
}

// IsZero reports that there is neither certificate nor key.
func (p KeyPair) IsZero() bool { return len(p.Cert) == 0 && len(p.Key) == 0 }

// TLS is the pair as [tls.Certificate], with its leaf parsed.
func (p KeyPair) TLS() (tls.Certificate, error) {
	return tls.X509KeyPair(p.Cert, p.Key)
}

// Certificate parses the pair's first certificate.
func (p KeyPair) Certificate() (*x509.Certificate, error) { return ParseCertificate(p.Cert) }

// ParseCertificate parses the first certificate of PEM text.
func ParseCertificate(text []byte) (*x509.Certificate, error) {
	certs, err := ParseCertificates(text)
	if err != nil {
		return nil, err
	}

	return certs[0], nil
}

// ParseCertificates parses all certificates of PEM text, in order. Text without
// a certificate is an error.
func ParseCertificates(text []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate

	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != typeCertificate {
			continue
		}

		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("parsing certificate: %w", err)
		}

		certs = append(certs, cert)
	}

	if len(certs) == 0 {
		return nil, errors.New("parsing certificate: no CERTIFICATE block in PEM text")
	}

	return certs, nil
}

// Pool is a certificate pool of all certificates in the given PEM texts; empty
// texts are skipped.
func Pool(texts ...PEM) (*x509.CertPool, error) {
	pool := x509.NewCertPool()

	for _, text := range texts {
		if len(text) == 0 {
			continue
		}

		certs, err := ParseCertificates(text)
		if err != nil {
			return nil, err
		}

		for _, cert := range certs {
			pool.AddCert(cert)
		}
	}

	return pool, nil
}

// ParseKey parses the first private key of PEM text: Ed25519, ECDSA or RSA, in
// PKCS #8, SEC 1 or PKCS #1 form.
func ParseKey(text []byte) (crypto.Signer, error) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		var (
			key any
			err error
		)

		switch block.Type {
		case typeEd25519Key, typePKCS8Key:
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case typeECKey:
			key, err = x509.ParseECPrivateKey(block.Bytes)
		case typeRSAKey:
			key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		default:
			continue // for example EC PARAMETERS
		}

		if err != nil {
			// The cause could quote key bytes; it stays out.
			return nil, fmt.Errorf("parsing %s: malformed", strings.ToLower(block.Type))
		}

		signer, ok := key.(crypto.Signer)
		if !ok {
			return nil, fmt.Errorf("parsing private key: %T cannot sign", key)
		}

		return signer, nil
	}

	return nil, errors.New("parsing private key: no private key block in PEM text")
}

// EncodeKey is the PEM text of a private key, in the form that the wire has
// for its kind.
func EncodeKey(key crypto.Signer) (PEM, error) {
	var (
		block pem.Block
		err   error
	)

	switch key := key.(type) {
	case ed25519.PrivateKey:
		block.Type = typeEd25519Key
		block.Bytes, err = x509.MarshalPKCS8PrivateKey(key)
	case *ecdsa.PrivateKey:
		block.Type = typeECKey
		block.Bytes, err = x509.MarshalECPrivateKey(key)
	case *rsa.PrivateKey:
		block.Type = typeRSAKey
		block.Bytes = x509.MarshalPKCS1PrivateKey(key)
	default:
		return nil, fmt.Errorf("encoding private key: unsupported kind %T", key)
	}

	if err != nil {
		return nil, fmt.Errorf("encoding private key: %w", err)
	}

	return pem.EncodeToMemory(&block), nil
}

// EncodePublicKey is the PKIX PEM text of a key's public half.
func EncodePublicKey(key crypto.Signer) (PEM, error) {
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("encoding public key: %w", err)
	}

	return pem.EncodeToMemory(&pem.Block{Type: typePublicKey, Bytes: der}), nil
}

// EncodeCertificate is the PEM text of a certificate.
func EncodeCertificate(cert *x509.Certificate) PEM {
	return pem.EncodeToMemory(&pem.Block{Type: typeCertificate, Bytes: cert.Raw})
}

// Fingerprint is the SPKI fingerprint of a certificate as clients pin it:
// base64 of the SHA-256 of its subject public key info.
func Fingerprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)

	return base64.StdEncoding.EncodeToString(sum[:])
}
