package secrets

import (
	"context"
	"fmt"
	"time"

	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	resources "github.com/basalt-os/basalt/internal/resources/secrets"
	"github.com/basalt-os/basalt/pkg/secrets"
)

// Etcd keeps the certificates of the etcd member and of its clients.
func Etcd(now func() time.Time) reconcile.Controller {
	return derive.One("secrets.EtcdController", resources.EtcdID,
		append([]reconcile.Input{reconcile.In[resources.EtcdRoot]().WithID(resources.EtcdRootID), timeInput}, identityInputs...),
		func(ctx context.Context, rt *reconcile.Runtime, current resources.Etcd) (resources.Etcd, error) {
			root, err := derive.Find[resources.EtcdRoot](ctx, rt, resources.EtcdRootID)
			if err != nil {
				return current, err
			}

			node, err := readIdentity(ctx, rt)
			if err != nil {
				return current, err
			}

			synced, err := timeSynced(ctx, rt)
			if err != nil {
				return current, err
			}

			if root == nil || node == nil || !synced {
				return derive.None[resources.Etcd]()
			}

			issuer, err := newIssuer(fromResource(root.Spec.EtcdCA), now())
			if err != nil {
				return current, fmt.Errorf("loading the authority of etcd: %w", err)
			}

			next, err := etcdCertificates(issuer, current, *node)
			if err != nil {
				return current, err
			}

			rt.RequeueAfter(issuer.wait())

			return next, nil
		})
}

func etcdCertificates(issuer *issuer, current resources.Etcd, node identity) (resources.Etcd, error) {
	member := secrets.Request{
		CommonName: fqdn(node.host),
		DNSNames:   sortedNames([]string{"localhost", node.host.Hostname, fqdn(node.host)}),
		IPs:        sortedAddresses(append(loopbackAddresses(), node.addresses...)),
		Algorithm:  secrets.ECDSAP256,
		NotBefore:  issuer.now,
		TTL:        kubernetesCertificateTTL,
	}

	client := func(name string) secrets.Request {
		return secrets.Request{
			CommonName: name, Algorithm: secrets.ECDSAP256, NotBefore: issuer.now, TTL: kubernetesCertificateTTL,
		}
	}

	var (
		next resources.Etcd
		err  error
	)

	// etcd is a client of itself too, so both of its certificates serve on
	// either end.
	if next.Etcd, err = ensure(issuer, current.Etcd, forPeer, member); err != nil {
		return current, err
	}

	if next.EtcdPeer, err = ensure(issuer, current.EtcdPeer, forPeer, member); err != nil {
		return current, err
	}

	if next.EtcdAdmin, err = ensure(issuer, current.EtcdAdmin, forClient, client("basalt:admin")); err != nil {
		return current, err
	}

	next.EtcdAPIServer, err = ensure(issuer, current.EtcdAPIServer, forClient, client("kube-apiserver"))

	return next, err
}
