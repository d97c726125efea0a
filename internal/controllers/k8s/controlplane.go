package k8s

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"

	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/controllers/files"
	"github.com/basalt-os/basalt/internal/controllers/k8s/staticpod"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/k8s"
	"github.com/basalt-os/basalt/internal/resources/pki"
	"github.com/basalt-os/basalt/internal/resources/secrets"
	"github.com/basalt-os/basalt/internal/resources/v1alpha1"
	pkgsecrets "github.com/basalt-os/basalt/pkg/secrets"
)

// rendered are the files of the components.
type rendered map[string]map[string]files.File

// write writes the files below a root and returns their version: the same
// files have the same one. Files named in changing may change without it.
func (r rendered) write(root string, changing ...string) (string, error) {
	hash := sha256.New()

	for _, component := range slices.Sorted(maps.Keys(r)) {
		folder := files.Folder{Path: filepath.Join(root, component), Owner: users[component]}
		if err := folder.Write(r[component]); err != nil {
			return "", err
		}

		for _, name := range slices.Sorted(maps.Keys(r[component])) {
			if !slices.Contains(changing, name) {
				fmt.Fprintf(hash, "%s/%s\x00%s\x00", component, name, r[component][name].Contents)
			}
		}
	}

	return hex.EncodeToString(hash.Sum(nil))[:16], nil
}

var users = map[string]int{
	staticpod.APIServer:         staticpod.APIServerUser,
	staticpod.ControllerManager: staticpod.ControllerManagerUser,
	staticpod.Scheduler:         staticpod.SchedulerUser,
}

// rotating are the files that the API server reads again while it runs.
var rotating = []string{
	staticpod.FileServingCert, staticpod.FileServingKey, staticpod.FileKubeletCert, staticpod.FileKubeletKey,
	staticpod.FileFrontProxyCert, staticpod.FileFrontProxyKey,
}

// StaticPodSecrets writes the secrets that the control plane's pods mount.
func StaticPodSecrets(root string) reconcile.Controller {
	return derive.One("k8s.RenderSecretsStaticPodController", k8s.StaticPodSecretsID,
		[]reconcile.Input{
			derive.In[secrets.KubernetesRoot](secrets.KubernetesRootID),
			derive.In[secrets.Kubernetes](secrets.KubernetesID),
			derive.In[secrets.KubernetesDynamicCerts](secrets.KubernetesDynamicCertsID),
			derive.In[secrets.EtcdRoot](secrets.EtcdRootID),
			derive.In[secrets.Etcd](secrets.EtcdID),
			derive.In[k8s.EtcdEncryptionConfig](k8s.EtcdEncryptionConfigID),
		},
		func(ctx context.Context, rt *reconcile.Runtime, _ k8s.SecretsStatus) (k8s.SecretsStatus, error) {
			in, err := readSecrets(ctx, rt)
			if err != nil {
				return k8s.SecretsStatus{}, err
			}

			if in == nil {
				return derive.None[k8s.SecretsStatus]()
			}

			out, err := in.render()
			if err != nil {
				return k8s.SecretsStatus{}, err
			}

			version, err := out.write(root, rotating...)
			if err != nil {
				return k8s.SecretsStatus{}, err
			}

			return k8s.SecretsStatus{Ready: true, Version: version}, nil
		})
}

// secretInputs are what the secrets of the control plane are made of.
type secretInputs struct {
	root       secrets.KubernetesRoot
	configs    secrets.Kubernetes
	certs      secrets.KubernetesDynamicCerts
	etcdRoot   secrets.EtcdRoot
	etcd       secrets.Etcd
	encryption k8s.EtcdEncryptionConfig
}

// readSecrets returns nil on a node that runs no control plane.
func readSecrets(ctx context.Context, rt *reconcile.Runtime) (*secretInputs, error) {
	root, err := derive.Find[secrets.KubernetesRoot](ctx, rt, secrets.KubernetesRootID)
	if err != nil || root == nil {
		return nil, err
	}

	configs, err := derive.Need[secrets.Kubernetes](ctx, rt, secrets.KubernetesID)
	if err != nil {
		return nil, err
	}

	certs, err := derive.Need[secrets.KubernetesDynamicCerts](ctx, rt, secrets.KubernetesDynamicCertsID)
	if err != nil {
		return nil, err
	}

	etcdRoot, err := derive.Need[secrets.EtcdRoot](ctx, rt, secrets.EtcdRootID)
	if err != nil {
		return nil, err
	}

	etcd, err := derive.Need[secrets.Etcd](ctx, rt, secrets.EtcdID)
	if err != nil {
		return nil, err
	}

	encryption, err := derive.Need[k8s.EtcdEncryptionConfig](ctx, rt, k8s.EtcdEncryptionConfigID)
	if err != nil {
		return nil, err
	}

	return &secretInputs{root.Spec, configs.Spec, certs.Spec, etcdRoot.Spec, etcd.Spec, encryption.Spec}, nil
}

