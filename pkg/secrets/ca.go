package secrets

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // RFC 5280 subject key identifier, not a security property
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"time"
)

// Lifetimes of certificates that outlive a process.
const (
	DefaultCATTL     = 10 * 365 * 24 * time.Hour
	DefaultClientTTL = 365 * 24 * time.Hour
	DefaultCertTTL   = 24 * time.Hour
	backdate         = 10 * time.Second // tolerance for a peer whose clock is behind
)

// Algorithm is a kind of key.
type Algorithm uint8

// Kinds of key.
const (
	Ed25519 Algorithm = iota
	ECDSAP256
	RSA4096
)

// NewKey makes a private key.
func NewKey(algorithm Algorithm) (crypto.Signer, error) {
	switch algorithm {
	case Ed25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)

		return key, err
	case ECDSAP256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case RSA4096:
		return rsa.GenerateKey(rand.Reader, 4096)
	default:
		return nil, fmt.Errorf("generating key: unknown algorithm %d", algorithm)
	}
}

// CAOptions say what a new certificate authority is. The zero value is a
// nameless Ed25519 authority that is valid for [DefaultCATTL] from now.
type CAOptions struct {
	Algorithm    Algorithm
	Organization string
	CommonName   string
	NotBefore    time.Time     // zero: now
	TTL          time.Duration // zero: DefaultCATTL
	// IPs and DNSNames are put into the CA certificate itself, for a
	// self-signed server identity.
	IPs      []netip.Addr
	DNSNames []string
}

// CA is a certificate authority: a certificate with its key. Certificates that
// it issues never outlive it.
type CA struct {
	cert *x509.Certificate
	key  crypto.Signer
	pair KeyPair
}

// NewCA makes a self-signed certificate authority.
func NewCA(opts CAOptions) (*CA, error) {
	key, err := NewKey(opts.Algorithm)
	if err != nil {
		return nil, err
	}

	template, err := newTemplate(key.Public(), opts.NotBefore, opts.TTL, DefaultCATTL)
	if err != nil {
		return nil, err
	}

	template.Subject = pkix.Name{CommonName: opts.CommonName}
	if opts.Organization != "" {
		template.Subject.Organization = []string{opts.Organization}
	}

	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	template.IPAddresses = netIPs(opts.IPs)
	template.DNSNames = opts.DNSNames

	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("signing CA certificate: %w", err)
	}

	keyText, err := EncodeKey(key)
	if err != nil {
		return nil, err
	}

	return LoadCA(KeyPair{Cert: pem.EncodeToMemory(&pem.Block{Type: typeCertificate, Bytes: der}), Key: keyText})
}

// LoadCA is the authority of a stored certificate and key. It is an error when
// they do not belong together or the certificate is not an authority's.
func LoadCA(pair KeyPair) (*CA, error) {
	cert, err := pair.Certificate()
	if err != nil {
		return nil, fmt.Errorf("loading CA: %w", err)
	}

	if !cert.IsCA {
		return nil, errors.New("loading CA: the certificate is not of an authority")
	}

	key, err := ParseKey(pair.Key)
	if err != nil {
		return nil, fmt.Errorf("loading CA: %w", err)
	}

	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(cert.PublicKey) {
		return nil, errors.New("loading CA: the key is not the certificate's")
	}

	return &CA{cert: cert, key: key, pair: pair}, nil
}

// KeyPair is the authority's certificate and key.
func (ca *CA) KeyPair() KeyPair { return ca.pair }

// Certificate is the authority's certificate; the caller must not change it.
func (ca *CA) Certificate() *x509.Certificate { return ca.cert }

// CertPEM is the authority's certificate as PEM text.
func (ca *CA) CertPEM() PEM { return ca.pair.Cert }

// Request says what a certificate is for. Peers check the names and addresses
// of servers, and the common name and organizations (roles, groups) of clients.
type Request struct {
	CommonName    string
	Organizations []string
	DNSNames      []string
	IPs           []netip.Addr
	Algorithm     Algorithm     // of the new key
	NotBefore     time.Time     // zero: now
	TTL           time.Duration // zero: DefaultCertTTL
}

// IssueServer makes a key and a certificate for a server.
func (ca *CA) IssueServer(req Request) (KeyPair, error) {
	return ca.issue(req, x509.ExtKeyUsageServerAuth)
}

// IssueClient makes a key and a certificate for a client.
func (ca *CA) IssueClient(req Request) (KeyPair, error) {
	return ca.issue(req, x509.ExtKeyUsageClientAuth)
}

// IssuePeer makes a key and a certificate that serve on both ends of a
// connection, as members of etcd do.
func (ca *CA) IssuePeer(req Request) (KeyPair, error) {
	return ca.issue(req, x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth)
}

func (ca *CA) issue(req Request, usages ...x509.ExtKeyUsage) (KeyPair, error) {
	key, err := NewKey(req.Algorithm)
	if err != nil {
		return KeyPair{}, err
	}

	cert, err := ca.sign(key.Public(), req, usages)
	if err != nil {
		return KeyPair{}, err
	}

	keyText, err := EncodeKey(key)
	if err != nil {
		return KeyPair{}, err
	}

	return KeyPair{Cert: cert, Key: keyText}, nil
}

// sign issues a certificate of a public key.
func (ca *CA) sign(public crypto.PublicKey, req Request, usages []x509.ExtKeyUsage) (PEM, error) {
	template, err := newTemplate(public, req.NotBefore, req.TTL, DefaultCertTTL)
	if err != nil {
		return nil, err
	}

	template.Subject = pkix.Name{CommonName: req.CommonName, Organization: req.Organizations}
	template.DNSNames = req.DNSNames
	template.IPAddresses = netIPs(req.IPs)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = usages
	template.BasicConstraintsValid = true

	if _, ok := public.(*rsa.PublicKey); ok {
		template.KeyUsage |= x509.KeyUsageKeyEncipherment
	}

	if template.NotAfter.After(ca.cert.NotAfter) {
		template.NotAfter = ca.cert.NotAfter
	}

	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, public, ca.key)
	if err != nil {
		return nil, fmt.Errorf("signing certificate of %q: %w", req.CommonName, err)
	}

	return pem.EncodeToMemory(&pem.Block{Type: typeCertificate, Bytes: der}), nil
}

// newTemplate has what all certificates share: serial, times and key id.
func newTemplate(public crypto.PublicKey, notBefore time.Time, ttl, defaultTTL time.Duration) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("generating serial number: %w", err)
	}

	if notBefore.IsZero() {
		notBefore = time.Now()
	}

	if ttl == 0 {
		ttl = defaultTTL
	}

	keyID, err := subjectKeyID(public)
	if err != nil {
		return nil, err
	}

	return &x509.Certificate{
		SerialNumber: serial,
		NotBefore:    notBefore.Add(-backdate).UTC(),
		NotAfter:     notBefore.Add(ttl).UTC(),
		SubjectKeyId: keyID,
	}, nil
}

// subjectKeyID is the SHA-1 of the subject public key (RFC 5280, 4.2.1.2).
func subjectKeyID(public crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("encoding public key: %w", err)
	}

	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		PublicKey asn1.BitString
	}

	if _, err := asn1.Unmarshal(der, &info); err != nil {
		return nil, fmt.Errorf("decoding public key: %w", err)
	}

	sum := sha1.Sum(info.PublicKey.Bytes) //nolint:gosec // see the import

	return sum[:], nil
}

func netIPs(addrs []netip.Addr) []net.IP {
	var ips []net.IP
	for _, addr := range addrs {
		ips = append(ips, addr.Unmap().AsSlice())
	}

	return ips
}
