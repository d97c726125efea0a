package secrets

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/clock"
	"github.com/basalt-os/basalt/internal/resources/config"
	"github.com/basalt-os/basalt/internal/resources/k8s"
	resources "github.com/basalt-os/basalt/internal/resources/secrets"
	"github.com/basalt-os/basalt/pkg/secrets"
)

// roleImpersonator is the role of a gateway that passes on other people's
// calls.
const roleImpersonator = "os:impersonator"

// Signer asks the control plane to sign the certificate of a worker's API.
type Signer interface {
	// Sign sends the request to the first of the addresses that answers, with
	// the join token. It returns the certificate.
	Sign(ctx context.Context, addresses []netip.Addr, token string, accepted []byte, request []byte) (certificate []byte, err error)
}

var apiInputs = append([]reconcile.Input{
	reconcile.In[config.MachineType]().WithID(config.MachineTypeID),
	reconcile.In[resources.OSRoot]().WithID(resources.OSRootID),
	reconcile.In[resources.CertSAN]().WithID(resources.CertSANAPIID),
	reconcile.In[k8s.Endpoint](),
}, timeInput)

var maintenanceInputs = []reconcile.Input{
	reconcile.In[resources.MaintenanceRoot]().WithID(resources.MaintenanceRootID),
	reconcile.In[resources.CertSAN]().WithID(resources.CertSANMaintenanceID),
}

var timeInput = reconcile.In[clock.Status]().WithID(clock.StatusID)

// timeSynced reports whether the clock can be trusted with the dates of
// certificates.
func timeSynced(ctx context.Context, rt *reconcile.Runtime) (bool, error) {
	status, err := derive.Find[clock.Status](ctx, rt, clock.StatusID)

	return status != nil && status.Spec.Synced, err
}

// API keeps the certificates of the OS API. A control plane issues them itself;
// a worker, which has no key of the authority, asks a control plane; a machine
// without a configuration makes its own.
func API(signer Signer, now func() time.Time) reconcile.Controller {
	return derive.One("secrets.APIController", resources.APIID, append(maintenanceInputs, apiInputs...),
		func(ctx context.Context, rt *reconcile.Runtime, current resources.API) (resources.API, error) {
			machine, err := derive.Find[config.MachineType](ctx, rt, config.MachineTypeID)
			if err != nil {
				return current, err
			}

			if machine == nil {
				return apiOfMaintenance(ctx, rt, current, now())
			}

			root, err := derive.Find[resources.OSRoot](ctx, rt, resources.OSRootID)
			if err != nil {
				return current, err
			}

			names, err := derive.Find[resources.CertSAN](ctx, rt, resources.CertSANAPIID)
			if err != nil {
				return current, err
			}

			synced, err := timeSynced(ctx, rt)
			if err != nil {
				return current, err
			}

			if root == nil || names == nil || !synced {
				return keepOrNone(current, current.Server != nil)
			}

			if root.Spec.IssuingCA != nil && machine.Spec.Type.IsControlPlane() {
				return apiOfControlPlane(rt, current, root.Spec, names.Spec, now())
			}

			endpoints, err := resource.List[k8s.Endpoint](ctx, rt)
			if err != nil {
				return current, err
			}

			return apiOfWorker(ctx, rt, current, root.Spec, names.Spec, addressesOf(endpoints), signer, now())
		})
}

// keepOrNone keeps what there is while inputs are missing for a moment.
func keepOrNone[T any](current T, exists bool) (T, error) {
	if exists {
		return current, nil
	}

	return derive.None[T]()
}

func addressesOf(endpoints []*resource.Resource[k8s.Endpoint]) []netip.Addr {
	var out []netip.Addr
	for _, e := range endpoints {
		out = append(out, e.Spec.Addresses...)
	}

	return sortedAddresses(out)
}

func apiRequest(names resources.CertSAN, now time.Time) secrets.Request {
	return secrets.Request{
		CommonName: names.FQDN, DNSNames: names.DNSNames, IPs: names.IPs, NotBefore: now, TTL: osCertificateTTL,
	}
}

