package k8s

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"
	"sigs.k8s.io/yaml"

	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/controllers/k8s/kubelet"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/config"
	"github.com/basalt-os/basalt/internal/resources/k8s"
	"github.com/basalt-os/basalt/internal/resources/pki"
	secretsresource "github.com/basalt-os/basalt/internal/resources/secrets"
	"github.com/basalt-os/basalt/internal/resources/v1alpha1"
	"github.com/basalt-os/basalt/pkg/machineconfig/document"
	"github.com/basalt-os/basalt/pkg/secrets"
)

// serviceKubelet is the service that runs the kubelet.
const serviceKubelet = "kubelet"

// KubeletConfig takes the kubelet's settings from the configuration. The node's
// static pod server is part of them.
func KubeletConfig(reader *configured.Reader) reconcile.Controller {
	return derive.One("k8s.KubeletConfigController", k8s.KubeletID,
		[]reconcile.Input{configured.Input(), derive.In[k8s.StaticPodServerStatus](k8s.StaticPodServerStatusID)},
		func(ctx context.Context, rt *reconcile.Runtime, _ k8s.KubeletConfig) (k8s.KubeletConfig, error) {
			cfg, err := reader.Read(ctx, rt)
			if err != nil {
				return k8s.KubeletConfig{}, err
			}

			if cfg == nil {
				return derive.None[k8s.KubeletConfig]()
			}

			pods, err := derive.Need[k8s.StaticPodServerStatus](ctx, rt, k8s.StaticPodServerStatusID)
			if err != nil {
				return k8s.KubeletConfig{}, err
			}

			machine, cluster := cfg.Machine(), cfg.Cluster()
			settings := machine.Kubelet

			spec := k8s.KubeletConfig{
				Image:                        settings.Image,
				ClusterDNS:                   settings.ClusterDNS,
				ClusterDomain:                cluster.Network.DNSDomain,
				ExtraArgs:                    argValues(settings.ExtraArgs),
				ExtraMounts:                  mounts(settings.ExtraMounts),
				ExtraConfig:                  settings.ExtraConfig,
				CloudProviderExternal:        cluster.ExternalCloudProvider,
				DefaultRuntimeSeccompEnabled: settings.DefaultSeccomp,
				SkipNodeRegistration:         machine.Node.SkipRegistration,
				StaticPodListURL:             pods.Spec.URL,
				DisableManifestsDirectory:    true,
				EnableFSQuotaMonitoring:      false,
				CredentialProviderConfig:     settings.CredentialProvider,
				RegisterWithTaints:           machine.Node.Taints,
			}

			if len(spec.ClusterDNS) == 0 {
				v4, v6 := dnsServiceIPs(cluster.Network.ServiceSubnets)
				for _, ip := range []string{v4, v6} {
					if ip != "" {
						spec.ClusterDNS = append(spec.ClusterDNS, ip)
					}
				}
			}

			return spec, nil
		})
}

func mounts(list []document.ExtraMount) []k8s.Mount {
	var out []k8s.Mount
	for _, m := range list {
		out = append(out, k8s.Mount{Destination: m.Destination, Type: m.Type, Source: m.Source, Options: m.Options})
	}

	return out
}

// KubeletFiles are where the kubelet's files go. They are the paths of package
// kubelet below a root, which is empty on a node.
type KubeletFiles struct{ Root string }

func (f KubeletFiles) write(path string, contents []byte, mode fs.FileMode) error {
	path = f.Root + path

	if current, err := os.ReadFile(path); err == nil && bytes.Equal(current, contents) {
		return nil
	}

	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}

	if err := renameio.WriteFile(path, contents, mode); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}

	return nil
}

