package staticpod

import (
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/basalt-os/basalt/internal/controllers/args"
	"github.com/basalt-os/basalt/internal/resources/k8s"
)

// Names of files in a component's folders.
const (
	FileCA               = "ca.crt"
	FileCAKey            = "ca.key"
	FileCABundle         = "ca-bundle.crt"
	FileEtcdCA           = "etcd-client-ca.crt"
	FileEtcdCert         = "etcd-client.crt"
	FileEtcdKey          = "etcd-client.key"
	FileServingCert      = "apiserver.crt"
	FileServingKey       = "apiserver.key"
	FileKubeletCert      = "apiserver-kubelet-client.crt"
	FileKubeletKey       = "apiserver-kubelet-client.key"
	FileServiceKey       = "service-account.key"
	FileServicePub       = "service-account.pub"
	FileAggregatorCA     = "aggregator-ca.crt"
	FileFrontProxyCert   = "front-proxy-client.crt"
	FileFrontProxyKey    = "front-proxy-client.key"
	FileEncryptionConfig = "encryptionconfig.yaml"
	FileKubeconfig       = "kubeconfig"

	FileAdmissionConfig      = "admission-control-config.yaml"
	FileAuditPolicy          = "auditpolicy.yaml"
	FileAuthorizationConfig  = "authorization-config.yaml"
	FileAuthenticationConfig = "authentication-config.yaml"
	FileSchedulerConfig      = "scheduler-config.yaml"
)

// ServiceAccount is what the API server needs to know about the tokens that
// it signs and accepts.
type ServiceAccount struct {
	// Issuers are the accepted issuers; the first one signs.
	Issuers []string
	// Audiences are those that the API itself accepts.
	Audiences []string
}

var apiServerPolicies = map[string]args.Policy{
	"enable-admission-plugins":         args.Append,
	"feature-gates":                    args.Append,
	"etcd-servers":                     args.Deny,
	"client-ca-file":                   args.Deny,
	"requestheader-client-ca-file":     args.Deny,
	"proxy-client-cert-file":           args.Deny,
	"proxy-client-key-file":            args.Deny,
	"encryption-provider-config":       args.Deny,
	"etcd-cafile":                      args.Deny,
	"etcd-certfile":                    args.Deny,
	"etcd-keyfile":                     args.Deny,
	"kubelet-client-certificate":       args.Deny,
	"kubelet-client-key":               args.Deny,
	"service-account-key-file":         args.Deny,
	"service-account-signing-key-file": args.Deny,
	"tls-cert-file":                    args.Deny,
	"tls-private-key-file":             args.Deny,
}

// NewAPIServer is the pod of kube-apiserver.
func NewAPIServer(config k8s.APIServerConfig, account ServiceAccount, versions Versions) (*corev1.Pod, error) {
	flags := apiServerFlags(config, account)

	if err := flags.Merge(values(config.ExtraArgs), apiServerPolicies); err != nil {
		return nil, err
	}

	resources, err := requirements(config.Resources, "200m", "512Mi")
	if err != nil {
		return nil, err
	}

	return definition{
		name:    APIServer,
		image:   config.Image,
		command: append([]string{"/usr/local/bin/kube-apiserver"}, flags.List()...),
		user:    APIServerUser,
		env:     environment(config.EnvironmentVariables, config.Resources.Limits),
		volumes: append([]k8s.ExtraVolume{{Name: "audit", HostPath: AuditLogDir, MountPath: AuditLogDir}},
			config.ExtraVolumes...),
		resources:    resources,
		versions:     versions,
		probePort:    config.LocalPort,
		livez:        "/livez",
		readyz:       "/readyz",
		startup:      config.StartupProbesEnabled,
		anonymous:    config.UseAuthenticationConfig,
		capabilities: []corev1.Capability{"NET_BIND_SERVICE"},
	}.pod(), nil
}

