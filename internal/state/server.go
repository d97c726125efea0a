package state

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	cosiresource "github.com/basalt-os/basalt/api/cosi/resource"
	"github.com/basalt-os/basalt/internal/rbac"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources"
)

// Server is the service cosi.resource.State over a store. It is safe for
// concurrent use.
type Server struct {
	cosiresource.UnimplementedStateServer

	store *resource.Store
	table *resources.Table
	admit func(context.Context, *resources.Entry) bool
}

// New returns the service of all types. Those that hold secrets are for
// administrators, by the roles that the context of a call carries.
func New(store *resource.Store, table *resources.Table) *Server {
	return &Server{store: store, table: table, admit: func(ctx context.Context, entry *resources.Entry) bool {
		return entry.Served && (!entry.Definition.Sensitive || rbac.FromContext(ctx).HasAny(rbac.Admin))
	}}
}

// NewFor returns the service of some types, sensitive or not, to whoever
// reaches it: it is for one of the node's own processes.
func NewFor(store *resource.Store, table *resources.Table, types ...string) *Server {
	return &Server{store: store, table: table, admit: func(_ context.Context, entry *resources.Entry) bool {
		return slices.Contains(types, entry.Definition.Type)
	}}
}

// Register adds the service to a gRPC server.
func (s *Server) Register(server grpc.ServiceRegistrar) { cosiresource.RegisterStateServer(server, s) }

// Get implements cosiresource.StateServer.
func (s *Server) Get(ctx context.Context, request *cosiresource.GetRequest) (*cosiresource.GetResponse, error) {
	kind := resource.Kind{Namespace: request.GetNamespace(), Type: request.GetType()}

	entry, err := s.entry(ctx, kind)
	if err != nil {
		return nil, err
	}

	object, err := s.store.Get(ctx, resource.Pointer{Namespace: kind.Namespace, Type: kind.Type, ID: request.GetId()})
	if err != nil {
		return nil, toStatus(err)
	}

	encoded, err := encode(entry, object)
	if err != nil {
		return nil, toStatus(err)
	}

	return &cosiresource.GetResponse{Resource: encoded}, nil
}

// List implements cosiresource.StateServer: it streams the resources of a
// kind, one by one, by ID.
func (s *Server) List(request *cosiresource.ListRequest, stream grpc.ServerStreamingServer[cosiresource.ListResponse]) error {
	ctx := stream.Context()
	kind := resource.Kind{Namespace: request.GetNamespace(), Type: request.GetType()}

	entry, err := s.entry(ctx, kind)
	if err != nil {
		return err
	}

	options, err := listOptions(request.GetOptions().GetLabelQuery(), request.GetOptions().GetIdQuery())
	if err != nil {
		return err
	}

	objects, err := s.store.List(ctx, kind, options...)
	if err != nil {
		return toStatus(err)
	}

	for _, object := range objects {
		encoded, err := encode(entry, object)
		if err != nil {
			return toStatus(err)
		}

		if err := stream.Send(&cosiresource.ListResponse{Resource: encoded}); err != nil {
			return err
		}
	}

	return nil
}

// Create implements cosiresource.StateServer: it is refused.
func (s *Server) Create(context.Context, *cosiresource.CreateRequest) (*cosiresource.CreateResponse, error) {
	return nil, errReadOnly("Create")
}

// Update implements cosiresource.StateServer: it is refused.
func (s *Server) Update(context.Context, *cosiresource.UpdateRequest) (*cosiresource.UpdateResponse, error) {
	return nil, errReadOnly("Update")
}

// Destroy implements cosiresource.StateServer: it is refused.
func (s *Server) Destroy(context.Context, *cosiresource.DestroyRequest) (*cosiresource.DestroyResponse, error) {
	return nil, errReadOnly("Destroy")
}

// Teardown implements cosiresource.StateServer: it is refused.
func (s *Server) Teardown(context.Context, *cosiresource.TeardownRequest) (*cosiresource.TeardownResponse, error) {
	return nil, errReadOnly("Teardown")
}

