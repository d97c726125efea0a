package kubeaccess

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/basalt-os/basalt/internal/rbac"
	"github.com/basalt-os/basalt/internal/resources/kubeaccess"
	resources "github.com/basalt-os/basalt/internal/resources/secrets"
	"github.com/basalt-os/basalt/pkg/client/clientconfig"
	"github.com/basalt-os/basalt/pkg/secrets"
)

const (
	// lifetime is that of a pod's certificate. A pod sees the next one in its
	// mounted secret long before the end.
	lifetime = 24 * time.Hour
	// lookInterval is how often all is looked at although nothing has changed:
	// somebody may have removed a secret.
	lookInterval = 10 * time.Minute
)

// issuer makes client configurations for pods.
type issuer struct {
	access    kubeaccess.Config
	cluster   string // its name
	authority *secrets.CA
	accepted  []byte // authorities that the API's certificates may be from, PEM
	now       time.Time
	next      time.Time // when the first certificate that was seen is due
}

func newIssuer(access kubeaccess.Config, cluster string, root resources.OSRoot, now time.Time) (*issuer, error) {
	if root.IssuingCA == nil {
		return nil, fmt.Errorf("loading the authority of the API: this node has none")
	}

	authority, err := secrets.LoadCA(secrets.KeyPair{Cert: secrets.PEM(root.IssuingCA.Crt), Key: secrets.PEM(root.IssuingCA.Key)})
	if err != nil {
		return nil, fmt.Errorf("loading the authority of the API: %w", err)
	}

	accepted := slices.Clone(root.IssuingCA.Crt)
	for _, other := range root.AcceptedCAs {
		accepted = append(accepted, other.Crt...)
	}

	return &issuer{access: access, cluster: cluster, authority: authority, accepted: accepted, now: now}, nil
}

// refuses says why pods of a namespace must not have the roles; empty when they
// may.
func (i *issuer) refuses(namespace string, roles []string) string {
	if !slices.Contains(i.access.AllowedKubernetesNamespaces, namespace) {
		return fmt.Sprintf("namespace %q is not allowed: kubernetesTalosAPIAccess lists %s",
			namespace, quoted(i.access.AllowedKubernetesNamespaces))
	}

	if len(roles) == 0 {
		return "no roles are asked for"
	}

	for _, role := range roles {
		if !slices.Contains(i.access.AllowedAPIRoles, role) {
			return fmt.Sprintf("role %q is not allowed: kubernetesTalosAPIAccess lists %s", role, quoted(i.access.AllowedAPIRoles))
		}
	}

	if _, err := rbac.ParseStrict(roles); err != nil {
		return err.Error()
	}

	return ""
}

func quoted(list []string) string {
	if len(list) == 0 {
		return "none"
	}

	return `"` + strings.Join(list, `", "`) + `"`
}

// fresh says whether a client configuration is what would be issued, and far
// from its end.
func (i *issuer) fresh(text []byte, roles []string) bool {
	config, err := clientconfig.Parse(text)
	if err != nil {
		return false
	}

	context, err := config.Select("")
	if err != nil || string(context.CA) != string(i.accepted) || !slices.Equal(context.Endpoints, kubeaccess.ServiceNames()[:1]) {
		return false
	}

	certificate, err := secrets.KeyPair{Cert: context.Crt, Key: context.Key}.Certificate()
	if err != nil || certificate.CheckSignatureFrom(i.authority.Certificate()) != nil {
		return false
	}

	has, want := slices.Clone(certificate.Subject.Organization), slices.Clone(roles)
	slices.Sort(has)
	slices.Sort(want)

	due := certificate.NotBefore.Add(certificate.NotAfter.Sub(certificate.NotBefore) / 2)
	if !slices.Equal(has, slices.Compact(want)) || !i.now.Before(due) {
		return false
	}

	i.note(due)

	return true
}

// issue makes a client configuration.
func (i *issuer) issue(roles []string) ([]byte, error) {
	roles = slices.Clone(roles)
	slices.Sort(roles)

	pair, err := i.authority.IssueClient(secrets.Request{Organizations: slices.Compact(roles), NotBefore: i.now, TTL: lifetime})
	if err != nil {
		return nil, fmt.Errorf("issuing a certificate: %w", err)
	}

	i.note(i.now.Add(lifetime / 2))

	return clientconfig.New(i.cluster, &clientconfig.Context{
		Endpoints: kubeaccess.ServiceNames()[:1], CA: secrets.PEM(i.accepted), Crt: pair.Cert, Key: pair.Key,
	}).Bytes()
}

func (i *issuer) note(due time.Time) {
	if i.next.IsZero() || due.Before(i.next) {
		i.next = due
	}
}

// wait is how long until something is due.
func (i *issuer) wait() time.Duration {
	if i.next.IsZero() {
		return lookInterval
	}

	return min(lookInterval, max(i.next.Sub(i.now), time.Minute))
}