// KubeletSpec says all that is needed to start the kubelet. When it appears or
// changes, the kubelet's files are as it needs them.
func KubeletSpec(host kubelet.Host, out KubeletFiles, now func() time.Time) reconcile.Controller {
	return derive.One("k8s.KubeletSpecController", k8s.KubeletID,
		[]reconcile.Input{
			derive.In[k8s.KubeletConfig](k8s.KubeletID),
			derive.In[k8s.Nodename](k8s.NodenameID),
			derive.In[k8s.NodeIP](k8s.KubeletID),
			derive.In[config.MachineType](config.MachineTypeID),
			derive.In[secretsresource.Kubelet](secretsresource.KubeletID),
		},
		func(ctx context.Context, rt *reconcile.Runtime, _ k8s.KubeletSpec) (k8s.KubeletSpec, error) {
			settings, err := derive.Find[k8s.KubeletConfig](ctx, rt, k8s.KubeletID)
			if err != nil {
				return k8s.KubeletSpec{}, err
			}

			if settings == nil {
				return derive.None[k8s.KubeletSpec]()
			}

			name, err := derive.Need[k8s.Nodename](ctx, rt, k8s.NodenameID)
			if err != nil {
				return k8s.KubeletSpec{}, err
			}

			ips, err := derive.Need[k8s.NodeIP](ctx, rt, k8s.KubeletID)
			if err != nil {
				return k8s.KubeletSpec{}, err
			}

			machine, err := derive.Need[config.MachineType](ctx, rt, config.MachineTypeID)
			if err != nil {
				return k8s.KubeletSpec{}, err
			}

			join, err := derive.Need[secretsresource.Kubelet](ctx, rt, secretsresource.KubeletID)
			if err != nil {
				return k8s.KubeletSpec{}, err
			}

			host := host
			host.ControlPlane = machine.Spec.Type.IsControlPlane()

			arguments, file, err := kubelet.Build(settings.Spec, kubelet.Node{Name: name.Spec.Nodename, IPs: ips.Spec.Addresses}, host)
			if err != nil {
				return k8s.KubeletSpec{}, err
			}

			spec := k8s.KubeletSpec{
				Image:                    settings.Spec.Image,
				Args:                     arguments,
				ExtraMounts:              settings.Spec.ExtraMounts,
				ExpectedNodename:         name.Spec.Nodename,
				Config:                   file,
				CredentialProviderConfig: settings.Spec.CredentialProviderConfig,
			}

			return spec, out.prepare(spec, join.Spec, now())
		})
}

// prepare writes the files that the kubelet reads at start, and removes what
// an earlier node of another name or cluster has left.
func (f KubeletFiles) prepare(spec k8s.KubeletSpec, join secretsresource.Kubelet, now time.Time) error {
	file, err := yaml.Marshal(spec.Config)
	if err != nil {
		return fmt.Errorf("rendering the kubelet's configuration: %w", err)
	}

	bootstrap, err := bootstrapKubeconfig(join)
	if err != nil {
		return err
	}

	if err := f.write(kubelet.ConfigFile, file, 0o600); err != nil {
		return err
	}

	if err := f.write(kubelet.CAFile, authorities(join.AcceptedCAs), 0o644); err != nil {
		return err
	}

	if err := f.write(kubelet.BootstrapKubeconfig, bootstrap, 0o600); err != nil {
		return err
	}

	if len(spec.CredentialProviderConfig) > 0 {
		provider, err := yaml.Marshal(spec.CredentialProviderConfig)
		if err != nil {
			return fmt.Errorf("rendering the kubelet's credential providers: %w", err)
		}

		if err := f.write(kubelet.CredentialProviderConfigFile, provider, 0o600); err != nil {
			return err
		}
	}

	// The kubeconfig that the kubelet made names the API's address and
	// authority of the time. The kubelet makes it anew from the bootstrap one.
	return f.dropStale(spec.ExpectedNodename, authorities(join.AcceptedCAs), bootstrap, now)
}

// dropStale removes the kubelet's own credentials when they are not, or no
// longer, good for this node in this cluster.
func (f KubeletFiles) dropStale(nodename string, cas, bootstrap []byte, now time.Time) error {
	text, err := os.ReadFile(f.Root + kubelet.ClientCertificate)

	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("reading the kubelet's certificate: %w", err)
	case !usable(text, nodename, cas, now):
		if err := os.RemoveAll(f.Root + kubelet.PKIDir); err != nil {
			return fmt.Errorf("removing the kubelet's old certificates: %w", err)
		}
	default:
		if server(bootstrap) == serverOf(f.Root+kubelet.Kubeconfig) {
			return nil
		}
	}

	if err := os.Remove(f.Root + kubelet.Kubeconfig); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the kubelet's old kubeconfig: %w", err)
	}

	return nil
}

// usable reports whether a client certificate is of the node and of one of the
// authorities, and has not ended.
func usable(text []byte, nodename string, cas []byte, now time.Time) bool {
	cert, err := secrets.ParseCertificate(text)
	if err != nil || cert.Subject.CommonName != "system:node:"+nodename || now.After(cert.NotAfter) {
		return false
	}

	roots, err := secrets.ParseCertificates(cas)
	if err != nil {
		return false
	}

	for _, root := range roots {
		if cert.CheckSignatureFrom(root) == nil {
			return true
		}
	}

	return false
}

