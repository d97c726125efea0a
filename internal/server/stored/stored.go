// Package stored answers questions of the API server from the node's
// resources: credentials, the way to etcd and to Kubernetes, the members of
// the cluster, the time servers.
package stored

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/cluster"
	"github.com/basalt-os/basalt/internal/resources/config"
	"github.com/basalt-os/basalt/internal/resources/network"
	resources "github.com/basalt-os/basalt/internal/resources/secrets"
	"github.com/basalt-os/basalt/internal/server"
	"github.com/basalt-os/basalt/internal/timesync"
	"github.com/basalt-os/basalt/pkg/client/clientconfig"
	"github.com/basalt-os/basalt/pkg/secrets"
)

const (
	// etcdPort is the port on which etcd members serve clients.
	etcdPort = 2379
	// dialTimeout bounds the wait for a connection to etcd.
	dialTimeout = 5 * time.Second
)

// Facts reads resources. It implements Credentials, Etcd, Cluster and Clock of
// package server, and is safe for concurrent use.
type Facts struct {
	timesync.Client

	reader resource.Reader
}

// New returns facts from the given store.
func New(reader resource.Reader) *Facts {
	return &Facts{reader: reader}
}

var (
	_ server.Credentials = (*Facts)(nil)
	_ server.Etcd        = (*Facts)(nil)
	_ server.Cluster     = (*Facts)(nil)
	_ server.Clock       = (*Facts)(nil)
)

// get reads a resource that only control plane nodes have. There, not finding
// it means that it has not been made yet.
func get[T resource.Spec](ctx context.Context, f *Facts, id string) (*T, error) {
	found, err := resource.Get[T](ctx, f.reader, id)
	if err == nil {
		return &found.Spec, nil
	}
	if !errors.Is(err, resource.ErrNotFound) {
		return nil, err
	}
	kind, typeErr := resource.Get[config.MachineType](ctx, f.reader, config.MachineTypeID)
	if typeErr == nil && !kind.Spec.Type.IsControlPlane() {
		return nil, fmt.Errorf("this is not a control plane node: %w", server.ErrPrecondition)
	}
	return nil, fmt.Errorf("%w: %w", server.ErrNotReady, err)
}

// Kubeconfig implements server.Credentials.
func (f *Facts) Kubeconfig(ctx context.Context) ([]byte, error) {
	kubernetes, err := get[resources.Kubernetes](ctx, f, resources.KubernetesID)
	if err != nil {
		return nil, fmt.Errorf("reading credentials of Kubernetes: %w", err)
	}
	return []byte(kubernetes.AdminKubeconfig), nil
}

// ClientConfig implements server.Credentials. The configuration has this
// node's control plane as endpoints.
func (f *Facts) ClientConfig(ctx context.Context, roles []string, ttl time.Duration) (server.ClientConfig, error) {
	root, err := get[resources.OSRoot](ctx, f, resources.OSRootID)
	if err != nil {
		return server.ClientConfig{}, fmt.Errorf("reading the authority of the API: %w", err)
	}
	if root.IssuingCA == nil || len(root.IssuingCA.Key) == 0 {
		return server.ClientConfig{}, fmt.Errorf("this node has no key of the API's authority: %w", server.ErrPrecondition)
	}
	authority, err := secrets.LoadCA(secrets.KeyPair{Cert: secrets.PEM(root.IssuingCA.Crt), Key: secrets.PEM(root.IssuingCA.Key)})
	if err != nil {
		return server.ClientConfig{}, fmt.Errorf("loading the authority of the API: %w", err)
	}
	pair, err := authority.IssueClient(secrets.Request{Organizations: roles, TTL: ttl})
	if err != nil {
		return server.ClientConfig{}, err
	}
	accepted := secrets.PEM(root.IssuingCA.Crt)
	for _, other := range root.AcceptedCAs {
		accepted = append(accepted, other.Crt...)
	}
	endpoints, err := f.controlPlane(ctx)
	if err != nil {
		return server.ClientConfig{}, err
	}
	entry := &clientconfig.Context{CA: accepted, Crt: pair.Cert, Key: pair.Key}
	for _, endpoint := range endpoints {
		entry.Endpoints = append(entry.Endpoints, endpoint.String())
	}
	name, err := f.clusterName(ctx)
	if err != nil {
		return server.ClientConfig{}, err
	}
	text, err := clientconfig.New(name, entry).Bytes()
	if err != nil {
		return server.ClientConfig{}, err
	}
	return server.ClientConfig{CA: accepted, Certificate: pair.Cert, Key: pair.Key, Config: text}, nil
}

func (f *Facts) clusterName(ctx context.Context) (string, error) {
	info, err := resource.Get[resources.KubernetesRoot](ctx, f.reader, resources.KubernetesRootID)
	if errors.Is(err, resource.ErrNotFound) || err == nil && info.Spec.Name == "" {
		return "default", nil
	}
	if err != nil {
		return "", fmt.Errorf("reading the name of the cluster: %w", err)
	}
	return info.Spec.Name, nil
}

