package node

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/pkg/oci"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/etcd"
	"github.com/basalt-os/basalt/internal/resources/secrets"
	"github.com/basalt-os/basalt/internal/service"
	"github.com/basalt-os/basalt/internal/service/container"
)

// Ports of etcd.
const (
	etcdClientPort = "2379"
	etcdPeerPort   = "2380"
	etcdHTTPPort   = "2383" // metrics and health
)

// etcdService is the etcd member of a control plane node.
func (n *Node) etcdService() service.Definition {
	return service.Definition{
		ID:         "etcd",
		DependsOn:  []string{"containerd"},
		Conditions: []service.Condition{n.timeSync(), n.networkReady(), exists[etcd.Spec](n.store, etcd.SpecID, "etcd spec"), n.etcdCertificates()},
		Prepare:    n.prepareEtcd,
		Stale:      first(staleSpec[etcd.Spec](n.store, etcd.SpecID), n.staleEnvironment),
		Check:      &service.Check{Probe: n.probeEtcd, Period: 20 * time.Second, Timeout: 15 * time.Second},
	}
}

// etcdCertificates holds when the member's certificates are on disk.
func (n *Node) etcdCertificates() service.Condition {
	return condition{name: "etcd certificates", wait: func(ctx context.Context) error {
		_, err := resource.WaitFor(ctx, n.store, etcd.PKIStatusID, func(r *resource.Resource[etcd.PKIStatus]) bool {
			return r != nil && r.Spec.Ready
		})

		return err
	}}
}

func (n *Node) prepareEtcd(ctx context.Context) (service.Runner, error) {
	spec, err := resource.Get[etcd.Spec](ctx, n.store, etcd.SpecID)
	if err != nil {
		return nil, err
	}

	environment, err := n.serviceEnvironment(ctx)
	if err != nil {
		return nil, err
	}

	entry, err := n.member.join(ctx, spec.Spec)
	if err != nil {
		return nil, err
	}

	if err := chownTree(etcdData, etcdUID); err != nil {
		return nil, fmt.Errorf("preparing etcd data: %w", err)
	}

	runner := &container.Runner{
		Client:    n.containerd,
		Puller:    n.puller,
		Namespace: systemSpace,
		ID:        "etcd",
		Image:     spec.Spec.Image,
		FIFODir:   fifoDir,
		Options: []oci.SpecOpts{
			oci.WithEnv(environment),
			oci.WithProcessArgs(etcdArgs(spec.Spec, entry)...),
			oci.WithUIDGID(etcdUID, etcdUID),
			oci.WithCapabilities(nil),
			oci.WithNoNewPrivileges,
			oci.WithHostNamespace(specs.NetworkNamespace),
			oci.WithRootFSReadonly(),
			oci.WithCgroup("/" + groupEtcd),
			oci.WithMounts([]specs.Mount{
				bind(etcdPKI, etcdPKI, "ro"),
				bind(etcdData, etcdData, "rw"),
			}),
			n.oomScore(-500),
		},
	}

	return promoting{Runner: runner, member: n.member}, nil
}

// entry is how a member enters its cluster. It matters only until the member
// has data.
type entry struct {
	initial string // name=url,name=url
	state   string // new or existing
}

// etcdArgs are the command line of a member.
func etcdArgs(spec etcd.Spec, entry entry) []string {
	file := func(name string) string { return filepath.Join(etcdPKI, name) }

	arguments := map[string][]string{
		"name":                           {spec.Name},
		"data-dir":                       {etcdData},
		"auto-tls":                       {"false"},
		"peer-auto-tls":                  {"false"},
		"client-cert-auth":               {"true"},
		"cert-file":                      {file("server.crt")},
		"key-file":                       {file("server.key")},
		"trusted-ca-file":                {file("ca.crt")},
		"peer-client-cert-auth":          {"true"},
		"peer-cert-file":                 {file("peer.crt")},
		"peer-key-file":                  {file("peer.key")},
		"peer-trusted-ca-file":           {file("ca.crt")},
		"tls-min-version":                {"TLS1.3"},
		"listen-client-urls":             {urls(spec.ListenClientAddresses, etcdClientPort)},
		"listen-client-http-urls":        {urls(spec.ListenClientAddresses, etcdHTTPPort)},
		"listen-peer-urls":               {urls(spec.ListenPeerAddresses, etcdPeerPort)},
		"advertise-client-urls":          {urls(spec.AdvertisedAddresses, etcdClientPort)},
		"initial-advertise-peer-urls":    {urls(spec.AdvertisedAddresses, etcdPeerPort)},
		"initial-cluster":                {entry.initial},
		"initial-cluster-state":          {entry.state},
		"feature-gates":                  {"InitialCorruptCheck=true"},
		"watch-progress-notify-interval": {"5s"},
	}

	for name, values := range spec.ExtraArgs {
		arguments[name] = values.Values
	}

	args := make([]string, 0, len(arguments))

	for name, values := range arguments {
		for _, value := range values {
			args = append(args, "--"+name+"="+value)
		}
	}

	slices.Sort(args)

	return append([]string{"/usr/local/bin/etcd"}, args...)
}

func urls(addresses []netip.Addr, port string) string {
	list := make([]string, 0, len(addresses))
	for _, address := range addresses {
		list = append(list, "https://"+net.JoinHostPort(address.String(), port))
	}

	return strings.Join(list, ",")
}

// probeEtcd reads through the cluster: it works when the member has a quorum.
func (n *Node) probeEtcd(ctx context.Context) error {
	client, err := n.etcdClient(ctx, localEtcd)
	if err != nil {
		return err
	}
	defer client.Close()

	// What the key has does not matter: to know it, the member asks a quorum.
	if _, err := client.Get(ctx, "health"); err != nil {
		return fmt.Errorf("reading from etcd: %w", err)
	}

	return nil
}

// localEtcd is the endpoint of this node's member.
const localEtcd = "https://127.0.0.1:" + etcdClientPort

// etcdClient returns a client with the rights of an administrator. The caller
// closes it.
func (n *Node) etcdClient(ctx context.Context, endpoints ...string) (*clientv3.Client, error) {
	own, err := resource.Get[secrets.Etcd](ctx, n.store, secrets.EtcdID)
	if err != nil {
		return nil, fmt.Errorf("loading etcd client certificate: %w", err)
	}

	root, err := resource.Get[secrets.EtcdRoot](ctx, n.store, secrets.EtcdRootID)
	if err != nil {
		return nil, fmt.Errorf("loading etcd authority: %w", err)
	}

	certificate, err := tls.X509KeyPair(own.Spec.EtcdAdmin.Crt, own.Spec.EtcdAdmin.Key)
	if err != nil {
		return nil, fmt.Errorf("loading etcd client certificate: %w", err)
	}

	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(root.Spec.EtcdCA.Crt) {
		return nil, errors.New("loading etcd authority: no certificate")
	}

	client, err := clientv3.New(clientv3.Config{
		Context:     ctx,
		Endpoints:   endpoints,
		DialTimeout: 5 * time.Second,
		TLS: &tls.Config{
			MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{certificate}, RootCAs: roots,
		},
		// The client logs what it also returns.
		Logger: zap.NewNop(),
	})
	if err != nil {
		return nil, fmt.Errorf("connecting to etcd: %w", err)
	}

	return client, nil
}

// chownTree gives a folder and all in it to a user.
func chownTree(root string, owner int) error {
	return filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}

		return os.Lchown(path, owner, owner)
	})
}
