package secrets

import (
	"context"
	"net/netip"

	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resources/k8s"
	"github.com/basalt-os/basalt/internal/resources/kubeaccess"
	"github.com/basalt-os/basalt/internal/resources/network"
	resources "github.com/basalt-os/basalt/internal/resources/secrets"
)

// ownAddresses are the node's addresses without those of pods and services.
// Addresses that the node had once stay in, so that certificates do not change
// when a link goes down.
const ownAddresses = network.NodeAddressAccumulativeID + "-" + network.FilterNoKubernetesID

// identity is by which names and addresses a node is known.
type identity struct {
	host      network.HostnameStatus
	addresses []netip.Addr
}

var identityInputs = []reconcile.Input{
	reconcile.In[network.HostnameStatus]().WithID(network.HostnameID),
	reconcile.In[network.NodeAddress]().WithID(ownAddresses),
}

// readIdentity returns nil while the node has no name or no address.
func readIdentity(ctx context.Context, rt *reconcile.Runtime) (*identity, error) {
	host, err := derive.Find[network.HostnameStatus](ctx, rt, network.HostnameID)
	if err != nil || host == nil {
		return nil, err
	}

	addresses, err := derive.Find[network.NodeAddress](ctx, rt, ownAddresses)
	if err != nil || addresses == nil || len(addresses.Spec.Addresses) == 0 {
		return nil, err
	}

	out := &identity{host: host.Spec}
	for _, p := range addresses.Spec.Addresses {
		out.addresses = append(out.addresses, p.Addr())
	}

	return out, nil
}

// fqdn is the full name of a host.
func fqdn(host network.HostnameStatus) string {
	if host.Domainname == "" {
		return host.Hostname
	}

	return host.Hostname + "." + host.Domainname
}

// APICertSANs collects what the certificate of the OS API is for.
func APICertSANs() reconcile.Controller {
	return derive.One("secrets.APICertSANsController", resources.CertSANAPIID,
		append([]reconcile.Input{
			reconcile.In[resources.OSRoot]().WithID(resources.OSRootID),
			derive.In[kubeaccess.Config](kubeaccess.ConfigID),
		}, identityInputs...),
		func(ctx context.Context, rt *reconcile.Runtime, _ resources.CertSAN) (resources.CertSAN, error) {
			root, err := derive.Find[resources.OSRoot](ctx, rt, resources.OSRootID)
			if err != nil {
				return resources.CertSAN{}, err
			}

			node, err := readIdentity(ctx, rt)
			if err != nil {
				return resources.CertSAN{}, err
			}

			if root == nil || node == nil {
				return derive.None[resources.CertSAN]()
			}

			access, err := derive.Find[kubeaccess.Config](ctx, rt, kubeaccess.ConfigID)
			if err != nil {
				return resources.CertSAN{}, err
			}

			sans := apiSANs(root.Spec, *node)
			if access != nil && access.Spec.Enabled {
				sans.DNSNames = sortedNames(append(sans.DNSNames, kubeaccess.ServiceNames()...))
			}

			return sans, nil
		})
}

func apiSANs(root resources.OSRoot, node identity) resources.CertSAN {
	return resources.CertSAN{
		IPs:      sortedAddresses(append(append(loopbackAddresses(), node.addresses...), root.CertSANIPs...)),
		DNSNames: sortedNames(append([]string{"localhost", node.host.Hostname, fqdn(node.host)}, root.CertSANDNSNames...)),
		FQDN:     fqdn(node.host),
	}
}

// KubernetesCertSANs collects what the certificate of the Kubernetes API is
// for.
func KubernetesCertSANs() reconcile.Controller {
	return derive.One("secrets.KubernetesCertSANsController", resources.CertSANKubernetesID,
		append([]reconcile.Input{
			reconcile.In[resources.KubernetesRoot]().WithID(resources.KubernetesRootID),
			reconcile.In[k8s.Nodename]().WithID(k8s.NodenameID),
		}, identityInputs...),
		func(ctx context.Context, rt *reconcile.Runtime, _ resources.CertSAN) (resources.CertSAN, error) {
			root, err := derive.Find[resources.KubernetesRoot](ctx, rt, resources.KubernetesRootID)
			if err != nil {
				return resources.CertSAN{}, err
			}

			node, err := readIdentity(ctx, rt)
			if err != nil {
				return resources.CertSAN{}, err
			}

			nodename, err := derive.Find[k8s.Nodename](ctx, rt, k8s.NodenameID)
			if err != nil {
				return resources.CertSAN{}, err
			}

			if root == nil || node == nil || nodename == nil {
				return derive.None[resources.CertSAN]()
			}

			return kubernetesSANs(root.Spec, *node, nodename.Spec.Nodename), nil
		})
}

func kubernetesSANs(root resources.KubernetesRoot, node identity, nodename string) resources.CertSAN {
	ips, names := splitNames(append([]string{root.Endpoint.Hostname()}, root.CertSANs...))

	ips = append(ips, loopbackAddresses()...)
	ips = append(ips, node.addresses...)
	ips = append(ips, root.APIServerIPs...)

	names = append(names,
		"localhost", node.host.Hostname, fqdn(node.host), nodename,
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc."+root.DNSDomain,
	)

	return resources.CertSAN{IPs: sortedAddresses(ips), DNSNames: sortedNames(names), FQDN: fqdn(node.host)}
}

func loopbackAddresses() []netip.Addr {
	return []netip.Addr{netip.MustParseAddr(loopback), netip.IPv6Loopback()}
}