// controlPlane returns an address of each control plane node that is known.
func (f *Facts) controlPlane(ctx context.Context) ([]netip.Addr, error) {
	members, err := resource.List[cluster.Member](ctx, f.reader)
	if err != nil {
		return nil, fmt.Errorf("listing members of the cluster: %w", err)
	}
	var addresses []netip.Addr
	for _, member := range members {
		if member.Spec.MachineType.IsControlPlane() && len(member.Spec.Addresses) > 0 {
			addresses = append(addresses, member.Spec.Addresses[0])
		}
	}
	return addresses, nil
}

// Members implements server.Cluster.
func (f *Facts) Members(ctx context.Context) ([]server.Member, error) {
	list, err := resource.List[cluster.Member](ctx, f.reader)
	if err != nil {
		return nil, fmt.Errorf("listing members of the cluster: %w", err)
	}
	var members []server.Member
	for _, found := range list {
		member := server.Member{Hostname: found.Spec.Hostname, ControlPlane: found.Spec.MachineType.IsControlPlane()}
		for _, address := range found.Spec.Addresses {
			member.Addresses = append(member.Addresses, address.String())
		}
		members = append(members, member)
	}
	return members, nil
}

// Kubernetes implements server.Cluster.
func (f *Facts) Kubernetes(ctx context.Context, endpoint string) (kubernetes.Interface, error) {
	credentials, err := get[resources.Kubernetes](ctx, f, resources.KubernetesID)
	if err != nil {
		return nil, fmt.Errorf("reading credentials of Kubernetes: %w", err)
	}
	settings, err := clientcmd.RESTConfigFromKubeConfig([]byte(credentials.LocalhostAdminKubeconfig))
	if err != nil {
		return nil, fmt.Errorf("loading credentials of Kubernetes: %w", err)
	}
	if endpoint != "" {
		settings.Host = endpoint
	}
	client, err := kubernetes.NewForConfig(settings)
	if err != nil {
		return nil, fmt.Errorf("preparing Kubernetes client: %w", err)
	}
	return client, nil
}

// Servers implements server.Clock.
func (f *Facts) Servers(ctx context.Context) (servers []string, secure bool, err error) {
	status, err := resource.Get[network.TimeServerStatus](ctx, f.reader, network.TimeServerID)
	if errors.Is(err, resource.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("reading time servers: %w", err)
	}
	return status.Spec.NTPServers, status.Spec.UseNTS, nil
}

// Local implements server.Etcd.
func (f *Facts) Local(ctx context.Context) (server.EtcdClient, error) {
	return f.etcd(ctx, netip.AddrFrom4([4]byte{127, 0, 0, 1}))
}

// Cluster implements server.Etcd: this node's member comes first.
func (f *Facts) Cluster(ctx context.Context) (server.EtcdClient, error) {
	others, err := f.controlPlane(ctx)
	if err != nil {
		return nil, err
	}
	return f.etcd(ctx, append([]netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}, others...)...)
}

// MemberID implements server.Etcd.
func (f *Facts) MemberID(ctx context.Context) (uint64, error) {
	client, err := f.Local(ctx)
	if err != nil {
		return 0, err
	}
	status, err := client.Status(ctx, client.Endpoints()[0])
	if err := errors.Join(err, client.Close()); err != nil {
		return 0, fmt.Errorf("asking for this node's etcd member: %w", err)
	}
	return status.Header.GetMemberId(), nil
}

// etcd connects with the certificate of an etcd administrator.
func (f *Facts) etcd(ctx context.Context, addresses ...netip.Addr) (server.EtcdClient, error) {
	settings, err := f.etcdTLS(ctx)
	if err != nil {
		return nil, err
	}
	var endpoints []string
	for _, address := range addresses {
		endpoints = append(endpoints, "https://"+net.JoinHostPort(address.String(), fmt.Sprint(etcdPort)))
	}
	client, err := clientv3.New(clientv3.Config{
		Context:     ctx,
		Endpoints:   endpoints,
		DialTimeout: dialTimeout,
		TLS:         settings,
		Logger:      zap.NewNop(),
	})
	if err != nil {
		return nil, fmt.Errorf("preparing etcd client: %w", err)
	}
	return client, nil
}

func (f *Facts) etcdTLS(ctx context.Context) (*tls.Config, error) {
	root, err := get[resources.EtcdRoot](ctx, f, resources.EtcdRootID)
	if err != nil {
		return nil, fmt.Errorf("reading the authority of etcd: %w", err)
	}
	issued, err := get[resources.Etcd](ctx, f, resources.EtcdID)
	if err != nil {
		return nil, fmt.Errorf("reading certificates of etcd: %w", err)
	}
	if root.EtcdCA == nil || issued.EtcdAdmin == nil {
		return nil, fmt.Errorf("reading certificates of etcd: they are incomplete: %w", server.ErrNotReady)
	}
	pool, err := secrets.Pool(secrets.PEM(root.EtcdCA.Crt))
	if err != nil {
		return nil, fmt.Errorf("loading the authority of etcd: %w", err)
	}
	admin, err := secrets.KeyPair{Cert: secrets.PEM(issued.EtcdAdmin.Crt), Key: secrets.PEM(issued.EtcdAdmin.Key)}.TLS()
	if err != nil {
		return nil, fmt.Errorf("loading the certificate for etcd: %w", err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: pool, Certificates: []tls.Certificate{admin}}, nil
}
