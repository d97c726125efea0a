// Package controllers_test runs the controllers of all domains together, as on
// a control plane node, without a kernel, a cluster or a disk of their own.
package controllers_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/basalt-os/basalt/internal/controllers/block"
	"github.com/basalt-os/basalt/internal/controllers/clock"
	"github.com/basalt-os/basalt/internal/controllers/cluster"
	"github.com/basalt-os/basalt/internal/controllers/config"
	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/controllers/cri"
	"github.com/basalt-os/basalt/internal/controllers/etcd"
	"github.com/basalt-os/basalt/internal/controllers/files"
	"github.com/basalt-os/basalt/internal/controllers/hardware"
	"github.com/basalt-os/basalt/internal/controllers/k8s"
	"github.com/basalt-os/basalt/internal/controllers/k8s/kubelet"
	"github.com/basalt-os/basalt/internal/controllers/kubeaccess"
	"github.com/basalt-os/basalt/internal/controllers/network"
	"github.com/basalt-os/basalt/internal/controllers/perf"
	"github.com/basalt-os/basalt/internal/controllers/runtime"
	"github.com/basalt-os/basalt/internal/controllers/secrets"
	"github.com/basalt-os/basalt/internal/events"
	"github.com/basalt-os/basalt/internal/logs"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	configresource "github.com/basalt-os/basalt/internal/resources/config"
	etcdresource "github.com/basalt-os/basalt/internal/resources/etcd"
	k8sresource "github.com/basalt-os/basalt/internal/resources/k8s"
	networkresource "github.com/basalt-os/basalt/internal/resources/network"
	secretsresource "github.com/basalt-os/basalt/internal/resources/secrets"
	"github.com/basalt-os/basalt/internal/resources/v1alpha1"
	"github.com/basalt-os/basalt/pkg/machineconfig"
	pkgsecrets "github.com/basalt-os/basalt/pkg/secrets"
)

// kernel is a node with one link and one address.
type kernel struct{}

func (kernel) Links() ([]netlink.Link, error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.Index, attrs.OperState, attrs.EncapType = "eth0", 2, netlink.OperUp, "ether"

	return []netlink.Link{&netlink.Device{LinkAttrs: attrs}}, nil
}

func (kernel) Addresses() ([]netlink.Addr, error) {
	a, err := netlink.ParseAddr("10.5.0.2/24")
	if err != nil {
		return nil, err
	}

	a.LinkIndex = 2

	return []netlink.Addr{*a}, nil
}

func (kernel) Routes() ([]netlink.Route, error) {
	return []netlink.Route{{LinkIndex: 2, Gw: net.ParseIP("10.5.0.1"), Table: 254, Family: 2}}, nil
}

func (kernel) Rules() ([]netlink.Rule, error)                           { return nil, nil }
func (kernel) QueueDisciplines() (map[int]string, error)                { return nil, nil }
func (kernel) Describe(netlink.Link, *networkresource.LinkStatus) error { return nil }
func (kernel) AddAddress(string, netip.Prefix) error                    { return nil }
func (kernel) Watch(ctx context.Context, _ func()) error                { <-ctx.Done(); return nil }
func (kernel) Hostname() (string, error)                                { return "cp-1", nil }
func (kernel) SetHostname(string) error                                 { return nil }
func (kernel) Show(string) error                                        { return nil }
func (kernel) Hide(string) error                                        { return nil }
func (kernel) Sign(context.Context, []netip.Addr, string, []byte, []byte) ([]byte, error) {
	panic("a control plane signs for itself")
}

func controlPlane(t *testing.T, dir string) []reconcile.Controller {
	t.Helper()

	logger := slog.New(slog.DiscardHandler)
	reader := &configured.Reader{}

	var all []reconcile.Controller

	for _, domain := range [][]reconcile.Controller{
		{files.EtcFiles(filepath.Join(dir, "etc"), kernel{})},
		config.Controllers(reader),
		clock.Controllers(),
		cri.Controllers(reader, files.Folder{Path: filepath.Join(dir, "seccomp")}),
		network.Controllers(network.Dependencies{
			Config: reader, Kernel: kernel{}, Hostname: kernel{}, Logger: logger, PodResolvConf: filepath.Join(dir, "resolv.conf"),
		}),
		secrets.Controllers(secrets.Dependencies{Config: reader, Signer: kernel{}, Logger: logger, Now: time.Now}),
		etcd.Controllers(etcd.Dependencies{Config: reader, PKI: files.Folder{Path: filepath.Join(dir, "pki"), Owner: 60}}),
		cluster.Controllers(cluster.Dependencies{
			Config: reader, Logger: logger, IdentityPath: filepath.Join(dir, "identity.yaml"), OperatingSystem: "Basalt (test)",
		}),
		runtime.Controllers(runtime.Dependencies{
			Config: reader, Name: "Basalt", Version: "test", Platform: "container", Proc: filepath.Join(dir, "proc"), Sys: dir,
			Events: events.NewRing(1, nil), Logs: logs.NewBook(1, nil), Logger: logger,
		}),
		perf.Controllers("/proc"),
		hardware.Controllers("/proc", "/sys"),
		block.Controllers("/proc/self/mountinfo"),
		kubeaccess.Controllers(kubeaccess.Dependencies{Config: reader, Now: time.Now, Logger: logger}),
		k8s.Controllers(k8s.Dependencies{
			Config: reader, Host: kubelet.Host{Container: true}, Files: k8s.KubeletFiles{Root: dir},
			SecretsRoot: filepath.Join(dir, "secrets"), ConfigRoot: filepath.Join(dir, "config"),
			HTTP: http.DefaultClient, Now: time.Now, Logger: logger,
		}),
	} {
		all = append(all, domain...)
	}

	return all
}