func (s secretInputs) render() (rendered, error) {
	public := func(text []byte) files.File { return files.File{Contents: text} }
	secret := func(text []byte) files.File { return files.File{Contents: text, Secret: true} }
	bundle := authorities(s.root.AcceptedCAs)

	accountKeys, err := serviceAccountKeys(s.root)
	if err != nil {
		return nil, err
	}

	return rendered{
		staticpod.APIServer: {
			staticpod.FileEtcdCA:           public(s.etcdRoot.EtcdCA.Crt),
			staticpod.FileEtcdCert:         public(s.etcd.EtcdAPIServer.Crt),
			staticpod.FileEtcdKey:          secret(s.etcd.EtcdAPIServer.Key),
			staticpod.FileCABundle:         public(bundle),
			staticpod.FileServingCert:      public(s.certs.APIServer.Crt),
			staticpod.FileServingKey:       secret(s.certs.APIServer.Key),
			staticpod.FileKubeletCert:      public(s.certs.APIServerKubeletClient.Crt),
			staticpod.FileKubeletKey:       secret(s.certs.APIServerKubeletClient.Key),
			staticpod.FileServiceKey:       secret(s.root.ServiceAccount.Key),
			staticpod.FileServicePub:       public(accountKeys),
			staticpod.FileAggregatorCA:     public(authorities(s.root.AcceptedAggregatorCAs)),
			staticpod.FileFrontProxyCert:   public(s.certs.FrontProxy.Crt),
			staticpod.FileFrontProxyKey:    secret(s.certs.FrontProxy.Key),
			staticpod.FileEncryptionConfig: secret([]byte(s.encryption.Configuration)),
		},
		staticpod.ControllerManager: {
			staticpod.FileCA:         public(s.root.IssuingCA.Crt),
			staticpod.FileCAKey:      secret(s.root.IssuingCA.Key),
			staticpod.FileCABundle:   public(bundle),
			staticpod.FileServiceKey: secret(s.root.ServiceAccount.Key),
			staticpod.FileKubeconfig: secret([]byte(s.configs.ControllerManagerKubeconfig)),
		},
		staticpod.Scheduler: {
			staticpod.FileKubeconfig: secret([]byte(s.configs.SchedulerKubeconfig)),
		},
	}, nil
}

// serviceAccountKeys are the keys that tokens are checked with: the public half
// of the one that signs, then those of earlier ones.
func serviceAccountKeys(root secrets.KubernetesRoot) ([]byte, error) {
	key, err := pkgsecrets.ParseKey(root.ServiceAccount.Key)
	if err != nil {
		return nil, fmt.Errorf("reading the service account key: %w", err)
	}

	public, err := pkgsecrets.EncodePublicKey(key)
	if err != nil {
		return nil, fmt.Errorf("reading the service account key: %w", err)
	}

	list := []*pki.Certificate{{Crt: pki.PEM(public)}}
	for _, k := range root.ServiceAccountAcceptedKeys {
		list = append(list, &pki.Certificate{Crt: k.Key})
	}

	return authorities(list), nil
}

// StaticPodConfigs writes the configuration files that the control plane's
// pods mount.
func StaticPodConfigs(root string) reconcile.Controller {
	return derive.One("k8s.RenderConfigsStaticPodController", k8s.StaticPodConfigID,
		[]reconcile.Input{
			derive.In[k8s.AdmissionControlConfig](k8s.AdmissionControlConfigID),
			derive.In[k8s.AuditPolicyConfig](k8s.AuditPolicyConfigID),
			derive.In[k8s.AuthenticationConfig](k8s.AuthenticationConfigID),
			derive.In[k8s.AuthorizationConfig](k8s.AuthorizationConfigID),
			derive.In[k8s.SchedulerConfig](k8s.SchedulerID),
		},
		func(ctx context.Context, rt *reconcile.Runtime, _ k8s.ConfigStatus) (k8s.ConfigStatus, error) {
			admission, err := derive.Find[k8s.AdmissionControlConfig](ctx, rt, k8s.AdmissionControlConfigID)
			if err != nil {
				return k8s.ConfigStatus{}, err
			}

			if admission == nil {
				return derive.None[k8s.ConfigStatus]()
			}

			audit, err := derive.Need[k8s.AuditPolicyConfig](ctx, rt, k8s.AuditPolicyConfigID)
			if err != nil {
				return k8s.ConfigStatus{}, err
			}

			authentication, err := derive.Need[k8s.AuthenticationConfig](ctx, rt, k8s.AuthenticationConfigID)
			if err != nil {
				return k8s.ConfigStatus{}, err
			}

			authorization, err := derive.Need[k8s.AuthorizationConfig](ctx, rt, k8s.AuthorizationConfigID)
			if err != nil {
				return k8s.ConfigStatus{}, err
			}

			scheduler, err := derive.Need[k8s.SchedulerConfig](ctx, rt, k8s.SchedulerID)
			if err != nil {
				return k8s.ConfigStatus{}, err
			}

			out, err := renderConfigs(admission.Spec, audit.Spec, authentication.Spec, authorization.Spec, scheduler.Spec)
			if err != nil {
				return k8s.ConfigStatus{}, err
			}

			version, err := out.write(root)
			if err != nil {
				return k8s.ConfigStatus{}, err
			}

			return k8s.ConfigStatus{Ready: true, Version: version}, nil
		})
}

