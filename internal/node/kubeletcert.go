package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"

	"github.com/basalt-os/basalt/internal/controllers/k8s/kubelet"
	"github.com/basalt-os/basalt/internal/resource"
	resources "github.com/basalt-os/basalt/internal/resources/secrets"
	"github.com/basalt-os/basalt/pkg/secrets"
)

// kubeletCertTTL is for how long the first client certificate is good. The
// kubelet asks the cluster for the next one long before.
const kubeletCertTTL = 365 * 24 * time.Hour

// ensureKubeletCert gives the kubelet its first client certificate. A control
// plane node has the authority's key in any case; asking the cluster instead
// would have the node wait for a cluster that waits for this node. A worker asks
// the cluster. Whoever wrote the kubelet's files has removed a certificate that
// is not good any more.
func (n *Node) ensureKubeletCert(ctx context.Context, nodename string) error {
	if _, err := os.Lstat(kubelet.ClientCertificate); !errors.Is(err, fs.ErrNotExist) {
		return err
	}

	if nodename == "" {
		return nil // it does not register
	}

	root, err := resource.Get[resources.KubernetesRoot](ctx, n.store, resources.KubernetesRootID)

	switch {
	case errors.Is(err, resource.ErrNotFound):
		return requestKubeletCert(ctx, kubelet.ClientCertificate, kubelet.BootstrapKubeconfig, nodename)
	case err != nil:
		return err
	}

	if err := issueKubeletCert(kubelet.ClientCertificate, root.Spec, nodename, time.Now()); err != nil {
		return fmt.Errorf("issuing the kubelet's first certificate: %w", err)
	}

	return nil
}

// kubeletIdentity is who the kubelet of a node is for the Kubernetes API.
func kubeletIdentity(nodename string) secrets.Request {
	return secrets.Request{CommonName: "system:node:" + nodename, Organizations: []string{"system:nodes"}, Algorithm: secrets.ECDSAP256}
}

// issueKubeletCert makes a certificate with its key.
func issueKubeletCert(path string, root resources.KubernetesRoot, nodename string, now time.Time) error {
	authority, err := secrets.LoadCA(secrets.KeyPair{Cert: secrets.PEM(root.IssuingCA.Crt), Key: secrets.PEM(root.IssuingCA.Key)})
	if err != nil {
		return err
	}

	request := kubeletIdentity(nodename)
	request.NotBefore, request.TTL = now, kubeletCertTTL

	pair, err := authority.IssueClient(request)
	if err != nil {
		return err
	}

	return storeKubeletCert(path, pair, now)
}

// storeKubeletCert writes a certificate with its key where the kubelet keeps its
// own: in a file with a time in its name, and a link that the kubelet replaces
// when it has a newer one.
func storeKubeletCert(path string, pair secrets.KeyPair, now time.Time) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}

	file := filepath.Join(filepath.Dir(path), "kubelet-client-"+now.UTC().Format("2006-01-02-15-04-05")+".pem")
	if err := renameio.WriteFile(file, bytes.Join([][]byte{pair.Cert, pair.Key}, nil), 0o600); err != nil {
		return err
	}

	return renameio.Symlink(filepath.Base(file), path)
}
