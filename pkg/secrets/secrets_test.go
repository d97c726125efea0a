package secrets_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/pkg/secrets"
)

// bundle is made once: its RSA key takes seconds.
var bundle = sync.OnceValues(func() (*secrets.Bundle, error) { return secrets.NewBundle(secrets.Options{}) })

func newBundle(t *testing.T) *secrets.Bundle {
	t.Helper()

	b, err := bundle()
	if err != nil {
		t.Fatal(err)
	}

	return b
}

func TestBundleRoundTrip(t *testing.T) {
	t.Parallel()

	b := newBundle(t)

	data, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}

	got, err := secrets.Load(data)
	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(b, got); diff != "" {
		t.Errorf("round trip (-want +got):\n%s", diff)
	}

	var keys []string

	for line := range strings.Lines(string(data)) {
		name, _, _ := strings.Cut(line, ":")
		keys = append(keys, strings.TrimRight(name, "\n"))
	}

	want := []string{
		"cluster", "    id", "    secret",
		"secrets", "    bootstraptoken", "    secretboxencryptionsecret",
		"trustdinfo", "    token",
		"certs", "    etcd", "        crt", "        key", "    k8s", "        crt", "        key",
		"    k8saggregator", "        crt", "        key", "    k8sserviceaccount", "        key",
		"    os", "        crt", "        key",
	}
	if diff := cmp.Diff(want, keys); diff != "" {
		t.Errorf("keys of the file (-want +got):\n%s", diff)
	}
}

func TestBundleKeys(t *testing.T) {
	t.Parallel()

	b := newBundle(t)

	for name, tt := range map[string]struct {
		key  []byte
		kind func(any) bool
	}{
		"os":              {b.Certs.OS.Key, is[ed25519.PrivateKey]},
		"k8s":             {b.Certs.K8s.Key, is[*ecdsa.PrivateKey]},
		"etcd":            {b.Certs.Etcd.Key, is[*ecdsa.PrivateKey]},
		"aggregator":      {b.Certs.K8sAggregator.Key, is[*ecdsa.PrivateKey]},
		"service account": {b.Certs.K8sServiceAccount.Key, is[*rsa.PrivateKey]},
	} {
		key, err := secrets.ParseKey(tt.key)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !tt.kind(key) {
			t.Errorf("%s: the key is a %T", name, key)
		}
	}

	if !secrets.ValidToken(b.TrustdInfo.Token) || !secrets.ValidToken(b.Secrets.BootstrapToken) {
		t.Error("tokens do not have their form")
	}
}

func is[T any](v any) bool { _, ok := v.(T); return ok }

func TestBundleReportsAllFaults(t *testing.T) {
	t.Parallel()

	b := *newBundle(t)
	b.Cluster.ID = ""
	b.TrustdInfo.Token = "short"
	b.Certs.Etcd.Key = b.Certs.K8s.Key

	data, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}

	_, err = secrets.Load(data)
	for _, want := range []string{"cluster.id is missing", "trustdinfo.token: expected the form", "certs.etcd: loading CA: the key is not the certificate's"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not say %q", err, want)
		}
	}
}

func TestKubernetesPKI(t *testing.T) {
	t.Parallel()

	b := newBundle(t)
	pki := fstest.MapFS{
		"ca.crt":             {Data: b.Certs.K8s.Cert},
		"ca.key":             {Data: b.Certs.K8s.Key},
		"etcd/ca.crt":        {Data: b.Certs.Etcd.Cert},
		"etcd/ca.key":        {Data: b.Certs.Etcd.Key},
		"front-proxy-ca.crt": {Data: b.Certs.K8sAggregator.Cert},
		"front-proxy-ca.key": {Data: b.Certs.K8sAggregator.Key},
		"sa.key":             {Data: b.Certs.K8sServiceAccount.Key},
	}

	got, err := secrets.NewBundleFromKubernetesPKI(pki, secrets.Options{BootstrapToken: "abcdef.0123456789abcdef"})
	if err != nil {
		t.Fatal(err)
	}

	want := b.Certs
	want.OS = got.Certs.OS

	if diff := cmp.Diff(want, got.Certs); diff != "" {
		t.Errorf("certs (-want +got):\n%s", diff)
	}

	if got.Secrets.BootstrapToken != "abcdef.0123456789abcdef" {
		t.Error("the given bootstrap token is not used")
	}

	if err := got.Validate(); err != nil {
		t.Error(err)
	}

	delete(pki, "ca.key")
	pki["sa.key"] = &fstest.MapFile{Data: []byte("no key")}

	_, err = secrets.NewBundleFromKubernetesPKI(pki, secrets.Options{})
	for _, want := range []string{"ca.key", "sa.key"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not name %s", err, want)
		}
	}
}

func TestIssue(t *testing.T) {
	t.Parallel()

	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

	for name, algorithm := range map[string]secrets.Algorithm{"ed25519": secrets.Ed25519, "ecdsa": secrets.ECDSAP256} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			ca, err := secrets.NewCA(secrets.CAOptions{Algorithm: algorithm, Organization: "test", NotBefore: start, TTL: 2 * time.Hour})
			if err != nil {
				t.Fatal(err)
			}

			req := secrets.Request{
				CommonName: "node", Organizations: []string{"os:admin"}, Algorithm: algorithm,
				DNSNames: []string{"node.example"}, IPs: []netip.Addr{netip.MustParseAddr("10.5.0.2")},
				NotBefore: start, TTL: time.Hour,
			}

			for usage, issue := range map[x509.ExtKeyUsage]func(secrets.Request) (secrets.KeyPair, error){
				x509.ExtKeyUsageServerAuth: ca.IssueServer,
				x509.ExtKeyUsageClientAuth: ca.IssueClient,
			} {
				pair, err := issue(req)
				if err != nil {
					t.Fatal(err)
				}

				if _, err := pair.TLS(); err != nil {
					t.Error(err)
				}

				checkLeaf(t, ca, pair.Cert, usage, start.Add(time.Hour))
			}

			req.TTL = 24 * time.Hour

			pair, err := ca.IssuePeer(req)
			if err != nil {
				t.Fatal(err)
			}

			checkLeaf(t, ca, pair.Cert, x509.ExtKeyUsageServerAuth, ca.Certificate().NotAfter)
			checkLeaf(t, ca, pair.Cert, x509.ExtKeyUsageClientAuth, ca.Certificate().NotAfter)
		})
	}
}

