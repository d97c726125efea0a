package server

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/containerd/errdefs"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	node "github.com/basalt-os/basalt/internal/machine"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/service"
	"github.com/basalt-os/basalt/internal/volume"
)

// Errors by which the parts of the node tell a caller what is wrong. They are
// wrapped with what was being done.
var (
	// ErrUnknown: there is no such service, container, image or member.
	ErrUnknown = errors.New("not found")
	// ErrExists: what was to be created is there already.
	ErrExists = errors.New("exists already")
	// ErrInvalid: the request itself is wrong.
	ErrInvalid = errors.New("invalid request")
	// ErrPrecondition: the node is not in a state that allows the call.
	ErrPrecondition = errors.New("not possible now")
	// ErrNotReady: a part of the node is not up yet; calling again later helps.
	ErrNotReady = errors.New("not ready")
	// ErrUnsupported: this kind of node cannot do it.
	ErrUnsupported = errors.New("not supported by this kind of node")
)

// codeOf maps errors to gRPC codes; the first match decides. An error that
// carries a gRPC status itself, as those of etcd do, keeps that code.
func codeOf(err error) codes.Code {
	for _, row := range []struct {
		code  codes.Code
		match []error
	}{
		{codes.Canceled, []error{context.Canceled}},
		{codes.DeadlineExceeded, []error{context.DeadlineExceeded, os.ErrDeadlineExceeded}},
		{codes.FailedPrecondition, []error{node.ErrLocked, service.ErrNotAllowed, service.ErrClosed, ErrPrecondition, ErrUnsupported, volume.ErrInUse, errdefs.ErrFailedPrecondition}},
		{codes.Unavailable, []error{ErrNotReady, errdefs.ErrUnavailable}},
		{codes.InvalidArgument, []error{ErrInvalid, fs.ErrInvalid, errdefs.ErrInvalidArgument, unix.ENOTDIR, unix.EISDIR}},
		{codes.NotFound, []error{ErrUnknown, service.ErrUnknown, volume.ErrNoDevice, resource.ErrNotFound, fs.ErrNotExist, errdefs.ErrNotFound, unix.ESRCH, unix.ENODEV}},
		{codes.AlreadyExists, []error{ErrExists, fs.ErrExist, errdefs.ErrAlreadyExists}},
		{codes.PermissionDenied, []error{fs.ErrPermission, errdefs.ErrPermissionDenied}},
		{codes.ResourceExhausted, []error{errdefs.ErrResourceExhausted, unix.ENOSPC, unix.ENOMEM}},
		{codes.Unimplemented, []error{errors.ErrUnsupported, errdefs.ErrNotImplemented}},
	} {
		for _, match := range row.match {
			if errors.Is(err, match) {
				return row.code
			}
		}
	}
	if etcd := (rpctypes.EtcdError{}); errors.As(err, &etcd) {
		return etcd.Code()
	}
	// A status may be wrapped deep inside; its code counts and not the text,
	// which err repeats.
	if inner, ok := status.FromError(err); ok {
		return inner.Code()
	}
	return codes.Unknown
}

// statusError turns an error of a handler into what goes over the wire.
func statusError(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := err.(interface{ GRPCStatus() *status.Status }); ok { //nolint:errorlint // only a bare status goes out as it is
		return err
	}
	return status.Error(codeOf(err), err.Error())
}

// UnaryErrors maps the errors of unary handlers to gRPC codes.
func UnaryErrors(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	response, err := handler(ctx, request)
	return response, statusError(err)
}

// StreamErrors maps the errors of streaming handlers to gRPC codes.
func StreamErrors(server any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	return statusError(handler(server, stream))
}