func serverOf(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}

	return server(text)
}

// server is the API's address and authority in a kubeconfig, as one text.
func server(kubeconfig []byte) string {
	var parsed struct {
		Clusters []struct {
			Cluster struct {
				Server string `json:"server"`
			} `json:"cluster"`
		} `json:"clusters"`
	}

	if err := yaml.Unmarshal(kubeconfig, &parsed); err != nil || len(parsed.Clusters) == 0 {
		return ""
	}

	return parsed.Clusters[0].Cluster.Server
}

// bootstrapKubeconfig is what a kubelet without a certificate asks for one
// with.
func bootstrapKubeconfig(join secretsresource.Kubelet) ([]byte, error) {
	cluster := map[string]any{
		"server":                     join.Endpoint.String(),
		"certificate-authority-data": base64.StdEncoding.EncodeToString(authorities(join.AcceptedCAs)),
	}
	if join.EndpointTLSServerName != "" {
		cluster["tls-server-name"] = join.EndpointTLSServerName
	}

	text, err := yaml.Marshal(map[string]any{
		"apiVersion":      "v1",
		"kind":            "Config",
		"clusters":        []any{map[string]any{"name": "local", "cluster": cluster}},
		"users":           []any{map[string]any{"name": "kubelet", "user": map[string]any{"token": join.BootstrapTokenID + "." + join.BootstrapTokenSecret}}},
		"contexts":        []any{map[string]any{"name": "local", "context": map[string]any{"cluster": "local", "user": "kubelet"}}},
		"current-context": "local",
	})
	if err != nil {
		return nil, fmt.Errorf("rendering the kubelet's bootstrap kubeconfig: %w", err)
	}

	return text, nil
}

func authorities(list []*pki.Certificate) []byte {
	var out bytes.Buffer

	for _, c := range list {
		out.Write(bytes.TrimSpace(c.Crt))
		out.WriteByte('\n')
	}

	return out.Bytes()
}

// kubeconfigInterval is how often the kubelet's kubeconfig is looked for.
const kubeconfigInterval = 2 * time.Second

// KubeletKubeconfig tells when the kubelet has got its own credentials.
func KubeletKubeconfig(in KubeletFiles) reconcile.Controller {
	return derive.One("k8s.KubeletKubeconfigController", k8s.KubeletID,
		[]reconcile.Input{derive.In[k8s.KubeletSpec](k8s.KubeletID)},
		func(_ context.Context, rt *reconcile.Runtime, _ k8s.KubeletKubeconfig) (k8s.KubeletKubeconfig, error) {
			rt.RequeueAfter(kubeconfigInterval)

			text, err := os.ReadFile(in.Root + kubelet.Kubeconfig)
			if errors.Is(err, fs.ErrNotExist) {
				return derive.None[k8s.KubeletKubeconfig]()
			}

			if err != nil {
				return k8s.KubeletKubeconfig{}, fmt.Errorf("reading the kubelet's kubeconfig: %w", err)
			}

			// The certificate changes in a file of its own.
			if _, err := os.Stat(in.Root + kubelet.ClientCertificate); err != nil {
				return derive.None[k8s.KubeletKubeconfig]()
			}

			sum := sha256.Sum256(text)

			return k8s.KubeletKubeconfig{Hash: hex.EncodeToString(sum[:])}, nil
		})
}

// KubeletStatus tells which kubelet runs.
func KubeletStatus() reconcile.Controller {
	return derive.One("k8s.KubeletStatusController", k8s.KubeletID,
		[]reconcile.Input{derive.In[k8s.KubeletSpec](k8s.KubeletID), reconcile.In[v1alpha1.Service]()},
		func(ctx context.Context, rt *reconcile.Runtime, _ k8s.KubeletStatus) (k8s.KubeletStatus, error) {
			services, err := resource.List[v1alpha1.Service](ctx, rt)
			if err != nil {
				return k8s.KubeletStatus{}, err
			}

			spec, err := derive.Find[k8s.KubeletSpec](ctx, rt, k8s.KubeletID)
			if err != nil {
				return k8s.KubeletStatus{}, err
			}

			for _, s := range services {
				if s.Meta.ID == serviceKubelet && s.Spec.Running && spec != nil {
					return k8s.KubeletStatus{Image: spec.Spec.Image}, nil
				}
			}

			return derive.None[k8s.KubeletStatus]()
		})
}
