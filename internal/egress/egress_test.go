package egress

import (
	"context"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestProxies(t *testing.T) {
	for name, test := range map[string]struct {
		variables []string
		server    string
		want      string
	}{
		"none":             {nil, "https://example.org", ""},
		"http":             {[]string{"http_proxy=http://p:1", "https_proxy=http://p:2"}, "http://example.org", "http://p:1"},
		"https":            {[]string{"http_proxy=http://p:1", "https_proxy=http://p:2"}, "https://example.org", "http://p:2"},
		"in capitals":      {[]string{"HTTPS_PROXY=http://p:2"}, "https://example.org", "http://p:2"},
		"excepted":         {[]string{"https_proxy=http://p:2", "no_proxy=10.0.0.0/8,.org"}, "https://a.example.org", ""},
		"excepted network": {[]string{"https_proxy=http://p:2", "no_proxy=10.0.0.0/8,.org"}, "https://10.1.2.3:6443", ""},
		"this machine":     {[]string{"https_proxy=http://p:2"}, "https://127.0.0.1:7445", ""},
		"later wins":       {[]string{"http_proxy=http://p:1", "http_proxy="}, "http://example.org", ""},
	} {
		t.Run(name, func(t *testing.T) {
			request := httptest.NewRequest(http.MethodGet, test.server, nil)

			got, err := way(test.variables...).Proxy(request)
			if err != nil {
				t.Fatal(err)
			}

			text := ""
			if got != nil {
				text = got.String()
			}

			if diff := cmp.Diff(test.want, text); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// unrelated is an authority that has signed nothing.
const unrelated = `-----BEGIN CERTIFICATE-----
MIIBfTCCASOgAwIBAgIUOmrG2KOpqvyZ5ohEg0yrHhFTG0gwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJdW5yZWxhdGVkMB4XDTI2MTEyODE3MTM1OFoXDTQ2MTEyMzE3
MTM1OFowFDESMBAGA1UEAwwJdW5yZWxhdGVkMFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAEJD8YqFJ59MBXeEoRqX6fLvzyJbNnfFOXXsFMLH05SbP6lG9leow6IUVM
Jl3kK1JBvpL3gRiw/cR7SNMq0cmrkaNTMFEwHQYDVR0OBBYEFJbJ4vzxy+rtoFJk
nUi0xxxUO20CMB8GA1UdIwQYMBaAFJbJ4vzxy+rtoFJknUi0xxxUO20CMA8GA1Ud
EwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIhAKjfDA863vZwjwIPqSRehPNh
oI91fShWRoyhGL5lMB5qAiBH1WNhDJsCytRRpN3c9uoJTohdcMjaFfdmBozLvB7e
7A==
-----END CERTIFICATE-----
`

func way(variables ...string) *Way {
	return &Way{Variables: func(context.Context) ([]string, error) { return variables, nil }, Bundle: "/nonexistent"}
}

// TestRootsFollowBundle checks that a client trusts what the file has at the
// time of a request.
func TestRootsFollowBundle(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	defer server.Close()

	good := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))

	w := way()
	w.Bundle = filepath.Join(t.TempDir(), "bundle.crt")
	client := w.Client(time.Minute)

	for _, step := range []struct {
		name, bundle string
		want         bool
	}{
		{"no bundle", "", false},
		{"another authority", unrelated, false},
		{"both authorities", unrelated + good, true},
		{"damaged: what was known counts", "nonsense", true},
		{"taken away again", unrelated + "\n", false},
	} {
		if step.bundle != "" {
			if err := os.WriteFile(w.Bundle, []byte(step.bundle), 0o600); err != nil {
				t.Fatal(err)
			}
		}

		response, err := client.Get(server.URL)
		if (err == nil) != step.want {
			t.Errorf("%s: got error %v", step.name, err)
		}

		if err == nil {
			_ = response.Body.Close()
		}
	}
}

// TestAdapt checks that the transport of a foreign client is left alone.
func TestAdapt(t *testing.T) {
	transport := &http.Transport{}
	client := &http.Client{Transport: transport}

	if err := way("http_proxy=http://p:1").Adapt(client); err != nil {
		t.Fatal(err)
	}

	if transport.Proxy != nil || client.Transport == http.RoundTripper(transport) {
		t.Error("the transport was changed")
	}

	proxy, err := client.Transport.(*http.Transport).Proxy(httptest.NewRequest(http.MethodGet, "http://example.org", nil))
	if err != nil || proxy.String() != "http://p:1" {
		t.Errorf("got %v, %v", proxy, err)
	}

	if err := way().Adapt(&http.Client{Transport: way()}); err == nil {
		t.Error("no error for a transport that cannot be adapted")
	}
}

// TestDial checks that bytes come through a proxy, also those that the server
// sends at once.
func TestDial(t *testing.T) {
	asked := make(chan *http.Request, 1)

	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r

		if strings.HasPrefix(r.Host, "refused") {
			http.Error(w, "no", http.StatusForbidden)

			return
		}

		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)

			return
		}
		defer conn.Close()

		_, _ = io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\nhello")
	}))
	defer proxy.Close()

	address, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}

	address.User = url.UserPassword("user", "word")
	w := way("https_proxy="+address.String(), "no_proxy=direct.example")

	conn, err := w.Dial(t.Context(), "discovery.example:443")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()

	text, err := io.ReadAll(conn)
	if err != nil || string(text) != "hello" {
		t.Errorf("got %q, %v", text, err)
	}

	request := <-asked

	got := []string{request.Method, request.Host, request.Header.Get("Proxy-Authorization")}
	if diff := cmp.Diff([]string{"CONNECT", "discovery.example:443", "Basic dXNlcjp3b3Jk"}, got); diff != "" {
		t.Error(diff)
	}

	if _, err := w.Dial(t.Context(), "refused.example:443"); err == nil || strings.Contains(err.Error(), "word") {
		t.Errorf("got error %v", err)
	}
}

// TestDialDirect checks that nothing stands between when no proxy is named.
func TestDialDirect(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()

	conn, err := way().Dial(t.Context(), listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}

	_ = conn.Close()

	if _, err := way("https_proxy=socks5://p:1").Dial(t.Context(), "example.org:443"); err == nil {
		t.Error("no error for a proxy of a kind that is not known")
	}
}
