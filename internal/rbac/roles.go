// Package rbac says who may call which method of the node's API.
//
// A caller has a set of [Roles]. Outside callers get them from the
// organisation of their client certificate, which the gateway reads and
// forwards; local callers get them from what the kernel says about the other
// end of the Unix socket ([PeerCredentials]). One table ([RuleFor]) names, for
// every method of every service, the roles of which the caller must have one.
// There is no fallback: a method without a rule is refused, a server with such
// a method does not start ([Verify]), and a test compares the table with the
// services declared in api/.
package rbac

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Roles is a set of roles. The zero value is the empty set. It is a plain
// value: copy, compare and use it as a map key freely.
type Roles uint8

// The roles, by the names that stand in certificates.
const (
	// Admin may call everything ("os:admin").
	Admin Roles = 1 << iota
	// Operator may restart and maintain, but sees no secrets ("os:operator").
	Operator
	// Reader may look at what is not secret ("os:reader").
	Reader
	// EtcdBackup may take etcd snapshots ("os:etcd:backup").
	EtcdBackup
	// ImageVerifier may ask for an image signature check ("os:image:verifier").
	ImageVerifier
	// MetaWriter may write META keys ("os:meta:writer").
	MetaWriter
	// Impersonator may state the roles of somebody else in the request's
	// metadata ("os:impersonator"). It is the gateways' role towards each
	// other and allows nothing by itself.
	Impersonator
)

// None and All are the smallest and the largest set.
const (
	None Roles = 0
	All        = Admin | Operator | Reader | EtcdBackup | ImageVerifier | MetaWriter | Impersonator
)

// names is ordered as the bits are.
var names = [...]string{
	"os:admin",
	"os:operator",
	"os:reader",
	"os:etcd:backup",
	"os:image:verifier",
	"os:meta:writer",
	"os:impersonator",
}

// Parse returns the roles with these names, and the names that are no role.
// What to do about those is the caller's decision: a certificate may name
// roles of a newer version, a request for a new certificate may not.
func Parse(list []string) (roles Roles, unknown []string) {
	for _, name := range list {
		if i := slices.Index(names[:], name); i >= 0 {
			roles |= 1 << i
		} else {
			unknown = append(unknown, name)
		}
	}

	return roles, unknown
}

// ParseStrict is Parse for places where an unknown name is an error.
func ParseStrict(list []string) (Roles, error) {
	roles, unknown := Parse(list)
	if len(unknown) > 0 {
		return None, fmt.Errorf("unknown roles %q, known are %q", unknown, names)
	}

	return roles, nil
}

// HasAny says whether the two sets have a role in common.
func (r Roles) HasAny(other Roles) bool { return r&other != 0 }

// HasAll says whether every role of other is in the set.
func (r Roles) HasAll(other Roles) bool { return r&other == other }

// Without returns the set less the roles of other.
func (r Roles) Without(other Roles) Roles { return r &^ other }

// Strings returns the names of the roles, in a fixed order.
func (r Roles) Strings() []string {
	list := make([]string, 0, len(names))

	for i, name := range names {
		if r&(1<<i) != 0 {
			list = append(list, name)
		}
	}

	return list
}

// String returns the names joined by commas, or "none".
func (r Roles) String() string {
	if r&All == 0 {
		return "none"
	}

	return strings.Join(r.Strings(), ",")
}

type contextKey struct{}

// WithRoles returns a context that carries the caller's roles.
func WithRoles(ctx context.Context, roles Roles) context.Context {
	return context.WithValue(ctx, contextKey{}, roles)
}

// FromContext returns the caller's roles as the interceptors found them. A
// context that never passed an interceptor has none.
func FromContext(ctx context.Context) Roles {
	roles, _ := ctx.Value(contextKey{}).(Roles)

	return roles
}
