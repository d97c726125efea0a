package document

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"
)

// Fault is something wrong with a document that its fields' types cannot say.
type Fault struct {
	Path    string // of the field, as machine.type
	Message string // what was found and what was expected
}

// Checker is a document that checks itself.
type Checker interface {
	Check() []Fault
}

// faults collects faults.
type faults []Fault

func (f *faults) add(path, format string, args ...any) {
	*f = append(*f, Fault{Path: path, Message: fmt.Sprintf(format, args...)})
}

// ok adds a fault unless a condition holds.
func (f *faults) ok(condition bool, path, format string, args ...any) {
	if !condition {
		f.add(path, format, args...)
	}
}

// wireguardKey checks base64 of 32 bytes without quoting it.
func (f *faults) wireguardKey(path, key string) {
	const length = 32

	raw, err := base64.StdEncoding.DecodeString(key)
	f.ok(key == "" || err == nil && len(raw) == length, path, "found something else, expected base64 of a key of %d bytes", length)
}

// hostPort checks host:port.
func (f *faults) hostPort(path, text string) {
	host, port, ok := cutLast(text, ":")
	n, err := strconv.ParseUint(port, 10, 16)
	f.ok(ok && host != "" && err == nil && n > 0, path, "found %q, expected host:port", text)
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}

	return s, "", false
}

// Check implements [Checker].
func (c *HostnameConfig) Check() []Fault {
	var f faults

	f.ok(c.Hostname == "" || c.Auto != "stable", "auto", "found stable together with a hostname, expected one of them")

	if c.Hostname != "" {
		for _, fault := range validation.IsDNS1123Subdomain(strings.ToLower(c.Hostname)) {
			f.add("hostname", "found %q, expected a host name: %s", c.Hostname, fault)
		}
	}

	return f
}

// Check implements [Checker].
func (c *StaticHostConfig) Check() []Fault { return addressName(c.Name) }

// Check implements [Checker].
func (c *Layer2VIPConfig) Check() []Fault {
	f := faults(addressName(c.Name))
	f.ok(c.Link != "", "link", "found nothing, expected the link that gets the address")

	return f
}

// Check implements [Checker].
func (c *HCloudVIPConfig) Check() []Fault {
	f := faults(addressName(c.Name))
	f.ok(c.Link != "", "link", "found nothing, expected the link that gets the address")
	f.ok(c.APIToken != "", "apiToken", "found nothing, expected a token")

	return f
}

// addressName checks a name that is an address.
func addressName(name string) []Fault {
	var f faults

	_, err := netip.ParseAddr(name)
	f.ok(err == nil, "name", "found %q, expected an IP address", name)

	return f
}

// Check implements [Checker].
func (c *BlackholeRouteConfig) Check() []Fault {
	var f faults

	_, err := netip.ParsePrefix(c.Name)
	f.ok(err == nil, "name", "found %q, expected a network such as 10.0.0.0/8", c.Name)

	return f
}

// Check implements [Checker].
func (c *RoutingRuleConfig) Check() []Fault {
	const lowest, highest = 1, 32765 // the kernel's own rules have 0, 32766 and 32767

	var f faults

	n, err := strconv.Atoi(c.Name)
	f.ok(err == nil && n >= lowest && n <= highest, "name", "found %q, expected a priority from %d to %d", c.Name, lowest, highest)

	return f
}

// Check implements [Checker].
func (c *WireguardConfig) Check() []Fault {
	var f faults

	f.wireguardKey("privateKey", c.PrivateKey)

	for i, peer := range c.Peers {
		f.wireguardKey(fmt.Sprintf("peers[%d].publicKey", i), peer.PublicKey)
		f.wireguardKey(fmt.Sprintf("peers[%d].presharedKey", i), peer.PresharedKey)
	}

	return f
}

// Check implements [Checker].
func (c *TCPProbeConfig) Check() []Fault {
	var f faults

	f.hostPort("endpoint", c.Endpoint)

	return f
}

// Check implements [Checker].
func (c *EventSinkConfig) Check() []Fault {
	var f faults

	f.hostPort("endpoint", c.Endpoint)

	return f
}

// Check implements [Checker].
func (c *LinkAliasConfig) Check() []Fault {
	var f faults

	percent := strings.Count(c.Name, "%")

	f.ok(percent == 0 || (percent == 1 && strings.Contains(c.Name, "%d")), "name",
		"found %q, expected a name, which may have %%d in it for a number", c.Name)
	f.ok(c.Selector.Match != "", "selector.match", "found nothing, expected an expression that selects a link")

	return f
}

// Check implements [Checker].
func (c *NetworkRuleConfig) Check() []Fault {
	var f faults

	icmp := strings.HasPrefix(c.PortSelector.Protocol, "icmp")
	f.ok(c.PortSelector.Protocol != "", "portSelector.protocol", "found nothing, expected a protocol")
	f.ok(icmp || len(c.PortSelector.Ports) > 0, "portSelector.ports", "found nothing, expected ports")

	for i, rule := range c.Ingress {
		f.ok(rule.Subnet.IsValid(), fmt.Sprintf("ingress[%d].subnet", i), "found nothing, expected the network of the senders")
	}

	return f
}

