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

// issueKubeletCert gives the kubelet of a control plane node its first client
// certificate. The node has the authority's key in any case; asking the
// cluster instead would have the node wait for a cluster that waits for this
// node, until every party's pause between attempts has run out.
func (n *Node) issueKubeletCert(ctx context.Context, nodename string) error {
	root, err := resource.Get[resources.KubernetesRoot](ctx, n.store, resources.KubernetesRootID)
	if errors.Is(err, resource.ErrNotFound) || nodename == "" {
		return nil // a worker asks the cluster
	}

	if err != nil {
		return err
	}

	if err := writeKubeletCert(kubelet.ClientCertificate, root.Spec, nodename, time.Now()); err != nil {
		return fmt.Errorf("issuing the kubelet's first certificate: %w", err)
	}

	return nil
}

// writeKubeletCert writes a certificate with its key unless there is one. The
// kubelet replaces the link when it has a newer one.
func writeKubeletCert(path string, root resources.KubernetesRoot, nodename string, now time.Time) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}

	authority, err := secrets.LoadCA(secrets.KeyPair{Cert: secrets.PEM(root.IssuingCA.Crt), Key: secrets.PEM(root.IssuingCA.Key)})
	if err != nil {
		return err
	}

	pair, err := authority.IssueClient(secrets.Request{
		CommonName:    "system:node:" + nodename,
		Organizations: []string{"system:nodes"},
		Algorithm:     secrets.ECDSAP256,
		NotBefore:     now,
		TTL:           kubeletCertTTL,
	})
	if err != nil {
		return err
	}

	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}

	file := filepath.Join(filepath.Dir(path), "kubelet-client-"+now.UTC().Format("2006-01-02-15-04-05")+".pem")
	if err := renameio.WriteFile(file, bytes.Join([][]byte{pair.Cert, pair.Key}, nil), 0o600); err != nil {
		return err
	}

	return renameio.Symlink(filepath.Base(file), path)
}
