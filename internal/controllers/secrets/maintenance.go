package secrets

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"time"

	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resources/network"
	resources "github.com/basalt-os/basalt/internal/resources/secrets"
	"github.com/basalt-os/basalt/pkg/secrets"
)

// maintenanceName is what the certificate of a machine without a configuration
// is for, besides its addresses.
const maintenanceName = "maintenance-service.talos.dev"

// MaintenanceRoot makes the authority by which a machine that has no
// configuration yet proves who it is. It lives in memory and goes once there
// is a configuration: then the cluster's authority takes over.
func MaintenanceRoot(reader *configured.Reader, logger *slog.Logger, now func() time.Time) reconcile.Controller {
	return derive.One("secrets.MaintenanceRootController", resources.MaintenanceRootID, []reconcile.Input{configured.Input()},
		func(ctx context.Context, rt *reconcile.Runtime, current resources.MaintenanceRoot) (resources.MaintenanceRoot, error) {
			cfg, err := reader.Read(ctx, rt)
			if err != nil {
				return current, err
			}

			if cfg != nil {
				return derive.None[resources.MaintenanceRoot]()
			}

			if current.CA != nil {
				return current, nil
			}

			ca, err := secrets.NewCA(secrets.CAOptions{
				Algorithm: secrets.Ed25519, Organization: "maintenance", NotBefore: now(), TTL: secrets.DefaultCATTL,
			})
			if err != nil {
				return current, fmt.Errorf("making the authority of maintenance mode: %w", err)
			}

			logger.Info("without a configuration, this machine proves who it is by a certificate of its own",
				"fingerprint", secrets.Fingerprint(ca.Certificate()))

			return resources.MaintenanceRoot{CA: toResource(ca.KeyPair())}, nil
		})
}

// MaintenanceCertSANs collects what the certificate of maintenance mode is
// for. Addresses that the machine gets later are added.
func MaintenanceCertSANs() reconcile.Controller {
	return derive.One("secrets.MaintenanceCertSANsController", resources.CertSANMaintenanceID,
		append([]reconcile.Input{reconcile.In[resources.MaintenanceRoot]().WithID(resources.MaintenanceRootID)}, identityInputs...),
		func(ctx context.Context, rt *reconcile.Runtime, _ resources.CertSAN) (resources.CertSAN, error) {
			root, err := derive.Find[resources.MaintenanceRoot](ctx, rt, resources.MaintenanceRootID)
			if err != nil {
				return resources.CertSAN{}, err
			}

			if root == nil {
				return derive.None[resources.CertSAN]()
			}

			out := resources.CertSAN{IPs: loopbackAddresses(), DNSNames: []string{maintenanceName}, FQDN: maintenanceName}

			addresses, err := derive.Find[network.NodeAddress](ctx, rt, ownAddresses)
			if err != nil {
				return resources.CertSAN{}, err
			}

			if addresses != nil {
				for _, prefix := range addresses.Spec.Addresses {
					out.IPs = append(out.IPs, prefix.Addr())
				}
			}

			out.IPs = sortedAddresses(out.IPs)

			return out, nil
		})
}

// apiOfMaintenance is the certificate of a machine that has no configuration.
// Its clock may be wrong, so its dates are no reason to wait. People pin it by
// its fingerprint, which is that of its key: so it has the key of the authority
// and keeps it when addresses come and go.
func apiOfMaintenance(ctx context.Context, rt *reconcile.Runtime, current resources.API, now time.Time) (resources.API, error) {
	root, err := derive.Find[resources.MaintenanceRoot](ctx, rt, resources.MaintenanceRootID)
	if err != nil {
		return current, err
	}

	names, err := derive.Find[resources.CertSAN](ctx, rt, resources.CertSANMaintenanceID)
	if err != nil {
		return current, err
	}

	if root == nil || names == nil {
		return keepOrNone(current, current.Server != nil)
	}

	pair := fromResource(root.Spec.CA)
	request := apiRequest(names.Spec, now)

	due, ok := signedFor(fromResource(current.Server), request, pair.Cert, now)
	if !ok {
		server, err := selfSigned(pair, request)
		if err != nil {
			return current, fmt.Errorf("issuing the certificate of maintenance mode: %w", err)
		}

		current = resources.API{Server: toResource(server), SkipVerifyingClientCert: true}
		due = now.Add(osCertificateTTL / 2)
	}

	rt.RequeueAfter(max(due.Sub(now), retryDelay))

	return current, nil
}

// selfSigned issues a certificate for the key of the authority itself.
func selfSigned(pair secrets.KeyPair, request secrets.Request) (secrets.KeyPair, error) {
	ca, err := secrets.LoadCA(pair)
	if err != nil {
		return secrets.KeyPair{}, err
	}

	key, err := secrets.ParseKey(pair.Key)
	if err != nil {
		return secrets.KeyPair{}, err
	}

	csr, err := secrets.NewCSR(key, request)
	if err != nil {
		return secrets.KeyPair{}, err
	}

	cert, err := ca.SignCSR(csr, secrets.SignOptions{
		Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, NotBefore: request.NotBefore, TTL: request.TTL,
	})

	return secrets.KeyPair{Cert: cert, Key: pair.Key}, err
}