func apiServerFlags(config k8s.APIServerConfig, account ServiceAccount) args.Args {
	secret := func(file string) string { return SecretPath(APIServer, file) }
	configFile := func(file string) string { return ConfigPath(APIServer, file) }

	flags := args.Args{
		"admission-control-config-file":      {configFile(FileAdmissionConfig)},
		"allow-privileged":                   {"true"},
		"api-audiences":                      {strings.Join(account.Audiences, ",")},
		"audit-log-maxage":                   {"30"},
		"audit-log-maxbackup":                {"10"},
		"audit-log-maxsize":                  {"100"},
		"audit-log-path":                     {AuditLogDir + "/kube-apiserver.log"},
		"audit-policy-file":                  {configFile(FileAuditPolicy)},
		"authorization-config":               {configFile(FileAuthorizationConfig)},
		"bind-address":                       {"0.0.0.0"},
		"client-ca-file":                     {secret(FileCABundle)},
		"enable-admission-plugins":           {"NodeRestriction"},
		"enable-bootstrap-token-auth":        {"true"},
		"encryption-provider-config":         {secret(FileEncryptionConfig)},
		"etcd-cafile":                        {secret(FileEtcdCA)},
		"etcd-certfile":                      {secret(FileEtcdCert)},
		"etcd-keyfile":                       {secret(FileEtcdKey)},
		"etcd-servers":                       {strings.Join(config.EtcdServers, ",")},
		"kubelet-client-certificate":         {secret(FileKubeletCert)},
		"kubelet-client-key":                 {secret(FileKubeletKey)},
		"kubelet-preferred-address-types":    {"InternalIP,ExternalIP,Hostname"},
		"profiling":                          {"false"},
		"proxy-client-cert-file":             {secret(FileFrontProxyCert)},
		"proxy-client-key-file":              {secret(FileFrontProxyKey)},
		"requestheader-allowed-names":        {"front-proxy-client"},
		"requestheader-client-ca-file":       {secret(FileAggregatorCA)},
		"requestheader-extra-headers-prefix": {"X-Remote-Extra-"},
		"requestheader-group-headers":        {"X-Remote-Group"},
		"requestheader-username-headers":     {"X-Remote-User"},
		"secure-port":                        {strconv.Itoa(config.LocalPort)},
		"service-account-issuer":             account.Issuers,
		"service-account-key-file":           {secret(FileServicePub)},
		"service-account-signing-key-file":   {secret(FileServiceKey)},
		"service-cluster-ip-range":           {strings.Join(config.ServiceCIDRs, ",")},
		"tls-cert-file":                      {secret(FileServingCert)},
		"tls-min-version":                    {"VersionTLS13"},
		"tls-private-key-file":               {secret(FileServingKey)},
	}

	if config.AdvertisedAddress != "" {
		flags.Set("advertise-address", config.AdvertisedAddress)
	}

	if config.CloudProvider != "" {
		flags.Set("cloud-provider", config.CloudProvider)
	}

	// A user who names an authorization mode on the command line has decided
	// against the file; the API server refuses both together.
	if _, ok := config.ExtraArgs["authorization-mode"]; ok {
		delete(flags, "authorization-config")
	}

	if config.UseAuthenticationConfig {
		flags.Set("authentication-config", configFile(FileAuthenticationConfig))
	} else {
		flags.Set("anonymous-auth", "false")
	}

	return flags
}

var controllerManagerPolicies = map[string]args.Policy{
	"feature-gates":                    args.Append,
	"service-cluster-ip-range":         args.Override,
	"service-account-private-key-file": args.Deny,
	"cluster-signing-cert-file":        args.Deny,
	"cluster-signing-key-file":         args.Deny,
	"root-ca-file":                     args.Deny,
}

