// Package clientconfig reads and writes the client configuration file: where
// clusters are and by which certificate to reach them.
//
// The format is the reference client's own, so its file can be used as it is:
//
//	context: prod
//	contexts:
//	    prod:
//	        endpoints: [10.0.0.1, 10.0.0.2]
//	        nodes: [10.0.0.3]
//	        ca: <base64 of PEM>
//	        crt: <base64 of PEM>
//	        key: <base64 of PEM>
//
// Endpoints are the addresses to connect to; nodes are those that shall answer
// when a command names none. Fields that this version does not know are kept.
package clientconfig

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/basalt-os/basalt/pkg/secrets"
)

// Config is the contents of a client configuration file. It is not safe for
// concurrent modification.
type Config struct {
	// Context is the name of the context that is used when none is named.
	Context string `yaml:"context"`
	// Contexts are the known clusters by name.
	Contexts map[string]*Context `yaml:"contexts"`
	// Extra are fields of other versions.
	Extra map[string]any `yaml:",inline"`
}

// Context is one cluster and one identity in it.
type Context struct {
	// Endpoints are hosts, with a port where it is not the usual one.
	Endpoints []string `yaml:"endpoints"`
	// Nodes answer when no others are named.
	Nodes []string `yaml:"nodes,omitempty"`
	// CA signs the certificates of endpoints and nodes.
	CA secrets.PEM `yaml:"ca,omitempty"`
	// Crt and Key are the client certificate.
	Crt secrets.PEM `yaml:"crt,omitempty"`
	Key secrets.PEM `yaml:"key,omitempty"`
	// ProxyURL is an HTTP proxy (CONNECT) on the way to the endpoints.
	ProxyURL string `yaml:"proxy-url,omitempty"`
	// Cluster is the name that a proxy in front of many clusters knows.
	Cluster string `yaml:"cluster,omitempty"`
	// Extra are fields of other versions, and of ways to authenticate that
	// this client does not have.
	Extra map[string]any `yaml:",inline"`
}

// New returns a configuration with one context, which is the current one.
func New(name string, context *Context) *Config {
	return &Config{Context: name, Contexts: map[string]*Context{name: context}}
}

// Parse reads a configuration. Empty data is an empty configuration.
func Parse(data []byte) (*Config, error) {
	config := &Config{}

	if len(bytes.TrimSpace(data)) > 0 {
		if err := yaml.Load(data, config); err != nil {
			return nil, fmt.Errorf("parsing client configuration: %w", err)
		}
	}

	if config.Contexts == nil {
		config.Contexts = map[string]*Context{}
	}

	for name, context := range config.Contexts {
		if context == nil {
			config.Contexts[name] = &Context{}
		}
	}

	return config, nil
}

// Bytes returns the configuration as it stands in a file.
func (c *Config) Bytes() ([]byte, error) {
	data, err := yaml.Dump(c, yaml.WithIndent(4), yaml.WithCompactSeqIndent(false))
	if err != nil {
		return nil, fmt.Errorf("encoding client configuration: %w", err)
	}

	return data, nil
}

// Names returns the names of all contexts, sorted.
func (c *Config) Names() []string {
	return slices.Sorted(maps.Keys(c.Contexts))
}

// Select returns the context of that name, and with an empty name the current
// one. The error says which there are.
func (c *Config) Select(name string) (*Context, error) {
	if name == "" {
		name = c.Context
	}

	switch context, ok := c.Contexts[name]; {
	case ok:
		return context, nil
	case len(c.Contexts) == 0:
		return nil, errors.New("the client configuration has no contexts")
	case name == "":
		return nil, fmt.Errorf("the client configuration has no current context; there are %s", strings.Join(c.Names(), ", "))
	default:
		return nil, fmt.Errorf("the client configuration has no context %q; there are %s", name, strings.Join(c.Names(), ", "))
	}
}

// Rename says that a context got another name when it was merged.
type Rename struct {
	From, To string
}

// Merge adds the contexts of other and makes other's current context the
// current one. A context whose name is taken by a different one gets a number
// after its name; the renames are returned, sorted.
func (c *Config) Merge(other *Config) []Rename {
	var renames []Rename

	if c.Contexts == nil {
		c.Contexts = map[string]*Context{}
	}

	for _, name := range other.Names() {
		to := name

		for i := 1; ; i++ {
			present, taken := c.Contexts[to]
			if !taken || reflect.DeepEqual(present, other.Contexts[name]) {
				break
			}

			to = name + "-" + strconv.Itoa(i)
		}

		c.Contexts[to] = other.Contexts[name]

		if to != name {
			renames = append(renames, Rename{From: name, To: to})
		}

		if other.Context == name {
			c.Context = to
		}
	}

	return renames
}

// Remove deletes contexts. The current context cannot be removed, as nobody
// would know which comes next.
func (c *Config) Remove(names ...string) error {
	for _, name := range names {
		if _, ok := c.Contexts[name]; !ok {
			return fmt.Errorf("removing context %q: there is none", name)
		}

		if name == c.Context {
			return fmt.Errorf("removing context %q: it is the current one", name)
		}
	}

	for _, name := range names {
		delete(c.Contexts, name)
	}

	return nil
}

// Certificate returns the client certificate with its key, and nil when the
// context has none.
func (c *Context) Certificate() (*tls.Certificate, error) {
	if len(c.Crt) == 0 && len(c.Key) == 0 {
		return nil, nil
	}

	cert, err := secrets.KeyPair{Cert: c.Crt, Key: c.Key}.TLS()
	if err != nil {
		return nil, fmt.Errorf("reading client certificate of the context: %w", err)
	}

	return &cert, nil
}

// Pool returns the authorities to verify endpoints with, and nil, which stands
// for the system's, when the context has none.
func (c *Context) Pool() (*x509.CertPool, error) {
	if len(c.CA) == 0 {
		return nil, nil
	}

	pool, err := secrets.Pool(c.CA)
	if err != nil {
		return nil, fmt.Errorf("reading authority of the context: %w", err)
	}

	return pool, nil
}
