package gateway_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/basalt-os/basalt/internal/gateway"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/runtime"
	"github.com/basalt-os/basalt/internal/resources/secrets"
)

// apidEnv makes the test binary an apid whose sockets are in this folder.
const apidEnv = "BASALT_TEST_APID"

func TestMain(m *testing.M) {
	folder := os.Getenv(apidEnv)
	if folder == "" {
		goleak.VerifyTestMain(m)

		return
	}

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()

	if err := gateway.Run(ctx, gateway.Options{
		MachineSocket: filepath.Join(folder, "machine.sock"), StateSocket: filepath.Join(folder, "runtime.sock"),
		Sandbox: true, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// TestRunInSandbox runs apid as a process of its own that gives everything up,
// and checks that what is left is enough.
func TestRunInSandbox(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("namespaces and users can be changed by root only")
	}

	f := &fleet{t: t, ca: newCA(t), port: gateway.DefaultPort}
	folder := t.TempDir()
	store := resource.NewStore()

	f.startMachined(filepath.Join(folder, "machine.sock"), &machined{name: "node0", ended: make(chan error, 1)})
	f.serveState(filepath.Join(folder, "runtime.sock"), store)
	f.openTo(folder, gateway.User)

	var log strings.Builder

	cmd := exec.Command("/proc/self/exe", "-test.run=^$")
	cmd.Env = append(os.Environ(), apidEnv+"="+folder)
	cmd.Stderr = &log

	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}

	defer func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}

		if err := cmd.Wait(); err != nil {
			t.Errorf("apid ended with %v:\n%s", err, log.String())
		}
	}()

	for _, object := range []resource.Object{
		resource.New(secrets.APIID, f.apiCertificates()),
		resource.New(runtime.APIServiceConfigID, runtime.APIServiceConfig{
			ListenAddress: net.JoinHostPort(nodeAddress(0), strconv.Itoa(gateway.DefaultPort)),
		}),
	} {
		if err := store.Create(t.Context(), object, ""); err != nil {
			t.Fatal(err)
		}
	}

	client := f.admin(0)
	if got := f.roles(client); got != "os:admin" {
		t.Errorf("administrator has roles %s", got)
	}

	// An address of this host is found to be its own.
	resp, err := client.Version(with(t, "nodes", ownAddress(t)), &emptypb.Empty{})
	if err != nil || resp.GetMessages()[0].GetVersion().GetTag() != "node0" {
		t.Errorf("got %v, %v", resp, err)
	}

	// It is who it should be.
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}

	for _, want := range []string{"Uid:\t50\t50\t50\t50\n", "Gid:\t50\t50\t50\t50\n", "CapEff:\t0000000000000000\n", "NoNewPrivs:\t1\n", "Seccomp:\t2\n"} {
		if !strings.Contains(string(status), want) {
			t.Errorf("status of the process lacks %q", want)
		}
	}
}

// ownAddress is an address of this host other than loopback, if there is one.
func ownAddress(t *testing.T) string {
	t.Helper()

	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}

	for _, address := range addresses {
		if prefix, ok := address.(*net.IPNet); ok && prefix.IP.IsGlobalUnicast() {
			return prefix.IP.String()
		}
	}

	return "127.0.0.1"
}

// openTo lets a user reach the sockets in a folder.
func (f *fleet) openTo(folder string, user int) {
	f.t.Helper()

	for path := folder; path != os.TempDir() && path != "/"; path = filepath.Dir(path) {
		if err := os.Chmod(path, 0o755); err != nil {
			f.t.Fatal(err)
		}
	}

	for _, name := range []string{"machine.sock", "runtime.sock"} {
		if err := os.Chown(filepath.Join(folder, name), user, user); err != nil {
			f.t.Fatal(err)
		}
	}
}
