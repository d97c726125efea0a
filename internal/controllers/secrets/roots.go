package secrets

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resources/pki"
	resources "github.com/basalt-os/basalt/internal/resources/secrets"
	"github.com/basalt-os/basalt/pkg/machineconfig"
	"github.com/basalt-os/basalt/pkg/secrets"
)

const loopback = "127.0.0.1"

// OSRoot takes the root of trust of the OS API from the configuration.
func OSRoot(reader *configured.Reader) reconcile.Controller {
	return configured.One(reader, "secrets.OSRootController", resources.OSRootID, osRoot)
}

func osRoot(cfg *machineconfig.Config) (resources.OSRoot, error) {
	machine := cfg.Machine()
	root := resources.OSRoot{Token: machine.Token, AcceptedCAs: accepted(machine.CA, machine.AcceptedCAs)}

	if len(machine.CA.Key) > 0 {
		root.IssuingCA = toResource(machine.CA)
	}

	root.CertSANIPs, root.CertSANDNSNames = splitNames(machine.CertSANs)

	return root, nil
}

// EtcdRoot takes etcd's authority from the configuration of a control plane.
func EtcdRoot(reader *configured.Reader) reconcile.Controller {
	return configured.One(reader, "secrets.EtcdRootController", resources.EtcdRootID,
		func(cfg *machineconfig.Config) (resources.EtcdRoot, error) {
			ca := cfg.Cluster().Etcd.CA
			if !cfg.Machine().IsControlPlane() || ca.IsZero() {
				return derive.None[resources.EtcdRoot]()
			}

			return resources.EtcdRoot{EtcdCA: toResource(ca)}, nil
		})
}

// KubernetesRoot takes the root of trust of Kubernetes from the configuration
// of a control plane.
func KubernetesRoot(reader *configured.Reader) reconcile.Controller {
	return configured.One(reader, "secrets.KubernetesRootController", resources.KubernetesRootID, kubernetesRoot)
}

func kubernetesRoot(cfg *machineconfig.Config) (resources.KubernetesRoot, error) {
	cluster := cfg.Cluster()

	if !cfg.Machine().IsControlPlane() || len(cluster.CA.Key) == 0 {
		return derive.None[resources.KubernetesRoot]()
	}

	account := cluster.ServiceAccount
	root := resources.KubernetesRoot{
		Name:                  cluster.Name,
		Endpoint:              &cluster.Endpoint.URL,
		LocalEndpoint:         localEndpoint(cfg),
		CertSANs:              cluster.APIServer.CertSANs,
		DNSDomain:             cluster.Network.DNSDomain,
		IssuingCA:             toResource(cluster.CA),
		AcceptedCAs:           accepted(cluster.CA, cluster.AcceptedCAs),
		AggregatorCA:          toResource(cluster.AggregatorCA),
		AcceptedAggregatorCAs: accepted(cluster.AggregatorCA, nil),
		ServiceAccount:        &pki.Key{Key: pki.PEM(account.Key)},
		IssuerURL:             account.IssuerURL,
		AcceptedIssuers:       account.AcceptedIssuers,
		APIAudiences:          account.Audiences,
		EtcdEncryptionConfig:  cluster.Encryption,
	}

	for _, key := range account.AcceptedPublicKeys {
		root.ServiceAccountAcceptedKeys = append(root.ServiceAccountAcceptedKeys, &pki.Key{Key: pki.PEM(key)})
	}

	for _, subnet := range cluster.Network.ServiceSubnets {
		root.APIServerIPs = append(root.APIServerIPs, subnet.Masked().Addr().Next())
	}

	if root.IssuerURL == "" {
		root.IssuerURL = cluster.Endpoint.String()
	}

	if len(root.APIAudiences) == 0 {
		root.APIAudiences = []string{root.IssuerURL}
	}

	var err error

	root.BootstrapTokenID, root.BootstrapTokenSecret, err = splitToken(cluster.BootstrapToken)

	return root, err
}

// Kubelet takes what the kubelet needs to join from the configuration.
func Kubelet(reader *configured.Reader) reconcile.Controller {
	return configured.One(reader, "secrets.KubeletController", resources.KubeletID, kubelet)
}

func kubelet(cfg *machineconfig.Config) (resources.Kubelet, error) {
	cluster := cfg.Cluster()
	if cluster.Endpoint.Host == "" {
		return derive.None[resources.Kubelet]()
	}

	out := resources.Kubelet{Endpoint: &cluster.Endpoint.URL, AcceptedCAs: accepted(cluster.CA, cluster.AcceptedCAs)}

	if prism := cfg.Machine().KubePrism; prism.Enabled {
		out.Endpoint, out.EndpointTLSServerName = loopbackURL(prism.Port), prism.TLSServerName
	}

	var err error

	out.BootstrapTokenID, out.BootstrapTokenSecret, err = splitToken(cluster.BootstrapToken)

	return out, err
}

// localEndpoint is where the node's own components find the Kubernetes API:
// at the node's load balancer, or else at the node's own API server.
func localEndpoint(cfg *machineconfig.Config) *url.URL {
	if prism := cfg.Machine().KubePrism; prism.Enabled {
		return loopbackURL(prism.Port)
	}

	return loopbackURL(cfg.Cluster().APIServer.Port)
}

func loopbackURL(port int) *url.URL {
	return &url.URL{Scheme: "https", Host: loopback + ":" + strconv.Itoa(port)}
}

// accepted are the authorities to trust: the issuing one and the others.
func accepted(issuing secrets.KeyPair, others []secrets.PEM) []*pki.Certificate {
	var out []*pki.Certificate

	for _, text := range append([]secrets.PEM{issuing.Cert}, others...) {
		if len(text) > 0 {
			out = append(out, &pki.Certificate{Crt: pki.PEM(text)})
		}
	}

	return out
}

// splitToken splits a bootstrap token into its public and its secret half.
func splitToken(token string) (id, secret string, err error) {
	if !secrets.ValidToken(token) {
		return "", "", fmt.Errorf("reading the cluster token: it has not the form abcdef.0123456789abcdef")
	}

	id, secret, _ = strings.Cut(token, ".")

	return id, secret, nil
}

// splitNames separates addresses from DNS names.
func splitNames(names []string) (ips []netip.Addr, dns []string) {
	for _, name := range names {
		if ip, err := netip.ParseAddr(name); err == nil {
			ips = append(ips, ip)
		} else {
			dns = append(dns, name)
		}
	}

	return ips, dns
}

func toResource(pair secrets.KeyPair) *pki.CertificateAndKey {
	return &pki.CertificateAndKey{Crt: pki.PEM(pair.Cert), Key: pki.PEM(pair.Key)}
}

func fromResource(pair *pki.CertificateAndKey) secrets.KeyPair {
	if pair == nil {
		return secrets.KeyPair{}
	}

	return secrets.KeyPair{Cert: secrets.PEM(pair.Crt), Key: secrets.PEM(pair.Key)}
}

func bundleOf(certificates []*pki.Certificate) []byte {
	texts := make([][]byte, len(certificates))
	for i, c := range certificates {
		texts[i] = c.Crt
	}

	return bundle(texts...)
}
