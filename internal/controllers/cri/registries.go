// Package cri has the controllers that configure the container runtime: how it
// reaches image registries, and the base of its containers.
package cri

import (
	"context"
	"encoding/base64"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/controllers/derive"
	filewriter "github.com/basalt-os/basalt/internal/controllers/files"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resources/cri"
	"github.com/basalt-os/basalt/internal/resources/files"
	"github.com/basalt-os/basalt/internal/resources/pki"
	"github.com/basalt-os/basalt/pkg/machineconfig"
)

// Controllers are all controllers of this package. Profiles is the folder of
// the kubelet's seccomp profiles.
func Controllers(reader *configured.Reader, profiles filewriter.Folder) []reconcile.Controller {
	return []reconcile.Controller{
		Registries(reader), RegistryFiles(), SeccompProfiles(reader), SeccompFiles(profiles), BaseRuntimeSpec(reader),
		Customization(reader), ImageCache(),
	}
}

// hostsDir is below /etc; it holds a folder for each registry.
const hostsDir = "cri/conf.d/hosts"

// Registries takes from the configuration how registries are reached.
func Registries(reader *configured.Reader) reconcile.Controller {
	return configured.One(reader, "cri.RegistriesConfigController", cri.RegistriesConfigID,
		func(cfg *machineconfig.Config) (cri.RegistriesConfig, error) { return registries(cfg.Machine()), nil })
}

func registries(machine machineconfig.Machine) cri.RegistriesConfig {
	spec := cri.RegistriesConfig{
		RegistryMirrors: map[string]*cri.RegistryMirrorConfig{},
		RegistryAuths:   map[string]*cri.RegistryAuthConfig{},
		RegistryTLSs:    map[string]*cri.RegistryTLSConfig{},
	}

	for _, doc := range machine.RegistryMirrors {
		mirror := &cri.RegistryMirrorConfig{MirrorSkipFallback: isTrue(doc.SkipFallback)}
		for _, e := range doc.Endpoints {
			mirror.MirrorEndpoints = append(mirror.MirrorEndpoints, cri.RegistryEndpointConfig{
				EndpointEndpoint: e.URL.String(), EndpointOverridePath: isTrue(e.OverridePath),
			})
		}

		spec.RegistryMirrors[doc.Name] = mirror
	}

	for _, doc := range machine.RegistryAuth {
		spec.RegistryAuths[doc.Name] = &cri.RegistryAuthConfig{
			RegistryUsername: doc.Username, RegistryPassword: doc.Password,
			RegistryAuth: doc.Auth, RegistryIdentityToken: doc.IdentityToken,
		}
	}

	for _, doc := range machine.RegistryTLS {
		tls := &cri.RegistryTLSConfig{TLSCA: pki.PEM(doc.CA), TLSInsecureSkipVerify: isTrue(doc.InsecureSkipVerify)}
		if id := doc.ClientIdentity; id != nil {
			tls.TLSClientIdentity = &pki.CertificateAndKey{Crt: pki.PEM(id.Cert), Key: pki.PEM(id.Key)}
		}

		spec.RegistryTLSs[doc.Name] = tls
	}

	return spec
}

// RegistryFiles renders the folders of host configurations that the container
// runtime reads.
func RegistryFiles() reconcile.Controller {
	return derive.All("files.CRIRegistryConfigController",
		[]reconcile.Input{derive.In[cri.RegistriesConfig](cri.RegistriesConfigID)},
		func(ctx context.Context, rt *reconcile.Runtime) (map[string]files.EtcFileSpec, error) {
			spec, err := derive.Find[cri.RegistriesConfig](ctx, rt, cri.RegistriesConfigID)
			if err != nil || spec == nil {
				return nil, err
			}

			return hostFiles(spec.Spec)
		})
}

// hostFiles are the files below /etc by name.
func hostFiles(spec cri.RegistriesConfig) (map[string]files.EtcFileSpec, error) {
	names := map[string]bool{}
	for _, list := range [](func(func(string) bool)){maps.Keys(spec.RegistryMirrors), maps.Keys(spec.RegistryAuths), maps.Keys(spec.RegistryTLSs)} {
		for name := range list {
			names[name] = true
		}
	}

	out := map[string]files.EtcFileSpec{}

	for name := range names {
		text, err := hostsFile(name, spec)
		if err != nil {
			return nil, fmt.Errorf("rendering the host configuration of registry %s: %w", name, err)
		}

		dir := path.Join(hostsDir, folderOf(name))
		out[path.Join(dir, "hosts.toml")] = file(text, 0o600)

		if tls := spec.RegistryTLSs[name]; tls != nil {
			if len(tls.TLSCA) > 0 {
				out[path.Join(dir, "ca.crt")] = file(string(tls.TLSCA), 0o600)
			}

			if tls.TLSClientIdentity != nil {
				out[path.Join(dir, "client.crt")] = file(string(tls.TLSClientIdentity.Crt), 0o600)
				out[path.Join(dir, "client.key")] = file(string(tls.TLSClientIdentity.Key), 0o600)
			}
		}
	}

	return out, nil
}