func TestControlPlane(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("files are given to the users of the components, which only root may do")
	}

	bundle, err := pkgsecrets.NewBundle(pkgsecrets.Options{})
	if err != nil {
		t.Fatal(err)
	}

	generated, err := machineconfig.Generate(machineconfig.Input{
		ClusterName: "test", Endpoint: "https://127.0.0.1:1", Secrets: bundle, NoDiscovery: true,
	})
	if err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()

	dir := t.TempDir()
	store := resource.NewStore()
	engine := reconcile.NewEngine(store, slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})))

	for _, c := range controlPlane(t, dir) {
		if err := engine.Register(c); err != nil {
			t.Fatal(err)
		}
	}

	done := make(chan error, 1)
	go func() { done <- engine.Run(ctx) }()

	text := string(generated.ControlPlane.Bytes())
	put(t, ctx, store, resource.New(configresource.ActiveID, configresource.MachineConfig{Text: text}))

	spec := wait[k8sresource.KubeletSpec](t, ctx, store, k8sresource.KubeletID)
	if spec.ExpectedNodename != "cp-1" {
		t.Errorf("node name = %q", spec.ExpectedNodename)
	}

	member := wait[etcdresource.Spec](t, ctx, store, etcdresource.SpecID)
	if len(member.AdvertisedAddresses) != 1 || member.AdvertisedAddresses[0].String() != "10.5.0.2" {
		t.Errorf("etcd is advertised at %v", member.AdvertisedAddresses)
	}

	wait[etcdresource.PKIStatus](t, ctx, store, etcdresource.PKIStatusID)
	wait[secretsresource.API](t, ctx, store, secretsresource.APIID)
	wait[secretsresource.Trustd](t, ctx, store, secretsresource.TrustdID)
	wait[k8sresource.SecretsStatus](t, ctx, store, k8sresource.StaticPodSecretsID)
	wait[k8sresource.ConfigStatus](t, ctx, store, k8sresource.StaticPodConfigID)
	wait[k8sresource.Manifest](t, ctx, store, "11-core-dns")
	wait[k8sresource.KubePrismConfig](t, ctx, store, k8sresource.KubePrismConfigID)

	if _, err := resource.Get[k8sresource.StaticPod](ctx, store, "kube-apiserver"); err == nil {
		t.Error("the API server was started before etcd answered")
	}

	put(t, ctx, store, resource.New("etcd", v1alpha1.Service{Running: true, Healthy: true}))

	wait[k8sresource.StaticPod](t, ctx, store, "kube-apiserver")

	if _, err := resource.Get[k8sresource.StaticPod](ctx, store, "kube-scheduler"); err == nil {
		t.Error("the scheduler was started before the API server answered")
	}

	_, err = resource.WaitFor(ctx, store, networkresource.StatusID, func(r *resource.Resource[networkresource.Status]) bool {
		return r != nil && r.Spec == networkresource.Status{AddressReady: true, ConnectivityReady: true, HostnameReady: true, EtcFilesReady: true}
	})
	if err != nil {
		t.Errorf("waiting for the network: %v", err)
	}

	cancel()

	if err := <-done; err != nil {
		t.Errorf("the engine ended with %v", err)
	}
}

func put(t *testing.T, ctx context.Context, store *resource.Store, object resource.Object) {
	t.Helper()

	if err := store.Create(ctx, object, "test"); err != nil {
		t.Fatal(err)
	}
}

func wait[T resource.Spec](t *testing.T, ctx context.Context, store *resource.Store, id string) T {
	t.Helper()

	found, err := resource.WaitFor(ctx, store, id, func(r *resource.Resource[T]) bool { return r != nil })
	if err != nil {
		t.Fatalf("waiting for %s: %v", resource.PointerOf[T](id), err)
	}

	return found.Spec
}