func renderConfigs(
	admission k8s.AdmissionControlConfig, audit k8s.AuditPolicyConfig, authentication k8s.AuthenticationConfig,
	authorization k8s.AuthorizationConfig, scheduler k8s.SchedulerConfig,
) (rendered, error) {
	out := rendered{staticpod.APIServer: {}, staticpod.ControllerManager: {}, staticpod.Scheduler: {}}

	for _, f := range []struct {
		component, name string
		object          map[string]any
	}{
		{staticpod.APIServer, staticpod.FileAdmissionConfig, admissionFile(admission)},
		{staticpod.APIServer, staticpod.FileAuditPolicy, audit.Config},
		{staticpod.APIServer, staticpod.FileAuthorizationConfig, authorizationFile(authorization)},
		{staticpod.APIServer, staticpod.FileAuthenticationConfig, authenticationFile(authentication)},
		{staticpod.Scheduler, staticpod.FileSchedulerConfig, schedulerFile(scheduler)},
	} {
		text, err := yaml.Marshal(f.object)
		if err != nil {
			return nil, fmt.Errorf("rendering %s of %s: %w", f.name, f.component, err)
		}

		out[f.component][f.name] = files.File{Contents: text}
	}

	return out, nil
}

func admissionFile(config k8s.AdmissionControlConfig) map[string]any {
	plugins := []any{}
	for _, p := range config.Config {
		plugins = append(plugins, map[string]any{"name": p.Name, "configuration": p.Configuration})
	}

	return map[string]any{
		"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AdmissionConfiguration", "plugins": plugins,
	}
}

func authorizationFile(config k8s.AuthorizationConfig) map[string]any {
	authorizers := []any{}

	for _, a := range config.Config {
		authorizer := map[string]any{"type": a.Type, "name": a.Name}
		if len(a.Webhook) > 0 {
			authorizer["webhook"] = a.Webhook
		}

		authorizers = append(authorizers, authorizer)
	}

	return map[string]any{
		"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthorizationConfiguration", "authorizers": authorizers,
	}
}

func authenticationFile(config k8s.AuthenticationConfig) map[string]any {
	file := map[string]any{"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration"}
	maps.Copy(file, config.Config)

	return file
}

func schedulerFile(config k8s.SchedulerConfig) map[string]any {
	file := map[string]any{"apiVersion": "kubescheduler.config.k8s.io/v1", "kind": "KubeSchedulerConfiguration"}
	maps.Copy(file, config.Config)

	connection := map[string]any{}
	if configured, ok := file["clientConnection"].(map[string]any); ok {
		maps.Copy(connection, configured)
	}

	connection["kubeconfig"] = staticpod.SecretPath(staticpod.Scheduler, staticpod.FileKubeconfig)
	file["clientConnection"] = connection
	file["enableProfiling"] = false

	return file
}

