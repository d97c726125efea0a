// Package cluster has the controllers by which the nodes of a cluster know each
// other: who this node is, what it tells the others, and what they tell.
package cluster

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/renameio/v2"
	"sigs.k8s.io/yaml"

	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/block"
	"github.com/basalt-os/basalt/internal/resources/cluster"
	"github.com/basalt-os/basalt/pkg/machineconfig"
)

// Identity keeps the node's identity in a file, so that it is the same after a
// restart, and makes one the first time. If the file's folder is a volume, there
// is no identity before that is mounted.
func Identity(path string, onVolume bool) reconcile.Controller {
	return derive.One("cluster.NodeIdentityController", cluster.LocalIdentityID, []reconcile.Input{reconcile.In[block.MountStatus]()},
		func(ctx context.Context, rt *reconcile.Runtime, current cluster.Identity) (cluster.Identity, error) {
			if current.NodeID != "" {
				return current, nil
			}

			if onVolume {
				mounts, err := resource.List[block.MountStatus](ctx, rt)
				if err != nil {
					return current, err
				}

				folder := filepath.Dir(path)
				if !slices.ContainsFunc(mounts, func(m *resource.Resource[block.MountStatus]) bool { return m.Spec.Target == folder }) {
					return derive.None[cluster.Identity]()
				}
			}

			return loadIdentity(path)
		})
}

// identityFile is the form on disk.
type identityFile struct {
	NodeID string `json:"nodeId"`
}

func loadIdentity(path string) (cluster.Identity, error) {
	text, err := os.ReadFile(path)

	switch {
	case err == nil:
		var file identityFile
		if err := yaml.UnmarshalStrict(text, &file); err != nil || file.NodeID == "" {
			return cluster.Identity{}, fmt.Errorf("reading the node's identity from %s: it is not what was written (%w)", path, err)
		}

		return cluster.Identity(file), nil
	case !errors.Is(err, fs.ErrNotExist):
		return cluster.Identity{}, fmt.Errorf("reading the node's identity: %w", err)
	}

	id, err := newNodeID()
	if err != nil {
		return cluster.Identity{}, fmt.Errorf("making the node's identity: %w", err)
	}

	if text, err = yaml.Marshal(identityFile{NodeID: id}); err != nil {
		return cluster.Identity{}, fmt.Errorf("encoding the node's identity: %w", err)
	}

	if err := renameio.WriteFile(path, text, 0o600); err != nil {
		return cluster.Identity{}, fmt.Errorf("writing the node's identity: %w", err)
	}

	return cluster.Identity{NodeID: id}, nil
}

// newNodeID is 32 random bytes in base 62.
func newNodeID() (string, error) {
	raw := make([]byte, 32)
	if _, err := rand.Read(raw); err != nil {
		return "", err
	}

	return new(big.Int).SetBytes(raw).Text(62), nil
}

// Info names the cluster.
func Info(reader *configured.Reader) reconcile.Controller {
	return configured.One(reader, "cluster.InfoController", cluster.InfoID,
		func(cfg *machineconfig.Config) (cluster.Info, error) {
			c := cfg.Cluster()

			return cluster.Info{ClusterID: c.ID, ClusterName: c.Name}, nil
		})
}

// Config says through which services the nodes find each other.
func Config(reader *configured.Reader) reconcile.Controller {
	return configured.One(reader, "cluster.ConfigController", cluster.ConfigID, discoveryConfig)
}

func discoveryConfig(cfg *machineconfig.Config) (cluster.Config, error) {
	c := cfg.Cluster()
	spec := cluster.Config{ServiceClusterID: c.ID}

	if len(c.Discovery) == 0 || c.ID == "" {
		return spec, nil
	}

	key, err := base64.StdEncoding.DecodeString(c.Secret)
	if err != nil || len(key) != 32 {
		return spec, fmt.Errorf("reading the cluster's discovery secret: it is not base64 of 32 bytes")
	}

	spec.DiscoveryEnabled, spec.RegistryServiceEnabled, spec.ServiceEncryptionKey = true, true, key

	for _, doc := range c.Discovery {
		address, insecure := serviceAddress(doc.Endpoint.URL)
		spec.ServiceEndpoints = append(spec.ServiceEndpoints,
			cluster.ServiceEndpoint{Name: doc.Name, Endpoint: address, Insecure: insecure})
	}

	spec.ServiceEndpoint, spec.ServiceEndpointInsecure = spec.ServiceEndpoints[0].Endpoint, spec.ServiceEndpoints[0].Insecure

	return spec, nil
}

// serviceAddress is the host and port of a discovery service, and whether it
// is spoken to in the clear.
func serviceAddress(u url.URL) (address string, insecure bool) {
	insecure = u.Scheme == "http"

	switch {
	case u.Port() != "":
		return u.Host, insecure
	case insecure:
		return u.Host + ":80", true
	default:
		return u.Host + ":443", false
	}
}