// Check implements [Checker].
func (c *KubeSpanConfig) Check() []Fault {
	const lowest = 1280

	var f faults

	f.ok(c.MTU == nil || *c.MTU >= lowest, "mtu", "found a smaller one, expected at least %d", lowest)

	return f
}

// Check implements [Checker].
func (c *EtcFileConfig) Check() []Fault {
	var f faults

	f.ok(c.Name == path.Clean(c.Name) && !path.IsAbs(c.Name) && !strings.HasPrefix(c.Name, ".."), "name",
		"found %q, expected a path below /etc", c.Name)
	f.ok(c.Mode <= 0o777, "mode", "found %#o, expected permissions of at most 0o777", uint32(c.Mode))

	return f
}

// Check implements [Checker].
func (c *WatchdogTimerConfig) Check() []Fault {
	const shortest = 10 * time.Second

	var f faults

	f.ok(strings.HasPrefix(c.Device, "/dev/"), "device", "found %q, expected a device such as /dev/watchdog0", c.Device)
	f.ok(c.Timeout == 0 || c.Timeout >= shortest, "timeout", "found %s, expected at least %s", c.Timeout, shortest)

	return f
}

// Check implements [Checker].
func (c *BootHealthConfig) Check() []Fault {
	const shortest = time.Minute

	var f faults

	for i, gate := range c.Gates {
		f.ok(slices.Contains(BootGates(), gate), fmt.Sprintf("gates[%d]", i), "found %q, expected one of %s",
			gate, strings.Join(BootGates(), ", "))
	}

	f.ok(c.Timeout == 0 || c.Timeout >= shortest, "timeout", "found %s, expected at least %s", c.Timeout, shortest)
	f.ok(c.StableFor >= 0, "stableFor", "found %s, expected no less than nothing", c.StableFor)

	return f
}

// volumeName is the form of the names of users' volumes: they become part of a
// partition label, which has 36 letters.
var volumeName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9-]{0,33}$`)

func checkVolumeName(name string) []Fault {
	var f faults

	f.ok(volumeName.MatchString(name), "name", "found %q, expected 1 to 34 letters, digits and dashes", name)

	return f
}

// Check implements [Checker].
func (c *UserVolumeConfig) Check() []Fault {
	return append(append(checkVolumeName(c.Name), c.Provisioning.check()...), c.Encryption.check()...)
}

// Check implements [Checker].
func (c *RawVolumeConfig) Check() []Fault {
	return append(append(checkVolumeName(c.Name), c.Provisioning.check()...), c.Encryption.check()...)
}

// Check implements [Checker].
func (c *SwapVolumeConfig) Check() []Fault {
	return append(append(checkVolumeName(c.Name), c.Provisioning.check()...), c.Encryption.check()...)
}

// Check implements [Checker].
func (c *VolumeConfig) Check() []Fault {
	return append(c.Provisioning.check(), c.Encryption.check()...)
}

// Check implements [Checker].
func (c *ExistingVolumeConfig) Check() []Fault { return checkVolumeName(c.Name) }

func (p *Provisioning) check() []Fault {
	var f faults

	if p == nil || p.MaxSize.Bytes == 0 || p.MaxSize.Negative {
		return nil
	}

	f.ok(p.MinSize.Bytes <= p.MaxSize.Bytes, "provisioning.minSize", "found more than maxSize, expected less")

	return f
}

func (e *Encryption) check() []Fault {
	if e == nil {
		return nil
	}

	var f faults

	f.ok(e.Provider != "", "encryption.provider", "found nothing, expected luks2")
	f.ok(len(e.Keys) > 0, "encryption.keys", "found no key, expected at least one")

	slots := make(map[int]bool)

	for i, key := range e.Keys {
		at := fmt.Sprintf("encryption.keys[%d]", i)

		sources := 0
		for _, given := range []bool{key.Static != nil, key.NodeID != nil, key.KMS != nil, key.TPM != nil} {
			if given {
				sources++
			}
		}

		f.ok(sources == 1, at, "found %d sources of the key, expected one of static, nodeID, kms and tpm", sources)
		f.ok(!slots[key.Slot], at+".slot", "found slot %d again, expected each once", key.Slot)
		f.ok(key.Static == nil || key.Static.Passphrase != "", at+".static.passphrase", "found nothing, expected a passphrase")

		slots[key.Slot] = true
	}

	return f
}

// Check implements [Checker].
func (c *ContainerConfig) Check() []Fault {
	var f faults

	f.ok(c.Image != "", "image", "found nothing, expected an image")

	for i, mount := range c.Mounts {
		kinds := 0
		for _, given := range []bool{mount.UserVolume != nil, mount.Tmpfs != nil, mount.HostPath != nil} {
			if given {
				kinds++
			}
		}

		f.ok(kinds == 1, fmt.Sprintf("mounts[%d]", i), "found %d kinds of mount, expected one of userVolume, tmpfs and hostPath", kinds)
	}

	return f
}
