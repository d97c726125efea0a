package machineconfig

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/basalt-os/basalt/pkg/client/clientconfig"
	"github.com/basalt-os/basalt/pkg/machineconfig/document"
	"github.com/basalt-os/basalt/pkg/secrets"
)

// Input says what to generate.
type Input struct {
	ClusterName string          // required
	Endpoint    string          // of the Kubernetes API, an https URL; required
	Secrets     *secrets.Bundle // required

	// Contract is the version of the wire, such as v1.14, whose nodes will read
	// the configuration. Up to v1.13 everything is in the document without a
	// kind. Empty: the newest.
	Contract          string
	KubernetesVersion string // empty: DefaultKubernetesVersion
	DNSDomain         string // empty: DefaultDNSDomain
	PodSubnets        []string
	ServiceSubnets    []string
	AdditionalSANs    []string // of the OS API and, on control plane nodes, the Kubernetes API

	InstallDisk     string           // empty: the configuration does not install
	InstallImage    string           // empty: the installer is the node's own
	RegistryMirrors []RegistryMirror // in the order of the documents
	NoDiscovery     bool             // do not use the public discovery service
	KubeSpan        bool             // mesh the machines over WireGuard
	Endpoints       []string         // of the OS API, for the client configuration
	Roles           []string         // of the client configuration; empty: os:admin
	CertTTL         time.Duration    // of the client configuration; zero: a year
	NotBefore       time.Time        // of the client certificate; zero: now

	Patches             []Patch // to both machine configurations
	ControlPlanePatches []Patch
	WorkerPatches       []Patch
}

// RegistryMirror sends what comes from a registry host to a mirror.
type RegistryMirror struct{ Host, Endpoint string }

// ParseRegistryMirror parses host=URL.
func ParseRegistryMirror(text string) (RegistryMirror, error) {
	host, endpoint, ok := strings.Cut(text, "=")
	if _, err := document.ParseURL(endpoint); !ok || host == "" || err != nil {
		return RegistryMirror{}, fmt.Errorf("registry mirror %q: expected <registry host>=<mirror URL>", text)
	}

	return RegistryMirror{Host: host, Endpoint: endpoint}, nil
}

// Output is a generated set of configurations.
type Output struct {
	ControlPlane *Config
	Worker       *Config
	Client       *clientconfig.Config
}

// Generate makes the configurations of a cluster. The same input gives the same
// machine configurations; the client certificate is new each time.
func Generate(in Input) (*Output, error) {
	g, err := newGenerator(in)
	if err != nil {
		return nil, err
	}

	var out Output

	if out.ControlPlane, err = g.machine(document.ControlPlane, in.ControlPlanePatches); err != nil {
		return nil, fmt.Errorf("generating control plane configuration: %w", err)
	}

	if out.Worker, err = g.machine(document.Worker, in.WorkerPatches); err != nil {
		return nil, fmt.Errorf("generating worker configuration: %w", err)
	}

	if out.Client, err = g.client(); err != nil {
		return nil, fmt.Errorf("generating client configuration: %w", err)
	}

	return &out, nil
}

// generator makes the documents of one machine.
type generator struct {
	Input
	endpoint document.URL
	legacy   bool
}

func newGenerator(in Input) (*generator, error) {
	if in.ClusterName == "" {
		return nil, errors.New("generating configuration: found no cluster name, expected one")
	}

	if in.Secrets == nil {
		return nil, errors.New("generating configuration: found no secrets, expected a bundle")
	}

	endpoint, err := ParseEndpoint(in.Endpoint)
	if err != nil {
		return nil, err
	}

	legacy, err := legacyContract(in.Contract)
	if err != nil {
		return nil, err
	}

	in.KubernetesVersion = or(in.KubernetesVersion, DefaultKubernetesVersion)
	in.DNSDomain = or(in.DNSDomain, DefaultDNSDomain)

	if len(in.PodSubnets) == 0 {
		in.PodSubnets = []string{DefaultPodSubnet}
	}

	if len(in.ServiceSubnets) == 0 {
		in.ServiceSubnets = []string{DefaultServiceSubnet}
	}

	return &generator{Input: in, endpoint: endpoint, legacy: legacy}, nil
}

// ParseEndpoint parses the address of a Kubernetes API: an https URL, or a host
// with or without a port.
func ParseEndpoint(text string) (document.URL, error) {
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}

	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" {
		return document.URL{}, fmt.Errorf("cluster endpoint %q: expected an https URL such as https://10.5.0.2:6443", text)
	}

	return document.URL{URL: *u}, nil
}

// legacyContract reports whether a version of the wire has everything in the
// document without a kind.
func legacyContract(version string) (bool, error) {
	const firstWithKinds = 14

	if version == "" {
		return false, nil
	}

	var major, minor int

	if _, err := fmt.Sscanf(strings.TrimPrefix(version, "v"), "%d.%d", &major, &minor); err != nil || major != 1 {
		return false, fmt.Errorf("version %q: expected a version such as v1.14", version)
	}

	return minor < firstWithKinds, nil
}

// machine makes the configuration of a type of machine.
func (g *generator) machine(machineType string, patches []Patch) (*Config, error) {
	var docs []any

	if g.legacy {
		docs = []any{g.legacyDocument(machineType)}
	} else {
		var err error
		if docs, err = g.documents(machineType); err != nil {
			return nil, err
		}
	}

	cfg, err := New(docs...)
	if err != nil {
		return nil, err
	}

	if cfg, err = cfg.Patch(g.Patches...); err != nil {
		return nil, err
	}

	return cfg.Patch(patches...)
}

// client makes the configuration of an administrator's client.
func (g *generator) client() (*clientconfig.Config, error) {
	ca, err := g.Secrets.OSAuthority()
	if err != nil {
		return nil, err
	}

	roles := g.Roles
	if len(roles) == 0 {
		roles = []string{"os:admin"}
	}

	pair, err := ca.IssueClient(secrets.Request{
		Organizations: roles, TTL: or(g.CertTTL, secrets.DefaultClientTTL), NotBefore: g.NotBefore,
	})
	if err != nil {
		return nil, err
	}

	return clientconfig.New(g.ClusterName, &clientconfig.Context{
		Endpoints: append([]string{}, g.Endpoints...), CA: ca.CertPEM(), Crt: pair.Cert, Key: pair.Key,
	}), nil
}

// authority is a certificate authority, with its key on control plane nodes.
func authority(pair secrets.KeyPair, machineType string) *document.Authority {
	ca := document.Authority(pair)
	if machineType != document.ControlPlane {
		ca.Key = nil
	}

	return &ca
}

func ptr[T any](v T) *T { return &v }
