// Package kubelet builds the kubelet's command line, configuration file and
// kubeconfig. Everything in it is pure; the service that runs the kubelet and
// the controller that writes the files use the results.
package kubelet

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/basalt-os/basalt/internal/controllers/args"
	"github.com/basalt-os/basalt/internal/resources/k8s"
)

// Paths of the kubelet's files. The kubelet sees them under the same names.
const (
	ConfigFile          = "/etc/kubernetes/kubelet.yaml"
	CAFile              = "/etc/kubernetes/pki/ca.crt"
	BootstrapKubeconfig = "/etc/kubernetes/bootstrap-kubeconfig"
	Kubeconfig          = "/etc/kubernetes/kubeconfig-kubelet"
	PKIDir              = "/var/lib/kubelet/pki"
	ClientCertificate   = PKIDir + "/kubelet-client-current.pem"

	CredentialProviderConfigFile = "/etc/kubernetes/kubelet-credential-provider-config.yaml"
	CredentialProviderBinDir     = "/usr/local/lib/kubelet/credentialproviders"

	// ResolvConf is what pods with the node's DNS policy get.
	ResolvConf = "/system/resolved/resolv.conf"
	// ManifestsDir holds static pods of the legacy kind.
	ManifestsDir = "/etc/kubernetes/manifests"
	// RuntimeEndpoint is where the container runtime listens.
	RuntimeEndpoint = "unix:///run/containerd/containerd.sock"
)

// Host is what the kubelet's configuration has to know of the machine.
type Host struct {
	// Container is set on a node that shares its kernel with a host: it can
	// neither set kernel parameters nor does its disk belong to it.
	Container bool
	// CgroupV1 is set where the controllers are on cgroup v1 hierarchies.
	CgroupV1 bool
	// ControlPlane nodes keep more memory for themselves.
	ControlPlane bool
}

// Node is who the kubelet is.
type Node struct {
	Name string
	IPs  []netip.Addr
}

var argPolicies = map[string]args.Policy{
	"bootstrap-kubeconfig":       args.Deny,
	"kubeconfig":                 args.Deny,
	"config":                     args.Deny,
	"cert-dir":                   args.Deny,
	"container-runtime-endpoint": args.Deny,
	"feature-gates":              args.Append,
	"node-labels":                args.Append,
}

// protected are the keys of the configuration file that belong to the system.
var protected = []string{
	"apiVersion", "kind", "port", "staticPodURL", "staticPodURLHeader", "staticPodPath",
	"tlsCertFile", "tlsPrivateKeyFile", "rotateCertificates", "authentication", "authorization",
	"clusterDomain", "clusterDNS", "cgroupRoot", "systemCgroups", "kubeletCgroups", "resolvConf",
	"containerRuntimeEndpoint",
}

// Build returns the arguments, without the program's name, and the
// configuration file's contents.
func Build(config k8s.KubeletConfig, node Node, host Host) ([]string, map[string]any, error) {
	flags := args.Args{
		"config":            {ConfigFile},
		"cert-dir":          {PKIDir},
		"hostname-override": {node.Name},
	}

	if !config.SkipNodeRegistration {
		flags.Set("bootstrap-kubeconfig", BootstrapKubeconfig).Set("kubeconfig", Kubeconfig)
	}

	if config.CloudProviderExternal {
		flags.Set("cloud-provider", "external")
	}

	if len(config.CredentialProviderConfig) > 0 {
		flags.Set("image-credential-provider-config", CredentialProviderConfigFile)
		flags.Set("image-credential-provider-bin-dir", CredentialProviderBinDir)
	}

	// With an external cloud provider, which may know better, --node-ip still
	// says which family comes first.
	if len(node.IPs) > 0 {
		text := make([]string, len(node.IPs))
		for i, ip := range node.IPs {
			text[i] = ip.String()
		}

		flags.Set("node-ip", strings.Join(text, ","))
	}

	extra := make(map[string][]string, len(config.ExtraArgs))
	for name, v := range config.ExtraArgs {
		extra[name] = v.Values
	}

	if err := flags.Merge(extra, argPolicies); err != nil {
		return nil, nil, fmt.Errorf("merging kubelet arguments: %w", err)
	}

	file, err := configuration(config, host)
	if err != nil {
		return nil, nil, err
	}

	return flags.List(), file, nil
}

