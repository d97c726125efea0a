package machineconfig

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/basalt-os/basalt/pkg/machineconfig/document"
)

// network is all about names, addresses and links.
func (t *translator) network() {
	network := value(t.machine.Network)
	features := value(t.machine.Features)

	if network.Hostname != "" {
		t.add(&document.HostnameConfig{Hostname: network.Hostname})
	} else if features.StableHostname != nil {
		auto := "off"
		if *features.StableHostname {
			auto = "stable"
		}

		t.add(&document.HostnameConfig{Auto: auto})
	}

	t.resolver(network, features.HostDNS)
	t.links(network.Interfaces)

	for _, host := range network.ExtraHostEntries {
		t.add(&document.StaticHostConfig{Name: host.IP, Hostnames: host.Aliases})
	}

	if span := network.KubeSpan; span != nil {
		t.add(&document.KubeSpanConfig{
			Enabled: span.Enabled, AdvertiseKubernetesNetworks: span.AdvertiseKubernetesNetworks,
			AllowDownPeerBypass: span.AllowDownPeerBypass, HarvestExtraEndpoints: span.HarvestExtraEndpoints,
			MTU: span.MTU, Filters: span.Filters,
		})
	}
}

func (t *translator) resolver(network document.Network, hostDNS *document.HostDNS) {
	doc := &document.ResolverConfig{HostDNS: hostDNS}

	for i, server := range network.Nameservers {
		addr, err := netip.ParseAddr(server)
		if err != nil {
			t.fault(index("machine.network.nameservers", i), "found %q, expected an IP address", server)

			continue
		}

		doc.Nameservers = append(doc.Nameservers, document.Nameserver{Address: addr})
	}

	if len(network.SearchDomains) > 0 || network.DisableSearchDomain != nil {
		doc.SearchDomains = &document.SearchDomains{Domains: network.SearchDomains, DisableDefault: network.DisableSearchDomain}
	}

	if doc.HostDNS != nil || doc.SearchDomains != nil || len(doc.Nameservers) > 0 {
		t.add(doc)
	}
}

// install is where to install the OS.
func (t *translator) install() {
	install := t.machine.Install
	if install == nil {
		return
	}

	doc := &document.UnattendedInstallConfig{
		Installer:    document.Installer{Image: install.Image},
		Provisioning: document.InstallProvisioning{Wipe: install.Wipe},
	}

	switch {
	case install.DiskSelector != nil:
		doc.Provisioning.DiskSelector.Match = t.diskExpression(*install.DiskSelector)
	case install.Disk != "":
		doc.Provisioning.DiskSelector.Match = DiskAt(install.Disk)
	}

	t.add(doc)
}

// DiskAt is the expression that selects the disk at a device path, or at one of
// its links below /dev/disk.
func DiskAt(path string) string {
	if strings.HasPrefix(path, "/dev/disk/") {
		return quote(path) + " in disk.symlinks"
	}

	return "disk.dev_path == " + quote(path)
}

// quote is a string literal of an expression.
func quote(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(text) + `"`
}

// diskExpression is a selector as an expression.
func (t *translator) diskExpression(s document.DiskSelector) string {
	var terms []string

	for _, field := range []struct{ name, pattern string }{
		{"disk.dev_path", s.Name},
		{"disk.model", s.Model},
		{"disk.serial", s.Serial},
		{"disk.modalias", s.Modalias},
		{"disk.uuid", s.UUID},
		{"disk.wwid", s.WWID},
		{"disk.bus_path", s.BusPath},
	} {
		if field.pattern != "" {
			terms = append(terms, "glob("+quote(field.pattern)+", "+field.name+")")
		}
	}

	switch s.Type {
	case "nvme":
		terms = append(terms, `disk.transport == "nvme"`)
	case "sd":
		terms = append(terms, `disk.transport == "mmc"`)
	case "hdd":
		terms = append(terms, "disk.rotational")
	case "ssd":
		terms = append(terms, "!disk.rotational")
	}

	if s.Size != "" {
		terms = append(terms, t.sizeTerm(s.Size))
	}

	return strings.Join(terms, " && ")
}

// sizeTerm is a condition such as ">= 100GB" as an expression.
func (t *translator) sizeTerm(text string) string {
	number := strings.TrimLeft(text, "<>= ")
	operator := strings.TrimSpace(text[:len(text)-len(number)])

	var size document.ByteSize

	if err := size.UnmarshalText([]byte(strings.TrimSpace(number))); err != nil {
		t.fault("machine.install.diskSelector.size", "found %q, expected a size such as >= 100GB", text)
	}

	switch operator {
	case "", "==", "=":
		operator = "=="
	case "<", "<=", ">", ">=":
	default:
		t.fault("machine.install.diskSelector.size", "found %q, expected <, <=, >, >= or ==", operator)
	}

	return "disk.size " + operator + " " + strconv.FormatUint(size.Bytes, 10) + "u"
}

// index is the path of an element of a list.
func index(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }
