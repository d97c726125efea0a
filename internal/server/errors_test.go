package server_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"testing"

	"github.com/containerd/errdefs"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/basalt-os/basalt/internal/machine"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/server"
	"github.com/basalt-os/basalt/internal/service"
)

func TestErrorCodes(t *testing.T) {
	for _, test := range []struct {
		err  error
		want codes.Code
	}{
		{nil, codes.OK},
		{errors.New("anything"), codes.Unknown},
		{context.Canceled, codes.Canceled},
		{context.DeadlineExceeded, codes.DeadlineExceeded},
		{os.ErrDeadlineExceeded, codes.DeadlineExceeded},
		{machine.ErrLocked, codes.FailedPrecondition},
		{server.ErrPrecondition, codes.FailedPrecondition},
		{server.ErrUnsupported, codes.FailedPrecondition},
		{service.ErrNotAllowed, codes.FailedPrecondition},
		{service.ErrClosed, codes.FailedPrecondition},
		{server.ErrNotReady, codes.Unavailable},
		{errdefs.ErrUnavailable, codes.Unavailable},
		{server.ErrInvalid, codes.InvalidArgument},
		{errdefs.ErrInvalidArgument, codes.InvalidArgument},
		{unix.ENOTDIR, codes.InvalidArgument},
		{server.ErrUnknown, codes.NotFound},
		{service.ErrUnknown, codes.NotFound},
		{resource.ErrNotFound, codes.NotFound},
		{fs.ErrNotExist, codes.NotFound},
		{errdefs.ErrNotFound, codes.NotFound},
		{server.ErrExists, codes.AlreadyExists},
		{fs.ErrExist, codes.AlreadyExists},
		{fs.ErrPermission, codes.PermissionDenied},
		{unix.EPERM, codes.PermissionDenied},
		{unix.ENOSPC, codes.ResourceExhausted},
		{errors.ErrUnsupported, codes.Unimplemented},
		{rpctypes.ErrMemberNotFound, codes.NotFound},
		{status.Error(codes.DataLoss, "lost"), codes.DataLoss},
	} {
		err := test.err
		if err != nil {
			err = fmt.Errorf("doing something: %w", err)
		}
		for _, given := range []error{test.err, err} {
			_, got := server.UnaryErrors(context.Background(), nil, nil, func(context.Context, any) (any, error) { return nil, given })
			if status.Code(got) != test.want {
				t.Errorf("%v: got code %v, want %v", given, status.Code(got), test.want)
			}
		}
	}
}

func TestErrorsKeepTheirText(t *testing.T) {
	inner := fmt.Errorf("asking etcd: %w", status.Error(codes.Unavailable, "no leader"))
	_, got := server.UnaryErrors(context.Background(), nil, nil, func(context.Context, any) (any, error) { return nil, inner })
	if status.Convert(got).Message() != inner.Error() {
		t.Errorf("got %q, want %q", status.Convert(got).Message(), inner)
	}
}
