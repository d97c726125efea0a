package dashboard

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"

	"github.com/basalt-os/basalt/internal/metapart"
	"github.com/basalt-os/basalt/internal/resource/codec"
	"github.com/basalt-os/basalt/internal/resources/network"
)

// field is a line of a form that a person fills in.
type field struct {
	label, hint string
	value       string
}

// form is a screen with fields. What is filled in becomes a value of META.
type form struct {
	title  string
	about  []string
	key    metapart.Key
	fields []field
	encode func(values []string) ([]byte, error)

	focus  int
	result string // of the last try
	failed bool
}

// saved is the answer to an attempt to write a value.
type saved struct {
	form *form
	err  error
}

// metaWriter writes values of META.
type metaWriter interface {
	writeMeta(ctx context.Context, key metapart.Key, value []byte) error
}

// networkForm asks for the network of a machine that gets none by DHCP.
func networkForm() *form {
	return &form{
		title: "Network",
		about: []string{
			"Configures a link of this machine until its machine configuration says otherwise.",
			"The machine keeps it in META. Without an address, the link is configured by DHCP.",
		},
		key: metapart.KeyMetalNetwork,
		fields: []field{
			{label: "Link", hint: "such as eth0"},
			{label: "Address", hint: "with the length of the network: 192.0.2.10/24; empty: DHCP"},
			{label: "Gateway", hint: "192.0.2.1"},
			{label: "DNS servers", hint: "separated by spaces"},
			{label: "Time servers", hint: "separated by spaces"},
			{label: "Hostname"},
		},
		encode: func(values []string) ([]byte, error) {
			config, err := networkConfig(values)
			if err != nil {
				return nil, err
			}

			c, err := codec.New(config)
			if err != nil {
				return nil, err
			}

			return c.EncodeYAML(config)
		},
	}
}

// codeForm asks for the code by which the machine gets its configuration.
func codeForm() *form {
	return &form{
		title: "Configuration",
		about: []string{
			"The code takes the place of ${code} in the address that talos.config= on the kernel's command line",
			"names, from where this machine gets its configuration.",
		},
		key:    metapart.KeyDownloadURLCode,
		fields: []field{{label: "Code"}},
		encode: func(values []string) ([]byte, error) {
			if values[0] == "" {
				return nil, errors.New("code: nothing was filled in")
			}

			return []byte(values[0]), nil
		},
	}
}

// networkConfig makes of the fields of the network form what META keeps.
func networkConfig(values []string) (network.PlatformConfig, error) {
	link, address, gateway, servers, times, name := values[0], values[1], values[2], values[3], values[4], values[5]

	if link == "" || strings.ContainsAny(link, " /:") || len(link) > 15 {
		return network.PlatformConfig{}, fmt.Errorf("link: found %q, expected the name of a link", link)
	}

	const layer = network.ConfigLayerPlatform

	config := network.PlatformConfig{Links: []network.LinkSpec{{Name: link, Up: true, ConfigLayer: layer}}}

	if address == "" {
		config.Operators = []network.OperatorSpec{{
			Operator: network.OperatorDHCP4, LinkName: link, RequireUp: true,
			DHCP4: network.DHCP4OperatorSpec{RouteMetric: routeMetric}, ConfigLayer: layer,
		}}
	} else if err := static(&config, link, address, gateway); err != nil {
		return network.PlatformConfig{}, err
	}

	var addresses []netip.Addr

	for _, text := range strings.Fields(servers) {
		server, err := netip.ParseAddr(text)
		if err != nil {
			return network.PlatformConfig{}, fmt.Errorf("DNS servers: found %q, expected an address", text)
		}

		addresses = append(addresses, server)
	}

	if len(addresses) > 0 {
		config.Resolvers = []network.ResolverSpec{{DNSServers: addresses, ConfigLayer: layer}}
	}

	if servers := strings.Fields(times); len(servers) > 0 {
		config.TimeServers = []network.TimeServerSpec{{NTPServers: servers, ConfigLayer: layer}}
	}

	if name != "" {
		host, domain, _ := strings.Cut(name, ".")
		config.Hostnames = []network.HostnameSpec{{Hostname: host, Domainname: domain, ConfigLayer: layer}}
	}

	return config, nil
}

// routeMetric is the metric of routes that a person asks for here.
const routeMetric = 1024

// static adds an address and the default route.
func static(config *network.PlatformConfig, link, address, gateway string) error {
	const layer = network.ConfigLayerPlatform

	prefix, err := netip.ParsePrefix(address)
	if err != nil {
		return fmt.Errorf("address: found %q, expected an address with the length of its network", address)
	}

	family := network.FamilyInet4
	if prefix.Addr().Is6() {
		family = network.FamilyInet6
	}

	config.Addresses = []network.AddressSpec{{
		Address: prefix, LinkName: link, Family: family, Scope: network.ScopeGlobal, Flags: network.AddressFlagPermanent,
		ConfigLayer: layer,
	}}

	if gateway == "" {
		return nil
	}

	via, err := netip.ParseAddr(gateway)
	if err != nil || via.Is4() != prefix.Addr().Is4() {
		return fmt.Errorf("gateway: found %q, expected an address of the kind of %s", gateway, prefix.Addr())
	}

	config.Routes = []network.RouteSpec{{
		Family: family, Gateway: via, OutLinkName: link, Table: network.RoutingTableMain, Priority: routeMetric,
		Scope: network.ScopeGlobal, Type: network.RouteTypeUnicast, Protocol: network.RouteProtocolStatic, ConfigLayer: layer,
	}}

	return nil
}

// press handles a key. The command, if any, writes the value.
func (f *form) press(ctx context.Context, key tea.Key, to metaWriter) tea.Cmd {
	value := &f.fields[f.focus].value

	switch key.Keystroke() {
	case "tab", "down":
		f.focus = (f.focus + 1) % len(f.fields)
	case "shift+tab", "up":
		f.focus = (f.focus + len(f.fields) - 1) % len(f.fields)
	case "backspace":
		_, size := utf8.DecodeLastRuneInString(*value)
		*value = (*value)[:len(*value)-size]
	case "ctrl+u":
		*value = ""
	case "enter":
		if f.focus+1 < len(f.fields) {
			f.focus++

			return nil
		}

		return f.save(ctx, to)
	case "ctrl+s":
		return f.save(ctx, to)
	default:
		*value += key.Text
	}

	return nil
}

// save writes what was filled in.
func (f *form) save(ctx context.Context, to metaWriter) tea.Cmd {
	values := make([]string, len(f.fields))
	for i := range f.fields {
		values[i] = strings.TrimSpace(f.fields[i].value)
	}

	data, err := f.encode(values)
	if err != nil {
		f.tell(err)

		return nil
	}

	f.failed, f.result = false, "saving ..."

	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(ctx, lookTimeout)
		defer cancel()

		return saved{f, to.writeMeta(ctx, f.key, data)}
	}
}

// tell shows how a try ended.
func (f *form) tell(err error) {
	if f.failed = err != nil; f.failed {
		f.result = err.Error()
	} else {
		f.result = "saved"
	}
}

// lines draws the form.
func (f *form) lines() []string {
	lines := append([]string{styleTitle.Render(f.title), ""}, f.about...)
	lines = append(lines, "")

	for i, field := range f.fields {
		value := field.value
		if i == f.focus {
			value = styleSelected.Render(value + " ")
		}

		lines = append(lines, fmt.Sprintf("%-14s %s  %s", field.label, value, styleFaint.Render(field.hint)))
	}

	style := styleGood
	if f.failed {
		style = styleBad
	}

	return append(lines, "", style.Render(f.result))
}
