package secrets

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// NewCSR makes a certificate signing request of a key. Of the request, the
// names, addresses, common name and organizations count.
func NewCSR(key crypto.Signer, req Request) (PEM, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject:     pkix.Name{CommonName: req.CommonName, Organization: req.Organizations},
		DNSNames:    req.DNSNames,
		IPAddresses: netIPs(req.IPs),
	}, key)
	if err != nil {
		return nil, fmt.Errorf("signing certificate request: %w", err)
	}

	return pem.EncodeToMemory(&pem.Block{Type: typeRequest, Bytes: der}), nil
}

// ParseCSR parses a certificate signing request and checks that its sender
// holds the key.
func ParseCSR(text []byte) (*x509.CertificateRequest, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != typeRequest {
		return nil, errors.New("parsing certificate request: no CERTIFICATE REQUEST block in PEM text")
	}

	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("parsing certificate request: %w", err)
	}

	if err := csr.CheckSignature(); err != nil {
		return nil, fmt.Errorf("checking certificate request: %w", err)
	}

	return csr, nil
}

// SignOptions say what an authority grants to a signing request.
type SignOptions struct {
	Usages    []x509.ExtKeyUsage // none: server and client authentication
	NotBefore time.Time          // zero: now
	TTL       time.Duration      // zero: DefaultCertTTL
	// KeepOrganizations grants the organizations that the request asks for.
	// They are roles and groups: whoever sets this must have authorized them.
	KeepOrganizations bool
}

// SignCSR checks a request and issues its certificate.
func (ca *CA) SignCSR(text []byte, opts SignOptions) (PEM, error) {
	csr, err := ParseCSR(text)
	if err != nil {
		return nil, err
	}

	req := Request{
		CommonName: csr.Subject.CommonName,
		DNSNames:   csr.DNSNames,
		NotBefore:  opts.NotBefore,
		TTL:        opts.TTL,
	}

	if opts.KeepOrganizations {
		req.Organizations = csr.Subject.Organization
	}

	for _, ip := range csr.IPAddresses {
		if addr, ok := netip.AddrFromSlice(ip); ok {
			req.IPs = append(req.IPs, addr.Unmap())
		}
	}

	usages := opts.Usages
	if len(usages) == 0 {
		usages = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	}

	return ca.sign(csr.PublicKey, req, usages)
}