func apiOfControlPlane(
	rt *reconcile.Runtime, current resources.API, root resources.OSRoot, names resources.CertSAN, now time.Time,
) (resources.API, error) {
	issuer, err := newIssuer(fromResource(root.IssuingCA), now)
	if err != nil {
		return current, fmt.Errorf("loading the authority of the OS API: %w", err)
	}

	server, err := issuer.ensure(fromResource(current.Server), forServer, apiRequest(names, now))
	if err != nil {
		return current, err
	}

	client, err := issuer.ensure(fromResource(current.Client), forClient, secrets.Request{
		CommonName: names.FQDN, Organizations: []string{roleImpersonator}, NotBefore: now, TTL: osCertificateTTL,
	})
	if err != nil {
		return current, err
	}

	rt.RequeueAfter(issuer.wait())

	return resources.API{AcceptedCAs: root.AcceptedCAs, Server: toResource(server), Client: toResource(client)}, nil
}

func apiOfWorker(
	ctx context.Context, rt *reconcile.Runtime, current resources.API, root resources.OSRoot, names resources.CertSAN,
	addresses []netip.Addr, signer Signer, now time.Time,
) (resources.API, error) {
	request := apiRequest(names, now)
	out := resources.API{AcceptedCAs: root.AcceptedCAs, Server: current.Server}

	if due, ok := signedFor(fromResource(current.Server), request, bundleOf(root.AcceptedCAs), now); ok {
		rt.RequeueAfter(max(due.Sub(now), retryDelay))

		return out, nil
	}

	if len(addresses) == 0 {
		return keepOrNone(out, current.Server != nil)
	}

	key, err := secrets.NewKey(secrets.Ed25519)
	if err != nil {
		return current, fmt.Errorf("making the key of the OS API: %w", err)
	}

	csr, err := secrets.NewCSR(key, request)
	if err != nil {
		return current, fmt.Errorf("making the certificate request of the OS API: %w", err)
	}

	certificate, err := signer.Sign(ctx, addresses, root.Token, bundleOf(root.AcceptedCAs), csr)
	if err != nil {
		return current, fmt.Errorf("asking the control plane for a certificate: %w", err)
	}

	keyText, err := secrets.EncodeKey(key)
	if err != nil {
		return current, fmt.Errorf("encoding the key of the OS API: %w", err)
	}

	pair := secrets.KeyPair{Cert: certificate, Key: keyText}

	due, ok := signedFor(pair, request, bundleOf(root.AcceptedCAs), now)
	if !ok {
		return current, fmt.Errorf("asking the control plane for a certificate: the answer is not what was asked for")
	}

	rt.RequeueAfter(max(due.Sub(now), retryDelay))

	out.Server = toResource(pair)

	return out, nil
}

// signedFor says when a certificate from any of the authorities is due, and
// whether it can stay until then.
func signedFor(pair secrets.KeyPair, request secrets.Request, authorities []byte, now time.Time) (time.Time, bool) {
	if pair.IsZero() {
		return time.Time{}, false
	}

	cert, err := pair.Certificate()
	if err != nil || !matches(cert, request) {
		return time.Time{}, false
	}

	cas, err := secrets.ParseCertificates(authorities)
	if err != nil {
		return time.Time{}, false
	}

	for _, ca := range cas {
		if cert.CheckSignatureFrom(ca) == nil {
			due := renewal(cert)

			return due, now.Before(due)
		}
	}

	return time.Time{}, false
}

// Trustd keeps the certificate of the service that signs for workers.
func Trustd(now func() time.Time) reconcile.Controller {
	return derive.One("secrets.TrustdController", resources.TrustdID, apiInputs,
		func(ctx context.Context, rt *reconcile.Runtime, current resources.Trustd) (resources.Trustd, error) {
			root, err := derive.Find[resources.OSRoot](ctx, rt, resources.OSRootID)
			if err != nil {
				return current, err
			}

			names, err := derive.Find[resources.CertSAN](ctx, rt, resources.CertSANAPIID)
			if err != nil {
				return current, err
			}

			machine, err := derive.Find[config.MachineType](ctx, rt, config.MachineTypeID)
			if err != nil {
				return current, err
			}

			synced, err := timeSynced(ctx, rt)
			if err != nil {
				return current, err
			}

			if machine == nil || !machine.Spec.Type.IsControlPlane() || root == nil || root.Spec.IssuingCA == nil || names == nil || !synced {
				return derive.None[resources.Trustd]()
			}

			issuer, err := newIssuer(fromResource(root.Spec.IssuingCA), now())
			if err != nil {
				return current, fmt.Errorf("loading the authority of the OS API: %w", err)
			}

			server, err := issuer.ensure(fromResource(current.Server), forServer, apiRequest(names.Spec, now()))
			if err != nil {
				return current, err
			}

			rt.RequeueAfter(issuer.wait())

			return resources.Trustd{AcceptedCAs: root.Spec.AcceptedCAs, Server: toResource(server)}, nil
		})
}