// NewControllerManager is the pod of kube-controller-manager.
func NewControllerManager(config k8s.ControllerManagerConfig, versions Versions) (*corev1.Pod, error) {
	secret := func(file string) string { return SecretPath(ControllerManager, file) }

	flags := args.Args{
		"allocate-node-cidrs":              {"true"},
		"authentication-kubeconfig":        {secret(FileKubeconfig)},
		"authorization-kubeconfig":         {secret(FileKubeconfig)},
		"bind-address":                     {"127.0.0.1"},
		"cluster-cidr":                     {strings.Join(config.PodCIDRs, ",")},
		"cluster-signing-cert-file":        {secret(FileCA)},
		"cluster-signing-key-file":         {secret(FileCAKey)},
		"configure-cloud-routes":           {"false"},
		"controllers":                      {"*,tokencleaner"},
		"kubeconfig":                       {secret(FileKubeconfig)},
		"leader-elect":                     {"true"},
		"profiling":                        {"false"},
		"root-ca-file":                     {secret(FileCABundle)},
		"service-account-private-key-file": {secret(FileServiceKey)},
		"service-cluster-ip-range":         {strings.Join(config.ServiceCIDRs, ",")},
		"tls-min-version":                  {"VersionTLS13"},
		"use-service-account-credentials":  {"true"},
	}

	maskSizes(flags, config)

	if config.CloudProvider != "" {
		flags.Set("cloud-provider", config.CloudProvider)
	}

	if err := flags.Merge(values(config.ExtraArgs), controllerManagerPolicies); err != nil {
		return nil, err
	}

	resources, err := requirements(config.Resources, "50m", "256Mi")
	if err != nil {
		return nil, err
	}

	return definition{
		name:      ControllerManager,
		image:     config.Image,
		command:   append([]string{"/usr/local/bin/kube-controller-manager"}, flags.List()...),
		user:      ControllerManagerUser,
		env:       environment(config.EnvironmentVariables, config.Resources.Limits),
		volumes:   config.ExtraVolumes,
		resources: resources,
		versions:  versions,
		probePort: 10257,
		livez:     "/healthz",
		readyz:    "/healthz",
		startup:   true,
		anonymous: true,
	}.pod(), nil
}

// maskSizes sets the size of the nodes' pod subnets where it is configured.
// One flag serves a cluster of one family, two flags one of both.
func maskSizes(flags args.Args, config k8s.ControllerManagerConfig) {
	dual := slices.ContainsFunc(config.PodCIDRs, isIPv6) && slices.ContainsFunc(config.PodCIDRs, func(s string) bool { return !isIPv6(s) })

	for _, family := range []struct {
		size int
		ipv6 bool
		flag string
	}{
		{config.NodeCIDRMaskSizeIPv4, false, "node-cidr-mask-size-ipv4"},
		{config.NodeCIDRMaskSizeIPv6, true, "node-cidr-mask-size-ipv6"},
	} {
		if family.size == 0 || !slices.ContainsFunc(config.PodCIDRs, func(s string) bool { return isIPv6(s) == family.ipv6 }) {
			continue
		}

		if dual {
			flags.Set(family.flag, strconv.Itoa(family.size))
		} else {
			flags.Set("node-cidr-mask-size", strconv.Itoa(family.size))
		}
	}
}

func isIPv6(cidr string) bool { return strings.Contains(cidr, ":") }

var schedulerPolicies = map[string]args.Policy{
	"feature-gates": args.Append,
	"config":        args.Deny,
	"kubeconfig":    args.Deny,
}

// NewScheduler is the pod of kube-scheduler.
func NewScheduler(config k8s.SchedulerConfig, versions Versions) (*corev1.Pod, error) {
	kubeconfig := SecretPath(Scheduler, FileKubeconfig)

	flags := args.Args{
		"authentication-kubeconfig":              {kubeconfig},
		"authentication-tolerate-lookup-failure": {"false"},
		"authorization-kubeconfig":               {kubeconfig},
		"bind-address":                           {"127.0.0.1"},
		"config":                                 {ConfigPath(Scheduler, FileSchedulerConfig)},
		"leader-elect":                           {"true"},
		"tls-min-version":                        {"VersionTLS13"},
	}

	if err := flags.Merge(values(config.ExtraArgs), schedulerPolicies); err != nil {
		return nil, err
	}

	resources, err := requirements(config.Resources, "10m", "64Mi")
	if err != nil {
		return nil, err
	}

	return definition{
		name:      Scheduler,
		image:     config.Image,
		command:   append([]string{"/usr/local/bin/kube-scheduler"}, flags.List()...),
		user:      SchedulerUser,
		env:       environment(config.EnvironmentVariables, config.Resources.Limits),
		volumes:   config.ExtraVolumes,
		resources: resources,
		versions:  versions,
		probePort: 10259,
		livez:     "/livez",
		readyz:    "/readyz",
		startup:   true,
		anonymous: true,
	}.pod(), nil
}

func values(extra map[string]k8s.ArgValues) map[string][]string {
	out := make(map[string][]string, len(extra))
	for name, v := range extra {
		out[name] = v.Values
	}

	return out
}
