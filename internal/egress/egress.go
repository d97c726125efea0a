// Package egress is how a node's own clients reach servers elsewhere: through
// the proxies that the configuration names, and with trust in the authorities
// that the system trusts now.
//
// What the Go library has for both is read once and kept for the life of the
// process. The first process of a node lives longer than its configuration.
package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http/httpproxy"
)

// Way is how servers are reached at the time of each connection. It is safe for
// concurrent use.
type Way struct {
	// Variables returns the environment that names the proxies, as NAME=value.
	Variables func(ctx context.Context) ([]string, error)
	// Bundle is the file with the certificates of the authorities to trust.
	Bundle string

	mu        sync.Mutex
	info      fs.FileInfo // of the bundle when roots were read
	roots     *x509.CertPool
	transport *http.Transport
}

// Proxy returns the proxy for a request, nil where there is none. It has the
// form that [http.Transport] wants.
func (w *Way) Proxy(request *http.Request) (*url.URL, error) {
	return w.proxy(request.Context(), request.URL)
}

func (w *Way) proxy(ctx context.Context, server *url.URL) (*url.URL, error) {
	variables, err := w.Variables(ctx)
	if err != nil {
		return nil, fmt.Errorf("looking for a proxy: %w", err)
	}

	return proxies(variables).ProxyFunc()(server)
}

// proxies are what the variables say; those in capitals count where both are
// there.
func proxies(variables []string) *httpproxy.Config {
	values := map[string]string{}

	for _, variable := range variables {
		name, value, _ := strings.Cut(variable, "=")
		values[name] = value
	}

	either := func(name string) string {
		if value := values[strings.ToUpper(name)]; value != "" {
			return value
		}

		return values[name]
	}

	return &httpproxy.Config{HTTPProxy: either("http_proxy"), HTTPSProxy: either("https_proxy"), NoProxy: either("no_proxy")}
}

// TLS returns the settings for a connection to a server whose certificate one
// of the system's authorities has signed.
func (w *Way) TLS() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: w.Roots()}
}

// Roots returns the authorities to trust; nil are those that the Go library
// finds. The caller may add others to them.
func (w *Way) Roots() *x509.CertPool {
	w.mu.Lock()
	defer w.mu.Unlock()

	w.refresh()

	if w.roots == nil {
		return nil
	}

	return w.roots.Clone()
}

// refresh reads the bundle if it is another one than the last time. A bundle
// that cannot be read leaves what is known.
func (w *Way) refresh() {
	info, err := os.Stat(w.Bundle)
	if err != nil || w.info != nil && same(w.info, info) {
		return
	}

	text, err := os.ReadFile(w.Bundle)
	if err != nil {
		return
	}

	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return
	}

	w.info, w.roots = info, pool

	if w.transport != nil {
		w.transport.CloseIdleConnections()
		w.transport = nil
	}
}

func same(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// Client returns a client for HTTP whose requests take as long at most.
func (w *Way) Client(timeout time.Duration) *http.Client {
	return &http.Client{Transport: w, Timeout: timeout}
}

// RoundTrip implements [http.RoundTripper].
func (w *Way) RoundTrip(request *http.Request) (*http.Response, error) {
	return w.current().RoundTrip(request)
}

// current is the transport with the authorities of now.
func (w *Way) current() *http.Transport {
	w.mu.Lock()
	defer w.mu.Unlock()

	w.refresh()

	if w.transport == nil {
		w.transport = w.newTransport()
	}

	return w.transport
}

func (w *Way) newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                 w.Proxy,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: w.roots},
		DialContext:           (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSHandshakeTimeout:   dialTimeout,
		ExpectContinueTimeout: time.Second,
		IdleConnTimeout:       idleTimeout,
		MaxIdleConns:          maxIdle,
		ForceAttemptHTTP2:     true,
	}
}

const (
	dialTimeout = 30 * time.Second // of a connection, and of its TLS handshake
	idleTimeout = 90 * time.Second // of a connection without requests
	maxIdle     = 10               // connections without requests
)

// Adapt makes a client that somebody else made go this way. Authorities that it
// has of its own are left to it, and its transport is not changed but replaced.
func (w *Way) Adapt(client *http.Client) error {
	transport, ok := client.Transport.(*http.Transport)
	if !ok {
		return fmt.Errorf("preparing an HTTP client: its transport is a %T", client.Transport)
	}

	transport = transport.Clone()
	transport.Proxy = w.Proxy

	if transport.TLSClientConfig == nil {
		transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}

	if transport.TLSClientConfig.RootCAs == nil {
		transport.TLSClientConfig.RootCAs = w.Roots()
	}

	client.Transport = transport

	return nil
}