// checkLeaf verifies a certificate for one usage, and that no other passes
// when it must not.
func checkLeaf(t *testing.T, ca *secrets.CA, text secrets.PEM, usage x509.ExtKeyUsage, until time.Time) {
	t.Helper()

	leaf, err := secrets.ParseCertificate(text)
	if err != nil {
		t.Fatal(err)
	}

	roots, err := secrets.Pool(ca.CertPEM())
	if err != nil {
		t.Fatal(err)
	}

	opts := x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{usage}, CurrentTime: leaf.NotBefore.Add(time.Minute)}
	if _, err := leaf.Verify(opts); err != nil {
		t.Error(err)
	}

	if len(leaf.ExtKeyUsage) == 1 {
		opts.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth + x509.ExtKeyUsageClientAuth - usage}
		if _, err := leaf.Verify(opts); err == nil {
			t.Error("the certificate passes for a usage that was not asked for")
		}
	}

	if !leaf.NotAfter.Equal(until) {
		t.Errorf("valid until %s, want %s", leaf.NotAfter, until)
	}

	if diff := cmp.Diff([]string{"node.example"}, leaf.DNSNames); diff != "" {
		t.Error(diff)
	}

	if len(leaf.IPAddresses) != 1 || !leaf.IPAddresses[0].Equal(net.IPv4(10, 5, 0, 2)) {
		t.Errorf("addresses are %v", leaf.IPAddresses)
	}
}

func TestSignCSR(t *testing.T) {
	t.Parallel()

	ca, err := secrets.NewCA(secrets.CAOptions{Organization: "test"})
	if err != nil {
		t.Fatal(err)
	}

	key, err := secrets.NewKey(secrets.Ed25519)
	if err != nil {
		t.Fatal(err)
	}

	csr, err := secrets.NewCSR(key, secrets.Request{
		CommonName: "w1", Organizations: []string{"os:admin"},
		DNSNames: []string{"w1"}, IPs: []netip.Addr{netip.MustParseAddr("fd00::1")},
	})
	if err != nil {
		t.Fatal(err)
	}

	for name, tt := range map[string]struct {
		opts secrets.SignOptions
		orgs []string
	}{
		"stripped": {secrets.SignOptions{}, nil},
		"kept":     {secrets.SignOptions{KeepOrganizations: true}, []string{"os:admin"}},
	} {
		text, err := ca.SignCSR(csr, tt.opts)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}

		cert, err := secrets.ParseCertificate(text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}

		if diff := cmp.Diff(tt.orgs, cert.Subject.Organization); diff != "" {
			t.Errorf("%s: organizations (-want +got):\n%s", name, diff)
		}

		if cert.Subject.CommonName != "w1" || len(cert.IPAddresses) != 1 || cert.IsCA {
			t.Errorf("%s: wrong certificate %v %v", name, cert.Subject, cert.IPAddresses)
		}
	}

	tampered := strings.Replace(string(csr), "A", "B", 3)
	if _, err := ca.SignCSR([]byte(tampered), secrets.SignOptions{}); err == nil {
		t.Error("a tampered request is signed")
	}
}

func TestKeyErrorsKeepSecrets(t *testing.T) {
	t.Parallel()

	const body = "c2VjcmV0LXNlY3JldA=="

	_, err := secrets.ParseKey([]byte("-----BEGIN EC PRIVATE KEY-----\n" + body + "\n-----END EC PRIVATE KEY-----\n"))
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("unexpected error %v", err)
	}
}

func TestFingerprint(t *testing.T) {
	t.Parallel()

	ca, err := secrets.NewCA(secrets.CAOptions{})
	if err != nil {
		t.Fatal(err)
	}

	again, err := secrets.ParseCertificate(secrets.EncodeCertificate(ca.Certificate()))
	if err != nil {
		t.Fatal(err)
	}

	other, err := secrets.NewCA(secrets.CAOptions{})
	if err != nil {
		t.Fatal(err)
	}

	fingerprint := secrets.Fingerprint(ca.Certificate())
	if raw, err := base64.StdEncoding.DecodeString(fingerprint); err != nil || len(raw) != sha256.Size {
		t.Errorf("fingerprint %q is not base64 of a SHA-256", fingerprint)
	}

	if secrets.Fingerprint(again) != fingerprint || secrets.Fingerprint(other.Certificate()) == fingerprint {
		t.Error("fingerprints do not tell keys apart")
	}
}

func TestPublicKey(t *testing.T) {
	t.Parallel()

	key, err := secrets.NewKey(secrets.ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}

	text, err := secrets.EncodePublicKey(key)
	if err != nil {
		t.Fatal(err)
	}

	block, _ := pem.Decode(text)
	if block == nil || block.Type != "PUBLIC KEY" {
		t.Fatalf("got %s", text)
	}

	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}

	if !key.(*ecdsa.PrivateKey).PublicKey.Equal(public) {
		t.Error("it is another key")
	}
}
