package gateway_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/gateway"
	"github.com/basalt-os/basalt/internal/rbac"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources"
	"github.com/basalt-os/basalt/internal/resources/pki"
	"github.com/basalt-os/basalt/internal/resources/runtime"
	"github.com/basalt-os/basalt/internal/resources/secrets"
	"github.com/basalt-os/basalt/internal/state"
	keys "github.com/basalt-os/basalt/pkg/secrets"
)

// TestRun runs apid as a node does: with a store behind a state socket.
func TestRun(t *testing.T) {
	f := &fleet{t: t, ca: newCA(t)}
	dir := t.TempDir()
	machineSocket, stateSocket := filepath.Join(dir, "machine.sock"), filepath.Join(dir, "runtime.sock")
	f.startMachined(machineSocket, &machined{name: "node0", ended: make(chan error, 16)})

	store := resource.NewStore()
	f.serveState(stateSocket, store)
	f.serve(func(ctx context.Context) error {
		return gateway.Run(ctx, gateway.Options{
			MachineSocket: machineSocket, StateSocket: stateSocket, Logger: slog.New(slog.DiscardHandler),
		})
	})

	// In maintenance mode anybody may look.
	f.port = f.freePort()
	certificates := resource.New(secrets.APIID, f.apiCertificates())
	config := resource.New(runtime.APIServiceConfigID, runtime.APIServiceConfig{
		ListenAddress:           net.JoinHostPort(nodeAddress(0), strconv.Itoa(f.port)),
		NodeRoutingDisabled:     true,
		ReadonlyRoleMode:        true,
		SkipVerifyingClientCert: true,
	})

	for _, object := range []resource.Object{certificates, config} {
		if err := store.Create(t.Context(), object, ""); err != nil {
			t.Fatal(err)
		}
	}

	anonymous := machine.NewMachineServiceClient(f.dial(0))
	if got := f.roles(anonymous); got != "os:reader" {
		t.Errorf("anonymous caller has roles %s", got)
	}

	// With a configuration the gateway moves and wants certificates.
	f.port = f.freePort()
	modify(t, store, runtime.APIServiceConfigID, func(spec *runtime.APIServiceConfig) {
		*spec = runtime.APIServiceConfig{ListenAddress: net.JoinHostPort(nodeAddress(0), strconv.Itoa(f.port))}
	})

	admin := f.admin(0)
	if got := f.roles(admin); got != "os:admin" {
		t.Errorf("administrator has roles %s", got)
	}

	if _, err := anonymous.Version(with(t), &emptypb.Empty{}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("anonymous caller: %v", err)
	}

	// A new authority takes over, and a broken certificate changes nothing.
	f.ca = newCA(t)
	modify(t, store, secrets.APIID, func(spec *secrets.API) { *spec = f.apiCertificates() })

	if got := f.roles(f.admin(0)); got != "os:admin" {
		t.Errorf("administrator with new authority has roles %s", got)
	}

	modify(t, store, secrets.APIID, func(spec *secrets.API) { spec.Server.Crt = pki.PEM("broken") })

	if got := f.roles(f.admin(0)); got != "os:admin" {
		t.Errorf("administrator after a broken change has roles %s", got)
	}
}

// roles calls until the gateway has caught up with the store.
func (f *fleet) roles(client machine.MachineServiceClient) string {
	f.t.Helper()

	ctx := with(f.t)

	for {
		resp, err := client.Version(ctx, &emptypb.Empty{}, grpc.WaitForReady(true))
		if err == nil {
			return resp.GetMessages()[0].GetPlatform().GetName()
		}

		if ctx.Err() != nil {
			f.t.Fatal(err)
		}
	}
}

func (f *fleet) freePort() int {
	f.t.Helper()

	listener := f.listenOne()
	if err := listener.Close(); err != nil {
		f.t.Fatal(err)
	}

	return listener.Addr().(*net.TCPAddr).Port
}

func (f *fleet) listenOne() net.Listener {
	f.t.Helper()

	listener, err := net.Listen("tcp", net.JoinHostPort(nodeAddress(0), "0"))
	if err != nil {
		f.t.Fatal(err)
	}

	return listener
}

// serveState is machined's side of the state socket.
func (f *fleet) serveState(socket string, store *resource.Store) {
	f.t.Helper()

	table, err := resources.NewTable()
	if err != nil {
		f.t.Fatal(err)
	}

	server := grpc.NewServer()
	state.NewFor(store, table, gateway.StateTypes()...).Register(server)

	listener, err := net.Listen("unix", socket)
	if err != nil {
		f.t.Fatal(err)
	}

	f.serve(func(ctx context.Context) error {
		defer context.AfterFunc(ctx, server.Stop)()

		return server.Serve(listener)
	})
}

func (f *fleet) apiCertificates() secrets.API {
	f.t.Helper()

	server, err := f.ca.IssueServer(serverRequest(nodeAddress(0)))
	if err != nil {
		f.t.Fatal(err)
	}

	client, err := f.ca.IssueClient(keys.Request{Organizations: rbac.Impersonator.Strings()})
	if err != nil {
		f.t.Fatal(err)
	}

	return secrets.API{
		Server:      &pki.CertificateAndKey{Crt: pki.PEM(server.Cert), Key: pki.PEM(server.Key)},
		Client:      &pki.CertificateAndKey{Crt: pki.PEM(client.Cert), Key: pki.PEM(client.Key)},
		AcceptedCAs: []*pki.Certificate{{Crt: pki.PEM(f.ca.CertPEM())}},
	}
}

// modify changes a resource in the store.
func modify[T resource.Spec](t *testing.T, store *resource.Store, id string, change func(*T)) {
	t.Helper()

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	for {
		current, err := resource.Get[T](ctx, store, id)
		if err != nil {
			t.Fatal(err)
		}

		copied, err := resource.As[T](current.Clone())
		if err != nil {
			t.Fatal(err)
		}

		change(&copied.Spec)

		if err := store.Update(ctx, copied, ""); !errors.Is(err, resource.ErrConflict) {
			if err != nil {
				t.Fatal(err)
			}

			return
		}
	}
}
