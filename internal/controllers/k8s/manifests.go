package k8s

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"go.etcd.io/etcd/client/v3/concurrency"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"

	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/controllers/etcd"
	"github.com/basalt-os/basalt/internal/controllers/k8s/apply"
	"github.com/basalt-os/basalt/internal/controllers/k8s/manifest"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/k8s"
	"github.com/basalt-os/basalt/internal/resources/secrets"
)

// Manifests renders the bootstrap manifests.
func Manifests() reconcile.Controller {
	return derive.All("k8s.ManifestController",
		[]reconcile.Input{
			derive.In[k8s.BootstrapManifestsConfig](k8s.BootstrapManifestsConfigID),
			derive.In[secrets.KubernetesRoot](secrets.KubernetesRootID),
		},
		func(ctx context.Context, rt *reconcile.Runtime) (map[string]k8s.Manifest, error) {
			config, err := derive.Find[k8s.BootstrapManifestsConfig](ctx, rt, k8s.BootstrapManifestsConfigID)
			if err != nil || config == nil {
				return nil, err
			}

			root, err := derive.Need[secrets.KubernetesRoot](ctx, rt, secrets.KubernetesRootID)
			if err != nil {
				return nil, err
			}

			groups, err := manifest.Build(manifest.Parameters{
				Config: config.Spec, CA: authorities(root.Spec.AcceptedCAs), BootstrapTokenID: root.Spec.BootstrapTokenID,
			})
			if err != nil {
				return nil, err
			}

			out := map[string]k8s.Manifest{}
			for _, g := range groups {
				out[g.ID] = toManifest(g.Objects)
			}

			return out, nil
		})
}

func toManifest(objects []map[string]any) k8s.Manifest {
	var m k8s.Manifest
	for _, o := range objects {
		m.Items = append(m.Items, k8s.SingleManifest{Object: o})
	}

	return m
}

// maxManifest bounds a downloaded manifest, in bytes.
const maxManifest = 16 << 20

// ExtraManifests reads the manifests that the configuration has beside the
// bootstrap ones, from itself and from the network.
func ExtraManifests(client *http.Client) reconcile.Controller {
	return derive.All("k8s.ExtraManifestController",
		[]reconcile.Input{derive.In[k8s.ExtraManifestsConfig](k8s.ExtraManifestsConfigID)},
		func(ctx context.Context, rt *reconcile.Runtime) (map[string]k8s.Manifest, error) {
			config, err := derive.Find[k8s.ExtraManifestsConfig](ctx, rt, k8s.ExtraManifestsConfigID)
			if err != nil || config == nil {
				return nil, err
			}

			out := map[string]k8s.Manifest{}

			for _, m := range config.Spec.ExtraManifests {
				text := []byte(m.InlineManifest)

				if m.URL != "" {
					if text, err = download(ctx, client, m); err != nil {
						return nil, fmt.Errorf("downloading manifest %s: %w", m.Name, err)
					}
				}

				objects, err := decodeManifest(text)
				if err != nil {
					return nil, fmt.Errorf("reading manifest %s: %w", m.Name, err)
				}

				out[m.Priority+"-"+strings.ReplaceAll(m.Name, "/", "-")] = toManifest(objects)
			}

			return out, nil
		})
}

func download(ctx context.Context, client *http.Client, m k8s.ExtraManifest) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, m.URL, nil)
	if err != nil {
		return nil, err
	}

	for name, value := range m.ExtraHeaders {
		request.Header.Set(name, value)
	}

	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close() //nolint:errcheck // read side only

	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %s", response.Status)
	}

	text, err := io.ReadAll(io.LimitReader(response.Body, maxManifest+1))
	if err == nil && len(text) > maxManifest {
		err = fmt.Errorf("it is larger than %d bytes", maxManifest)
	}

	return text, err
}

