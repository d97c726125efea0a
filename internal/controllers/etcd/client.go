package etcd

import (
	"context"
	"crypto/tls"
	"fmt"
	"strconv"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/etcd"
	"github.com/basalt-os/basalt/internal/resources/secrets"
	"github.com/basalt-os/basalt/internal/resources/v1alpha1"
	pkgsecrets "github.com/basalt-os/basalt/pkg/secrets"
)

// LocalServer is the URL of the node's own member.
const LocalServer = "https://127.0.0.1:2379"

// ClientInputs are what a controller declares to use Connect.
func ClientInputs() []reconcile.Input {
	return []reconcile.Input{derive.In[secrets.EtcdRoot](secrets.EtcdRootID), derive.In[secrets.Etcd](secrets.EtcdID)}
}

// Connect returns a client of the node's own member with the rights of an
// administrator. The caller closes it.
func Connect(ctx context.Context, from resource.Reader) (*clientv3.Client, error) {
	root, err := derive.Need[secrets.EtcdRoot](ctx, from, secrets.EtcdRootID)
	if err != nil {
		return nil, err
	}

	certs, err := derive.Need[secrets.Etcd](ctx, from, secrets.EtcdID)
	if err != nil {
		return nil, err
	}

	pool, err := pkgsecrets.Pool(pkgsecrets.PEM(root.Spec.EtcdCA.Crt))
	if err != nil {
		return nil, fmt.Errorf("reading the authority of etcd: %w", err)
	}

	pair, err := tls.X509KeyPair(certs.Spec.EtcdAdmin.Crt, certs.Spec.EtcdAdmin.Key)
	if err != nil {
		return nil, fmt.Errorf("reading the client certificate of etcd: %w", err)
	}

	client, err := clientv3.New(clientv3.Config{
		Endpoints:   []string{LocalServer},
		DialTimeout: 5 * time.Second,
		Logger:      zap.NewNop(),
		TLS:         &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13},
	})
	if err != nil {
		return nil, fmt.Errorf("connecting to etcd: %w", err)
	}

	return client, nil
}

// Member tells the identity that the node's member has in its cluster.
func Member() reconcile.Controller {
	return derive.One("etcd.MemberController", etcd.LocalMemberID,
		append(ClientInputs(), derive.In[v1alpha1.Service]("etcd")),
		func(ctx context.Context, rt *reconcile.Runtime, current etcd.Member) (etcd.Member, error) {
			service, err := derive.Find[v1alpha1.Service](ctx, rt, "etcd")
			if err != nil {
				return current, err
			}

			if service == nil || !service.Spec.Running || !service.Spec.Healthy {
				if current.MemberID == "" {
					return derive.None[etcd.Member]()
				}

				return current, nil
			}

			client, err := Connect(ctx, rt)
			if err != nil {
				return current, err
			}
			defer client.Close() //nolint:errcheck // nothing is pending

			ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
			defer cancel()

			status, err := client.Status(ctx, LocalServer)
			if err != nil {
				return current, fmt.Errorf("asking etcd who it is: %w", err)
			}

			return etcd.Member{MemberID: memberID(status.Header.GetMemberId())}, nil
		})
}

// memberID is the form in which etcd's own tools print it.
func memberID(id uint64) string {
	text := strconv.FormatUint(id, 16)
	for len(text) < 16 {
		text = "0" + text
	}

	return text
}
