package dashboard

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/diagnose"
	"github.com/basalt-os/basalt/internal/metapart"
	"github.com/basalt-os/basalt/internal/resource/codec"
	"github.com/basalt-os/basalt/internal/resources/network"
)

// meta keeps what is written.
type meta struct {
	values map[metapart.Key]string
	err    error
}

func (m *meta) writeMeta(_ context.Context, key metapart.Key, value []byte) error {
	if m.err == nil {
		m.values[key] = string(value)
	}

	return m.err
}

func console(t *testing.T, to *meta) *model {
	t.Helper()

	source := sample()
	first := source[0]
	first.facts = []string{"addresses   192.0.2.1/24", "fingerprint abc"}
	source[0] = first

	m := newModel(1, time.Millisecond, source)
	m.ctx, m.meta, m.kernel = t.Context(), to, true

	run(t, m, tea.Batch(m.lookAtAll(), m.fetchLog()))

	return m
}

// fill types text into the fields of a form, one after another, and saves.
func fill(t *testing.T, m *model, values ...string) {
	t.Helper()

	for i, value := range values {
		for _, r := range value {
			press(t, m, tea.Key{Code: r, Text: string(r)})
		}

		if i+1 < len(values) {
			press(t, m, tea.Key{Code: tea.KeyTab})
		}
	}

	press(t, m, tea.Key{Code: 's', Mod: tea.ModCtrl})
}

func wantOnScreen(t *testing.T, m *model, words ...string) {
	t.Helper()

	for _, word := range words {
		if !strings.Contains(screen(m), word) {
			t.Errorf("%q is not on the screen:\n%s", word, screen(m))
		}
	}
}

func TestConsole(t *testing.T) {
	to := &meta{values: map[metapart.Key]string{}}
	m := console(t, to)

	wantOnScreen(t, m, "addresses   192.0.2.1/24", "fingerprint abc", "log of kernel", "F2 network")

	// Nobody would start the program again.
	for _, key := range []tea.Key{{Code: 'q', Text: "q"}, {Code: tea.KeyEscape}, {Code: 'c', Mod: tea.ModCtrl}} {
		if _, command := m.Update(tea.KeyPressMsg(key)); command != nil {
			t.Errorf("%s does something", key)
		}
	}

	press(t, m, tea.Key{Code: tea.KeyF2})
	wantOnScreen(t, m, "Gateway", "ctrl+s save")

	fill(t, m, "eth0", "192.0.2.10", "", "", "", "quick.example.org")
	wantOnScreen(t, m, `address: found "192.0.2.10"`)

	press(t, m, tea.Key{Code: tea.KeyDown}) // round to the first
	press(t, m, tea.Key{Code: tea.KeyDown})
	fill(t, m, "/24", "192.0.2.1", "192.0.2.53 2001:db8::53", "ntp.example.org")
	wantOnScreen(t, m, "saved")

	c, err := codec.New(network.PlatformConfig{})
	if err != nil {
		t.Fatal(err)
	}

	var got network.PlatformConfig
	if err := c.DecodeYAML([]byte(to.values[metapart.KeyMetalNetwork]), &got); err != nil {
		t.Fatal(err)
	}

	if len(got.Addresses) != 1 || got.Addresses[0].Address.String() != "192.0.2.10/24" || got.Routes[0].Gateway.String() != "192.0.2.1" ||
		len(got.Resolvers[0].DNSServers) != 2 || got.Hostnames[0].Domainname != "example.org" {
		t.Errorf("saved %+v", got)
	}

	press(t, m, tea.Key{Code: tea.KeyEscape})
	wantOnScreen(t, m, "log of kernel")
}

func TestConsoleCode(t *testing.T) {
	to := &meta{values: map[metapart.Key]string{}, err: errors.New("writing META: there is none")}
	m := console(t, to)

	press(t, m, tea.Key{Code: tea.KeyF3})
	fill(t, m)
	wantOnScreen(t, m, "nothing was filled in")

	fill(t, m, "abx")
	wantOnScreen(t, m, "there is none")

	to.err = nil

	press(t, m, tea.Key{Code: tea.KeyBackspace})
	press(t, m, tea.Key{Code: 'c', Text: "c"})
	press(t, m, tea.Key{Code: tea.KeyEnter})
	wantOnScreen(t, m, "saved")

	if diff := cmp.Diff(map[metapart.Key]string{metapart.KeyDownloadURLCode: "abc"}, to.values); diff != "" {
		t.Errorf("META (-want +got):\n%s", diff)
	}
}

func TestNetworkConfig(t *testing.T) {
	t.Parallel()

	for _, test := range []struct{ values, err string }{
		{"eth0|||||", ""},
		{"eth0|2001:db8::2/64|2001:db8::1|||", ""},
		{"|||||", "link"},
		{"a link|||||", "link"},
		{"averylonglinkname|||||", "link"},
		{"eth0|192.0.2.2/33||||", "address"},
		{"eth0|192.0.2.2/24|2001:db8::1|||", "gateway"},
		{"eth0|192.0.2.2/24|nobody|||", "gateway"},
		{"eth0|||dns.example||", "DNS servers"},
	} {
		config, err := networkConfig(strings.Split(test.values, "|"))
		if (err != nil) != (test.err != "") || (err != nil && !strings.HasPrefix(err.Error(), test.err)) {
			t.Errorf("%q: %v, want %q", test.values, err, test.err)
		}

		if err == nil && len(config.Addresses)+len(config.Operators) != 1 {
			t.Errorf("%q: neither an address nor DHCP: %+v", test.values, config)
		}
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()

	deep := diagnose.Cause{Text: "no", Because: []diagnose.Cause{{Text: "as", Because: []diagnose.Cause{{Text: "root"}}}}}
	if got := explain(deep); got != "no (root)" {
		t.Error(got)
	}

	if got := explain(diagnose.Cause{Text: "no"}); got != "no" {
		t.Error(got)
	}
}