// decodeManifest reads the objects of a stream of YAML documents. Lists are
// taken apart.
func decodeManifest(text []byte) ([]map[string]any, error) {
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)

	var out []map[string]any

	for {
		var object map[string]any

		err := decoder.Decode(&object)
		if errors.Is(err, io.EOF) {
			return out, nil
		}

		if err != nil {
			return nil, err
		}

		if len(object) == 0 {
			continue
		}

		if items, ok := object["items"].([]any); ok && strings.HasSuffix(fmt.Sprint(object["kind"]), "List") {
			for _, item := range items {
				if object, ok := item.(map[string]any); ok {
					out = append(out, object)
				}
			}

			continue
		}

		if object["kind"] == nil || object["apiVersion"] == nil {
			return nil, errors.New("an object has no kind or no apiVersion")
		}

		out = append(out, object)
	}
}

// applyLock is the key in etcd that one node holds while it applies manifests.
const applyLock = "talos:v1:manifestApplyMutex"

// ManifestApply brings all manifests into the cluster, one node at a time.
func ManifestApply() reconcile.Controller {
	return derive.One("k8s.ManifestApplyController", k8s.ManifestStatusID,
		append(etcd.ClientInputs(),
			reconcile.In[k8s.Manifest](),
			derive.In[secrets.KubernetesRoot](secrets.KubernetesRootID),
			derive.In[secrets.Kubernetes](secrets.KubernetesID),
		),
		func(ctx context.Context, rt *reconcile.Runtime, current k8s.ManifestStatus) (k8s.ManifestStatus, error) {
			manifests, err := resource.List[k8s.Manifest](ctx, rt)
			if err != nil {
				return current, err
			}

			if len(manifests) == 0 {
				return derive.None[k8s.ManifestStatus]()
			}

			root, err := derive.Need[secrets.KubernetesRoot](ctx, rt, secrets.KubernetesRootID)
			if err != nil {
				return current, err
			}

			var ids []string

			var objects []map[string]any

			for _, m := range manifests {
				ids = append(ids, m.Meta.ID)

				for _, item := range m.Copy().Spec.Items {
					manifest.Complete(item.Object, root.Spec.BootstrapTokenSecret)
					objects = append(objects, item.Object)
				}
			}

			if err := applyAll(ctx, rt, objects); err != nil {
				return current, err
			}

			slices.Sort(ids)

			return k8s.ManifestStatus{ManifestsApplied: ids}, nil
		})
}

func applyAll(ctx context.Context, rt *reconcile.Runtime, objects []map[string]any) error {
	cfg, err := adminConfig(ctx, rt)
	if err != nil {
		return err
	}

	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return fmt.Errorf("connecting to Kubernetes: %w", err)
	}

	if err := apiReady(ctx, rt, client); err != nil {
		return err
	}

	unlock, err := lock(ctx, rt)
	if err != nil {
		return err
	}

	defer unlock()

	applier, err := newApplier(cfg, client, rt)
	if err != nil {
		return err
	}

	return applier.Apply(ctx, objects)
}

func newApplier(cfg *rest.Config, client kubernetes.Interface, rt *reconcile.Runtime) (*apply.Applier, error) {
	dynamicClient, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("connecting to Kubernetes: %w", err)
	}

	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(client.Discovery()))

	return &apply.Applier{Client: dynamicClient, Mapper: mapper, Logger: rt.Logger()}, nil
}

// lock takes the cluster's lock for applying manifests. The returned function
// gives it back.
func lock(ctx context.Context, rt *reconcile.Runtime) (unlock func(), err error) {
	client, err := etcd.Connect(ctx, rt)
	if err != nil {
		return nil, err
	}

	session, err := concurrency.NewSession(client, concurrency.WithContext(ctx))
	if err != nil {
		client.Close() //nolint:errcheck // the first error counts

		return nil, fmt.Errorf("opening a session with etcd: %w", err)
	}

	unlock = func() {
		session.Close() //nolint:errcheck // the lease ends by itself
		client.Close()  //nolint:errcheck // nothing is pending
	}

	if err := concurrency.NewMutex(session, applyLock).Lock(ctx); err != nil {
		unlock()

		return nil, fmt.Errorf("locking the manifests: %w", err)
	}

	return unlock, nil
}