// ControlPlanePods makes the static pods of the control plane once their files
// are there: the API server when etcd answers, the others when the API does.
func ControlPlanePods() reconcile.Controller {
	return derive.All("k8s.ControlPlaneStaticPodController",
		[]reconcile.Input{
			derive.In[k8s.APIServerConfig](k8s.APIServerID),
			derive.In[k8s.ControllerManagerConfig](k8s.ControllerManagerID),
			derive.In[k8s.SchedulerConfig](k8s.SchedulerID),
			derive.In[k8s.SecretsStatus](k8s.StaticPodSecretsID),
			derive.In[k8s.ConfigStatus](k8s.StaticPodConfigID),
			derive.In[secrets.KubernetesRoot](secrets.KubernetesRootID),
			derive.In[secrets.Kubernetes](secrets.KubernetesID),
			derive.In[v1alpha1.Service]("etcd"),
		},
		func(ctx context.Context, rt *reconcile.Runtime) (map[string]k8s.StaticPod, error) {
			server, err := derive.Find[k8s.APIServerConfig](ctx, rt, k8s.APIServerID)
			if err != nil || server == nil {
				return nil, err
			}

			manager, err := derive.Need[k8s.ControllerManagerConfig](ctx, rt, k8s.ControllerManagerID)
			if err != nil {
				return nil, err
			}

			scheduler, err := derive.Need[k8s.SchedulerConfig](ctx, rt, k8s.SchedulerID)
			if err != nil {
				return nil, err
			}

			secretFiles, err := derive.Need[k8s.SecretsStatus](ctx, rt, k8s.StaticPodSecretsID)
			if err != nil {
				return nil, err
			}

			configFiles, err := derive.Need[k8s.ConfigStatus](ctx, rt, k8s.StaticPodConfigID)
			if err != nil {
				return nil, err
			}

			root, err := derive.Need[secrets.KubernetesRoot](ctx, rt, secrets.KubernetesRootID)
			if err != nil {
				return nil, err
			}

			if err := etcdAnswered(ctx, rt); err != nil {
				return nil, err
			}

			versions := func(config uint64) staticpod.Versions {
				return staticpod.Versions{
					Config: fmt.Sprint(config), Secrets: secretFiles.Spec.Version, ConfigFiles: configFiles.Spec.Version,
				}
			}

			account := staticpod.ServiceAccount{
				Issuers:   append([]string{root.Spec.IssuerURL}, root.Spec.AcceptedIssuers...),
				Audiences: root.Spec.APIAudiences,
			}

			out := map[string]k8s.StaticPod{}

			pod, err := staticpod.NewAPIServer(server.Spec, account, versions(server.Meta.Version))
			if err := add(out, pod, err); err != nil {
				return nil, err
			}

			if start, err := clientsMayStart(ctx, rt); err != nil || !start {
				return out, err
			}

			return out, addClients(out, *manager, *scheduler, versions)
		})
}

// addClients adds the pods that work through the API.
func addClients(
	pods map[string]k8s.StaticPod, manager resource.Resource[k8s.ControllerManagerConfig],
	scheduler resource.Resource[k8s.SchedulerConfig], versions func(config uint64) staticpod.Versions,
) error {
	if manager.Spec.Enabled {
		pod, err := staticpod.NewControllerManager(manager.Spec, versions(manager.Meta.Version))
		if err := add(pods, pod, err); err != nil {
			return err
		}
	}

	if scheduler.Spec.Enabled {
		pod, err := staticpod.NewScheduler(scheduler.Spec, versions(scheduler.Meta.Version))
		if err := add(pods, pod, err); err != nil {
			return err
		}
	}

	return nil
}

func add(pods map[string]k8s.StaticPod, pod *corev1.Pod, err error) error {
	if err != nil {
		return err
	}

	object, err := staticpod.Unstructured(pod)
	if err != nil {
		return err
	}

	pods[pod.Name] = k8s.StaticPod{Pod: object}

	return nil
}

// etcdAnswered waits for etcd the first time. Pods that exist stay while etcd
// is away: they wait for it themselves.
func etcdAnswered(ctx context.Context, rt *reconcile.Runtime) error {
	if running, err := runs(ctx, rt, staticpod.APIServer); err != nil || running {
		return err
	}

	service, err := derive.Need[v1alpha1.Service](ctx, rt, "etcd")
	if err != nil {
		return err
	}

	if !service.Spec.Running || !service.Spec.Healthy {
		return reconcile.WaitingFor(resource.PointerOf[v1alpha1.Service]("etcd"), "it is not healthy")
	}

	return nil
}

// runs reports whether a pod was made already.
func runs(ctx context.Context, rt *reconcile.Runtime, pod string) (bool, error) {
	found, err := derive.Find[k8s.StaticPod](ctx, rt, pod)

	return found != nil, err
}

// clientsMayStart reports whether the API's own clients can work. They end when
// they cannot, and the kubelet has them wait long before their next try.
func clientsMayStart(ctx context.Context, rt *reconcile.Runtime) (bool, error) {
	if running, err := runs(ctx, rt, staticpod.ControllerManager); err != nil || running {
		return running, err
	}

	if running, err := runs(ctx, rt, staticpod.Scheduler); err != nil || running {
		return running, err
	}

	cfg, err := adminConfig(ctx, rt)
	if err != nil {
		return false, err
	}

	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return false, fmt.Errorf("connecting to Kubernetes: %w", err)
	}

	if serves(ctx, client) {
		return true, nil
	}

	rt.RequeueAfter(clientPause)

	return false, nil
}

// clientPause is how long to wait before the API is asked again whether its
// clients can work.
const clientPause = 300 * time.Millisecond
