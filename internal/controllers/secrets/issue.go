package secrets

import (
	"crypto/x509"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/basalt-os/basalt/pkg/secrets"
)

// Lifetimes of certificates, and of those that are handed to people.
const (
	osCertificateTTL         = 24 * time.Hour
	kubernetesCertificateTTL = 365 * 24 * time.Hour
)

// retryDelay is how long a renewal waits at least: a certificate from an
// authority that is about to end is due at once and always.
const retryDelay = time.Minute

// usage is which end of a connection a certificate is for.
type usage uint8

const (
	forServer usage = iota
	forClient
	forPeer
)

// issuer keeps certificates of one authority fresh.
type issuer struct {
	ca  *secrets.CA
	now time.Time
	// next is when the first of the certificates seen is due for renewal.
	next time.Time
}

func newIssuer(pair secrets.KeyPair, now time.Time) (*issuer, error) {
	ca, err := secrets.LoadCA(pair)
	if err != nil {
		return nil, err
	}

	return &issuer{ca: ca, now: now}, nil
}

// ensure returns current when it is what was asked for and not due, and a new
// pair otherwise.
func (i *issuer) ensure(current secrets.KeyPair, use usage, request secrets.Request) (secrets.KeyPair, error) {
	if due, ok := i.check(current, request); ok {
		i.note(due)

		return current, nil
	}

	var (
		pair secrets.KeyPair
		err  error
	)

	switch use {
	case forServer:
		pair, err = i.ca.IssueServer(request)
	case forClient:
		pair, err = i.ca.IssueClient(request)
	case forPeer:
		pair, err = i.ca.IssuePeer(request)
	}

	if err != nil {
		return secrets.KeyPair{}, fmt.Errorf("issuing certificate %q: %w", request.CommonName, err)
	}

	cert, err := pair.Certificate()
	if err != nil {
		return secrets.KeyPair{}, fmt.Errorf("reading issued certificate %q: %w", request.CommonName, err)
	}

	i.note(renewal(cert))

	return pair, nil
}

func (i *issuer) note(due time.Time) {
	if i.next.IsZero() || due.Before(i.next) {
		i.next = due
	}
}

// wait is how long until a certificate is due.
func (i *issuer) wait() time.Duration { return max(i.next.Sub(i.now), retryDelay) }

// check says when the certificate is due, and whether it can stay until then.
func (i *issuer) check(pair secrets.KeyPair, request secrets.Request) (time.Time, bool) {
	if pair.IsZero() {
		return time.Time{}, false
	}

	cert, err := pair.Certificate()
	if err != nil || cert.CheckSignatureFrom(i.ca.Certificate()) != nil || !matches(cert, request) {
		return time.Time{}, false
	}

	due := renewal(cert)

	return due, i.now.Before(due)
}

// renewal is the middle of a certificate's life.
func renewal(cert *x509.Certificate) time.Time {
	return cert.NotBefore.Add(cert.NotAfter.Sub(cert.NotBefore) / 2)
}

// matches reports whether the certificate names exactly what is requested.
func matches(cert *x509.Certificate, request secrets.Request) bool {
	ips := make([]netip.Addr, 0, len(cert.IPAddresses))

	for _, ip := range cert.IPAddresses {
		if a, ok := netip.AddrFromSlice(ip); ok {
			ips = append(ips, a.Unmap())
		}
	}

	return cert.Subject.CommonName == request.CommonName &&
		sameSet(cert.Subject.Organization, request.Organizations) &&
		sameSet(cert.DNSNames, request.DNSNames) &&
		slices.Equal(sortedAddresses(ips), sortedAddresses(request.IPs))
}

func sameSet(a, b []string) bool { return slices.Equal(sortedNames(a), sortedNames(b)) }

// sortedNames is the list in order, without duplicates and empty names.
func sortedNames(names []string) []string {
	out := slices.DeleteFunc(slices.Clone(names), func(s string) bool { return s == "" })
	slices.Sort(out)

	return slices.Compact(out)
}

// sortedAddresses is the list in order, without duplicates.
func sortedAddresses(addresses []netip.Addr) []netip.Addr {
	out := slices.Clone(addresses)
	slices.SortFunc(out, netip.Addr.Compare)

	return slices.Compact(out)
}