// TeardownAndDestroy implements cosiresource.StateServer: it is refused.
func (s *Server) TeardownAndDestroy(
	context.Context, *cosiresource.TeardownAndDestroyRequest,
) (*cosiresource.TeardownAndDestroyResponse, error) {
	return nil, errReadOnly("TeardownAndDestroy")
}

func errReadOnly(method string) error {
	return status.Errorf(codes.PermissionDenied, "%s: resources are read-only over the API", method)
}

// entry returns the type of a kind if the caller may read it. What does not
// exist is refused in the same way as what is forbidden.
func (s *Server) entry(ctx context.Context, kind resource.Kind) (*resources.Entry, error) {
	entry, ok := s.table.Get(kind.Type)
	if !ok || !s.admit(ctx, entry) {
		return nil, status.Errorf(codes.PermissionDenied, "resource type %q is not served to the caller", kind.Type)
	}

	if _, ok := resources.Namespaces()[kind.Namespace]; !ok {
		return nil, status.Errorf(codes.PermissionDenied, "namespace %q is not served", kind.Namespace)
	}

	return entry, nil
}

// listOptions translates the queries of a request.
func listOptions(labels []*cosiresource.LabelQuery, id *cosiresource.IDQuery) ([]resource.ListOption, error) {
	var options []resource.ListOption

	if expression := id.GetRegexp(); expression != "" {
		compiled, err := regexp.Compile(expression)
		if err != nil {
			return nil, status.Errorf(codes.InvalidArgument, "parsing ID query: %v", err)
		}

		options = append(options, resource.WithID(compiled))
	}

	queries := make([]resource.LabelQuery, 0, len(labels))

	for _, label := range labels {
		query := make(resource.LabelQuery, 0, len(label.GetTerms()))

		for _, term := range label.GetTerms() {
			translated, err := labelTerm(term)
			if err != nil {
				return nil, err
			}

			query = append(query, translated)
		}

		queries = append(queries, query)
	}

	return append(options, resource.WithLabels(queries...)), nil
}

func labelTerm(term *cosiresource.LabelTerm) (resource.LabelTerm, error) {
	translated := resource.LabelTerm{Key: term.GetKey(), Values: term.GetValue(), Invert: term.GetInvert()}

	switch term.GetOp() {
	case cosiresource.LabelTerm_EXISTS:
		translated.Op = resource.LabelExists
	case cosiresource.LabelTerm_NOT_EXISTS: //nolint:staticcheck // old clients send it
		translated.Op, translated.Invert = resource.LabelExists, !term.GetInvert()
	case cosiresource.LabelTerm_EQUAL:
		translated.Op = resource.LabelEqual
	case cosiresource.LabelTerm_IN:
		translated.Op = resource.LabelIn
	case cosiresource.LabelTerm_LT:
		translated.Op = resource.LabelLess
	case cosiresource.LabelTerm_LTE:
		translated.Op = resource.LabelLessOrEqual
	case cosiresource.LabelTerm_LT_NUMERIC:
		translated.Op = resource.LabelLessNumeric
	case cosiresource.LabelTerm_LTE_NUMERIC:
		translated.Op = resource.LabelLessOrEqualNumeric
	default:
		return translated, status.Errorf(codes.InvalidArgument, "label query: operation %d is unknown", term.GetOp())
	}

	if translated.Op != resource.LabelExists && len(translated.Values) == 0 {
		return translated, status.Errorf(codes.InvalidArgument, "label query: %s of %q has no value", term.GetOp(), term.GetKey())
	}

	return translated, nil
}

// toStatus gives an error of the store its code.
func toStatus(err error) error {
	code := codes.Internal

	switch {
	case errors.Is(err, resource.ErrNotFound):
		code = codes.NotFound
	case errors.Is(err, resource.ErrBookmark):
		code = codes.FailedPrecondition
	case errors.Is(err, resource.ErrLagged):
		code = codes.Aborted
	case errors.Is(err, context.Canceled):
		code = codes.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		code = codes.DeadlineExceeded
	}

	return status.Error(code, err.Error())
}

// wrapEncoding names the resource that could not be encoded.
func wrapEncoding(pointer resource.Pointer, err error) error {
	return fmt.Errorf("encoding %s: %w", pointer, err)
}