func configuration(config k8s.KubeletConfig, host Host) (map[string]any, error) {
	file := base(host)
	file["clusterDomain"] = config.ClusterDomain
	file["clusterDNS"] = toAny(config.ClusterDNS)
	file["seccompDefault"] = config.DefaultRuntimeSeccompEnabled

	if config.StaticPodListURL != "" {
		file["staticPodURL"] = config.StaticPodListURL
	}

	if !config.DisableManifestsDirectory {
		file["staticPodPath"] = ManifestsDir
	}

	if config.SkipNodeRegistration {
		file["registerNode"] = false
		file["authentication"].(map[string]any)["webhook"] = map[string]any{"enabled": false}
		file["authorization"] = map[string]any{"mode": "AlwaysAllow"}
	}

	if taints := registrationTaints(config.RegisterWithTaints); len(taints) > 0 {
		file["registerWithTaints"] = taints
	}

	if config.EnableFSQuotaMonitoring {
		file["featureGates"] = map[string]any{"LocalStorageCapacityIsolationFSQuotaMonitoring": true}
	}

	var refused []string

	for key := range config.ExtraConfig {
		if slices.Contains(protected, key) {
			refused = append(refused, key)
		}
	}

	if len(refused) > 0 {
		slices.Sort(refused)

		return nil, fmt.Errorf("kubelet configuration fields %s cannot be set: the system sets them", strings.Join(refused, ", "))
	}

	overlay(file, config.ExtraConfig)

	return file, nil
}

func base(host Host) map[string]any {
	reserved := "384Mi"
	if host.ControlPlane {
		reserved = "512Mi"
	}

	file := map[string]any{
		"apiVersion": "kubelet.config.k8s.io/v1beta1",
		"kind":       "KubeletConfiguration",
		"address":    "0.0.0.0",
		"port":       int64(10250),
		"authentication": map[string]any{
			"anonymous": map[string]any{"enabled": false},
			"webhook":   map[string]any{"enabled": true, "cacheTTL": "0s"},
			"x509":      map[string]any{"clientCAFile": CAFile},
		},
		"authorization":                  map[string]any{"mode": "Webhook"},
		"cgroupDriver":                   "cgroupfs",
		"cgroupRoot":                     "/",
		"containerRuntimeEndpoint":       RuntimeEndpoint,
		"failSwapOn":                     false,
		"httpCheckFrequency":             "1s",
		"logging":                        map[string]any{"format": "json"},
		"oomScoreAdj":                    int64(-450),
		"protectKernelDefaults":          !host.Container,
		"resolvConf":                     ResolvConf,
		"rotateCertificates":             true,
		"serializeImagePulls":            false,
		"streamingConnectionIdleTimeout": "5m",
		"systemReserved": map[string]any{
			"cpu": "50m", "memory": reserved, "pid": "100", "ephemeral-storage": "256Mi",
		},
		"tlsMinVersion":   "VersionTLS13",
		"volumePluginDir": "/var/lib/kubelet/volumeplugins",
	}

	if host.CgroupV1 {
		file["failCgroupV1"] = false
	}

	if host.Container {
		// The disk is the host's: how full it is says nothing of this node.
		file["evictionHard"] = map[string]any{
			"memory.available": "100Mi", "nodefs.available": "0%", "nodefs.inodesFree": "0%", "imagefs.available": "0%",
		}
		file["imageGCHighThresholdPercent"] = int64(100)
	} else {
		file["systemCgroups"] = "/system"
		file["kubeletCgroups"] = "/podruntime/kubelet"
		file["shutdownGracePeriod"] = "30s"
		file["shutdownGracePeriodCriticalPods"] = "10s"
	}

	return file
}

// registrationTaints turns "key: value:Effect" into the kubelet's form. The
// value and its colon may be missing.
func registrationTaints(taints map[string]string) []any {
	var out []any

	for _, key := range slices.Sorted(maps.Keys(taints)) {
		value, effect := SplitTaint(taints[key])
		taint := map[string]any{"key": key, "effect": effect}

		if value != "" {
			taint["value"] = value
		}

		out = append(out, taint)
	}

	return out
}

// SplitTaint parses "value:Effect" or "Effect".
func SplitTaint(text string) (value, effect string) {
	if value, effect, ok := strings.Cut(text, ":"); ok {
		return value, effect
	}

	return "", text
}

// overlay puts the values of top over base, key by key where both are maps.
func overlay(base, top map[string]any) {
	for key, value := range top {
		below, ok := base[key].(map[string]any)
		above, both := value.(map[string]any)

		if ok && both {
			overlay(below, above)

			continue
		}

		base[key] = value
	}
}

func toAny(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}

	return out
}
