package rbac

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// RoleMetadata is the metadata key in which the roles of a forwarded caller
// travel, one value per role.
const RoleMetadata = "talos-role"

// Grant is what a local process may do.
type Grant struct {
	// Roles are the most the process can have.
	Roles Roles
	// Forwards says that the process speaks for others: its requests have
	// exactly the roles that their metadata names (within Roles), and none
	// when it names none. A process that does not forward has Roles, or fewer
	// when the metadata names fewer.
	Forwards bool
}

// Peers decides what the process at the other end of the socket may do; false
// refuses it. It is called for each request and must be safe for concurrent use.
type Peers func(Peer) (Grant, bool)

// PeersByUID returns a Peers that knows processes by their user.
func PeersByUID(grants map[uint32]Grant) Peers {
	return func(p Peer) (Grant, bool) {
		grant, ok := grants[p.UID]

		return grant, ok
	}
}

// Authorizer checks every request to machined's socket. Its fields are set
// before the first request and not changed after.
type Authorizer struct {
	// Peers says what local processes may do.
	Peers Peers
	// Maintenance says whether the node is in maintenance mode now. Nil
	// means never.
	Maintenance func() bool
}

// Authorize finds the caller's roles and checks them against the method's
// rule. It returns the context that the handler should get, which carries the
// roles. Errors are gRPC statuses: Unauthenticated for an unknown process,
// PermissionDenied for missing roles.
func (a *Authorizer) Authorize(ctx context.Context, fullMethod string) (context.Context, error) {
	roles, err := a.callerRoles(ctx)
	if err != nil {
		return nil, err
	}

	if err := Check(roles, fullMethod, a.Maintenance != nil && a.Maintenance()); err != nil {
		return nil, err
	}

	return WithRoles(ctx, roles), nil
}

// Check compares roles with the rule of the method. The error is a gRPC
// status with code PermissionDenied.
func Check(roles Roles, fullMethod string, maintenance bool) error {
	rule, ok := RuleFor(fullMethod)

	switch {
	case !ok:
		return status.Errorf(codes.PermissionDenied, "method %s has no access rule", fullMethod)
	case rule.Elsewhere != "":
		return status.Errorf(codes.PermissionDenied, "method %s is not served here: it is authorised by %s",
			fullMethod, rule.Elsewhere)
	case roles.HasAny(rule.Roles):
		return nil
	case maintenance && roles.HasAny(rule.Maintenance):
		return nil
	case roles.HasAny(rule.Maintenance):
		return status.Errorf(codes.PermissionDenied,
			"calling %s with roles %s: allowed in maintenance mode only, else one of %s is needed",
			fullMethod, roles, rule.Roles)
	default:
		return status.Errorf(codes.PermissionDenied, "calling %s with roles %s: one of %s is needed",
			fullMethod, roles, rule.Roles)
	}
}

func (a *Authorizer) callerRoles(ctx context.Context) (Roles, error) {
	process, ok := PeerFromContext(ctx)
	if !ok {
		return None, status.Error(codes.Unauthenticated, "the caller's process is not known")
	}

	grant, ok := a.Peers(process)
	if !ok {
		return None, status.Errorf(codes.Unauthenticated, "process %d of user %d may not use this socket",
			process.PID, process.UID)
	}

	stated := metadata.ValueFromIncomingContext(ctx, RoleMetadata)
	if len(stated) == 0 && !grant.Forwards {
		return grant.Roles, nil
	}

	// Names of a newer version are not an error: they allow nothing here.
	roles, _ := Parse(stated)

	return roles & grant.Roles, nil
}

// Unary returns the interceptor for unary methods.
func (a *Authorizer) Unary() grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		ctx, err := a.Authorize(ctx, info.FullMethod)
		if err != nil {
			return nil, err
		}

		return handler(ctx, req)
	}
}

// Stream returns the interceptor for streaming methods.
func (a *Authorizer) Stream() grpc.StreamServerInterceptor {
	return func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		ctx, err := a.Authorize(ss.Context(), info.FullMethod)
		if err != nil {
			return err
		}

		return handler(srv, &authorizedStream{ServerStream: ss, ctx: ctx})
	}
}

// authorizedStream is the stream with the roles in its context.
type authorizedStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *authorizedStream) Context() context.Context { return s.ctx }
