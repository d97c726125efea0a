package machineconfig

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/basalt-os/basalt/pkg/machineconfig/document"
)

// translator makes the documents that stand for what the document without a
// kind says in its older parts. Documents that the configuration has itself
// win over those.
type translator struct {
	machine document.Machine
	cluster document.Cluster
	written []any
	out     []any
	faults  Errors // with paths, without places
}

// translate is the documents for the older parts of v1.
func translate(v1 *document.V1Alpha1, written []any) ([]any, Errors) {
	t := &translator{machine: value(v1.Machine), cluster: value(v1.Cluster), written: written}

	t.system()
	t.registries()
	t.install()
	t.network()
	t.discovery()
	t.node()

	if t.cluster.ControlPlane != nil {
		t.kubernetes()
	}

	return t.out, t.faults
}

// add takes a document over unless it is there already.
func (t *translator) add(doc any) {
	same := func(other any) bool {
		return document.KindOf(other) == document.KindOf(doc) && document.NameOf(other) == document.NameOf(doc)
	}

	if !slices.ContainsFunc(t.written, same) {
		t.out = append(t.out, doc)
	}
}

func (t *translator) fault(path, format string, args ...any) {
	t.faults = append(t.faults, &Error{Path: path, Message: fmt.Sprintf(format, args...)})
}

// controlPlane reports whether the machine runs the control plane.
func (t *translator) controlPlane() bool {
	return machineType(t.machine.Type) == document.ControlPlane
}

// prefixes parses networks.
func (t *translator) prefixes(path string, texts []string) []netip.Prefix {
	var all []netip.Prefix

	for i, text := range texts {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			t.fault(fmt.Sprintf("%s[%d]", path, i), "found %q, expected a network such as 10.0.0.0/8", text)

			continue
		}

		all = append(all, prefix)
	}

	return all
}

// url parses a URL; an empty one is the zero value.
func (t *translator) url(path, text string) document.URL {
	if text == "" {
		return document.URL{}
	}

	u, err := document.ParseURL(text)
	if err != nil {
		t.fault(path, "found %q, expected an absolute URL", text)
	}

	return u
}

func (t *translator) system() {
	m := t.machine

	if len(m.Env) > 0 {
		t.add(&document.EnvironmentConfig{Variables: m.Env})
	}

	if len(m.Sysctls) > 0 {
		t.add(&document.SysctlConfig{Params: m.Sysctls})
	}

	if len(m.Sysfs) > 0 {
		t.add(&document.SysfsConfig{Params: m.Sysfs})
	}

	if m.Udev != nil {
		t.add(&document.UdevRulesConfig{Rules: m.Udev.Rules})
	}

	for _, module := range value(m.Kernel).Modules {
		t.add(&document.KernelModuleConfig{Name: module.Name, Parameters: module.Parameters})
	}

	if m.Time != nil {
		off := !value(m.Time.Disabled)
		t.add(&document.TimeSyncConfig{Enabled: &off, BootTimeout: m.Time.BootTimeout, NTP: &document.NTP{Servers: m.Time.Servers}})
	}

	if m.BaseRuntimeSpecOverrides != nil {
		t.add(&document.CRIBaseRuntimeSpecConfig{Overrides: m.BaseRuntimeSpecOverrides})
	}

	features := value(m.Features)

	if cache := features.ImageCache; cache != nil {
		t.add(&document.ImageCacheConfig{Local: &document.LocalImageCache{Enabled: cache.LocalEnabled}})
	}

	if access := value(features.KubernetesTalosAPIAccess); value(access.Enabled) {
		t.add(&document.KubeTalosAPIAccessConfig{
			AllowedRoles: access.AllowedRoles, AllowedKubernetesNamespaces: access.AllowedKubernetesNamespaces,
		})
	}

	if prism := value(features.KubePrism); value(prism.Enabled) {
		t.add(&document.KubePrismConfig{Port: or(prism.Port, defaultKubePrismPort)})
	}

	t.volumes()
}

// volumes is the encryption of the system volumes.
func (t *translator) volumes() {
	encryption := value(t.machine.SystemDiskEncryption)

	for _, volume := range []struct {
		name       string
		encryption *document.Encryption
	}{
		{"STATE", encryption.State},
		{"EPHEMERAL", encryption.Ephemeral},
	} {
		if volume.encryption != nil {
			t.add(&document.VolumeConfig{Name: volume.name, Encryption: volume.encryption})
		}
	}
}

func (t *translator) registries() {
	registries := value(t.machine.Registries)

	for _, name := range slices.Sorted(maps.Keys(registries.Mirrors)) {
		mirror := registries.Mirrors[name]
		doc := &document.RegistryMirrorConfig{Name: name, SkipFallback: mirror.SkipFallback}

		for i, endpoint := range mirror.Endpoints {
			path := fmt.Sprintf("machine.registries.mirrors.%s.endpoints[%d]", name, i)
			doc.Endpoints = append(doc.Endpoints, document.RegistryEndpoint{
				URL: t.url(path, endpoint), OverridePath: mirror.OverridePath,
			})
		}

		t.add(doc)
	}

	for _, name := range slices.Sorted(maps.Keys(registries.Config)) {
		settings := registries.Config[name]

		if auth := settings.Auth; auth != nil {
			t.add(&document.RegistryAuthConfig{
				Name: name, Username: auth.Username, Password: auth.Password,
				Auth: auth.Auth, IdentityToken: auth.IdentityToken,
			})
		}

		if tls := settings.TLS; tls != nil {
			doc := &document.RegistryTLSConfig{Name: name, CA: string(tls.CA), InsecureSkipVerify: tls.InsecureSkipVerify}
			if id := tls.ClientIdentity; id != nil {
				doc.ClientIdentity = &document.CertificateAndKey{Cert: string(id.Cert), Key: string(id.Key)}
			}

			t.add(doc)
		}
	}
}

func (t *translator) discovery() {
	if t.cluster.ID != "" || t.cluster.Secret != "" {
		t.add(&document.DiscoveryIdentityConfig{ClusterID: t.cluster.ID, ClusterSecret: t.cluster.Secret})
	}

	discovery := value(t.cluster.Discovery)
	service := value(value(discovery.Registries).Service)

	if !value(discovery.Enabled) || value(service.Disabled) {
		return
	}

	endpoint := service.Endpoint
	if endpoint.Host == "" {
		endpoint = t.url("", defaultDiscoveryService)
	}

	t.add(&document.DiscoveryServiceConfig{Name: "default", Endpoint: endpoint})
}