func file(contents string, mode fs.FileMode) files.EtcFileSpec {
	return files.EtcFileSpec{Contents: contents, Mode: mode}
}

// folderOf is the name of a registry's folder. The runtime takes "_default" for
// all that have none of their own.
func folderOf(registry string) string {
	if registry == "*" {
		return "_default"
	}

	// A colon is not for paths: the runtime knows this form of a port too.
	if host, port, ok := strings.Cut(registry, ":"); ok {
		return host + "_" + port + "_"
	}

	return registry
}

// hostsFile is the host configuration of one registry: its mirrors in order,
// and the registry itself unless it must not be asked.
func hostsFile(registry string, spec cri.RegistriesConfig) (string, error) {
	var b strings.Builder

	mirror := spec.RegistryMirrors[registry]
	if mirror == nil {
		mirror = &cri.RegistryMirrorConfig{}
	}

	// Without a server of its own the runtime asks the registry last.
	if n := len(mirror.MirrorEndpoints); mirror.MirrorSkipFallback && n > 0 {
		fmt.Fprintf(&b, "server = %s\n\n", strconv.Quote(mirror.MirrorEndpoints[n-1].EndpointEndpoint))
	}

	endpoints := mirror.MirrorEndpoints

	hasOwn := spec.RegistryAuths[registry] != nil || spec.RegistryTLSs[registry] != nil
	if hasOwn && !mirror.MirrorSkipFallback && registry != "*" {
		endpoints = append(slices.Clone(endpoints), cri.RegistryEndpointConfig{EndpointEndpoint: "https://" + serverOf(registry)})
	}

	for _, e := range endpoints {
		u, err := url.Parse(e.EndpointEndpoint)
		if err != nil {
			return "", fmt.Errorf("parsing endpoint %q: %w", e.EndpointEndpoint, err)
		}

		fmt.Fprintf(&b, "[host.%s]\n  capabilities = [\"pull\", \"resolve\"]\n", strconv.Quote(e.EndpointEndpoint))

		if e.EndpointOverridePath {
			b.WriteString("  override_path = true\n")
		}

		host := u.Host
		if host == serverOf(registry) {
			host = registry
		}

		writeTLS(&b, host, spec.RegistryTLSs[host])

		if header := authorization(spec.RegistryAuths[host]); header != "" {
			fmt.Fprintf(&b, "  [host.%s.header]\n    authorization = %s\n", strconv.Quote(e.EndpointEndpoint), strconv.Quote(header))
		}

		b.WriteByte('\n')
	}

	return b.String(), nil
}

// serverOf is the host that serves a registry: one registry is known by
// another name than its server's.
func serverOf(registry string) string {
	if registry == "docker.io" {
		return "registry-1.docker.io"
	}

	return registry
}

func writeTLS(b *strings.Builder, host string, tls *cri.RegistryTLSConfig) {
	if tls == nil {
		return
	}

	at := func(name string) string { return strconv.Quote(path.Join("/etc", hostsDir, folderOf(host), name)) }

	if len(tls.TLSCA) > 0 {
		fmt.Fprintf(b, "  ca = %s\n", at("ca.crt"))
	}

	if tls.TLSClientIdentity != nil {
		fmt.Fprintf(b, "  client = [[%s, %s]]\n", at("client.crt"), at("client.key"))
	}

	if tls.TLSInsecureSkipVerify {
		b.WriteString("  skip_verify = true\n")
	}
}

// authorization is the header that proves who asks.
func authorization(auth *cri.RegistryAuthConfig) string {
	switch {
	case auth == nil:
		return ""
	case auth.RegistryAuth != "":
		return "Basic " + auth.RegistryAuth
	case auth.RegistryIdentityToken != "":
		return "Bearer " + auth.RegistryIdentityToken
	case auth.RegistryUsername != "":
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(auth.RegistryUsername+":"+auth.RegistryPassword))
	default:
		return ""
	}
}

func isTrue(b *bool) bool { return b != nil && *b }
