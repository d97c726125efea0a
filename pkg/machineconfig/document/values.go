package document

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"

	"github.com/basalt-os/basalt/pkg/secrets"
)

// Free is free-form content that this system hands on: maps, lists and scalars.
type Free map[string]any

// URL is an absolute URL.
type URL struct{ url.URL }

// ParseURL parses an absolute URL.
func ParseURL(text string) (URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" {
		return URL{}, errors.New("expected an absolute URL")
	}

	return URL{*u}, nil
}

// MarshalText implements [encoding.TextMarshaler].
func (u URL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (u *URL) UnmarshalText(text []byte) (err error) {
	*u, err = ParseURL(string(text))

	return err
}

// HardwareAddr is a link-layer address, or a DHCP unique identifier.
type HardwareAddr []byte

// String is the colon-separated form.
func (a HardwareAddr) String() string {
	parts := make([]string, len(a))
	for i, b := range a {
		parts[i] = fmt.Sprintf("%02x", b)
	}

	return strings.Join(parts, ":")
}

// MarshalText implements [encoding.TextMarshaler].
func (a HardwareAddr) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (a *HardwareAddr) UnmarshalText(text []byte) error {
	var addr HardwareAddr

	for part := range strings.SplitSeq(string(text), ":") {
		b, err := strconv.ParseUint(part, 16, 8)
		if err != nil || len(part) != 2 {
			return errors.New("expected bytes as aa:bb:cc…")
		}

		addr = append(addr, byte(b))
	}

	*a = addr

	return nil
}

// Arg is the values of one command line argument: one, or several when it is
// repeated. An empty list removes a default argument.
type Arg []string

// Args are command line arguments by name, without dashes.
type Args map[string]Arg

// ByteSize is a size such as 10GiB or 500MB, in bytes.
type ByteSize struct {
	Bytes uint64
	text  string
}

// Size is a [ByteSize], a percentage of a disk such as 50%, or, with a minus
// sign, what to leave free.
type Size struct {
	Bytes    uint64 // zero for a percentage
	Percent  uint64 // zero for a number of bytes
	Negative bool
	text     string
}

// sizeUnits are tried in order: longer ones first.
var sizeUnits = [...]struct {
	suffix string
	factor uint64
}{
	{"KIB", 1 << 10},
	{"MIB", 1 << 20},
	{"GIB", 1 << 30},
	{"TIB", 1 << 40},
	{"PIB", 1 << 50},
	{"EIB", 1 << 60},
	{"KB", 1e3},
	{"MB", 1e6},
	{"GB", 1e9},
	{"TB", 1e12},
	{"PB", 1e15},
	{"EB", 1e18},
	{"K", 1e3},
	{"M", 1e6},
	{"G", 1e9},
	{"T", 1e12},
	{"B", 1},
	{"", 1},
}

// parseBytes parses a number of bytes with an optional unit.
func parseBytes(text string) (uint64, error) {
	upper := strings.ToUpper(strings.TrimSpace(text))

	for _, unit := range sizeUnits {
		number, found := strings.CutSuffix(upper, unit.suffix)
		if !found {
			continue
		}

		number = strings.TrimSpace(number)

		if n, err := strconv.ParseUint(number, 10, 64); err == nil {
			if n > math.MaxUint64/unit.factor {
				break
			}

			return n * unit.factor, nil
		}

		if f, err := strconv.ParseFloat(number, 64); err == nil && f >= 0 && f*float64(unit.factor) < math.MaxInt64 {
			return uint64(f * float64(unit.factor)), nil
		}

		break
	}

	return 0, errors.New("expected a size such as 100MB or 10GiB")
}

// IsZero reports that no size is given.
func (s ByteSize) IsZero() bool { return s.text == "" }

// MarshalText implements [encoding.TextMarshaler]; the text is as it was given.
func (s ByteSize) MarshalText() ([]byte, error) { return []byte(s.text), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *ByteSize) UnmarshalText(text []byte) error {
	n, err := parseBytes(string(text))
	if err != nil {
		return err
	}

	*s = ByteSize{Bytes: n, text: string(text)}

	return nil
}

// IsZero reports that no size is given.
func (s Size) IsZero() bool { return s.text == "" }

// MarshalText implements [encoding.TextMarshaler]; the text is as it was given.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.text), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *Size) UnmarshalText(text []byte) error {
	parsed := Size{text: string(text)}
	number, negative := strings.CutPrefix(string(text), "-")
	parsed.Negative = negative

	if percent, ok := strings.CutSuffix(number, "%"); ok {
		n, err := strconv.ParseUint(percent, 10, 64)
		if err != nil || n > 100 {
			return errors.New("expected a percentage between 0% and 100%")
		}

		parsed.Percent = n
		*s = parsed

		return nil
	}

	n, err := parseBytes(number)
	if err != nil {
		return errors.New("expected a size such as 100MB, 10GiB or 50%")
	}

	parsed.Bytes = n
	*s = parsed

	return nil
}

// Resolve is the size in bytes on a disk of the given size in bytes.
func (s Size) Resolve(disk uint64) uint64 {
	n := s.Bytes
	if s.Percent > 0 {
		n = disk / 100 * s.Percent
	}

	switch {
	case !s.Negative:
		return n
	case n > disk:
		return 0
	default:
		return disk - n
	}
}

// PortRange is a range of ports, both ends included.
type PortRange struct{ Low, High uint16 }

// MarshalText implements [encoding.TextMarshaler].
func (r PortRange) MarshalText() ([]byte, error) {
	if r.Low == r.High {
		return strconv.AppendUint(nil, uint64(r.Low), 10), nil
	}

	return fmt.Appendf(nil, "%d-%d", r.Low, r.High), nil
}

// UnmarshalText implements [encoding.TextUnmarshaler].
func (r *PortRange) UnmarshalText(text []byte) error {
	low, high, isRange := strings.Cut(string(text), "-")
	if !isRange {
		high = low
	}

	from, err1 := strconv.ParseUint(strings.TrimSpace(low), 10, 16)
	to, err2 := strconv.ParseUint(strings.TrimSpace(high), 10, 16)

	if err1 != nil || err2 != nil || from > to {
		return errors.New("expected a port or a range of ports such as 50000-50010")
	}

	*r = PortRange{uint16(from), uint16(to)}

	return nil
}

// RoutingTable is a routing table by number; the kernel's own tables have names.
type RoutingTable uint32

// The kernel's own routing tables.
const (
	TableUnspecified RoutingTable = 0
	TableDefault     RoutingTable = 253
	TableMain        RoutingTable = 254
	TableLocal       RoutingTable = 255
)

// MarshalText implements [encoding.TextMarshaler].
func (t RoutingTable) MarshalText() ([]byte, error) {
	switch t {
	case TableUnspecified:
		return []byte("unspec"), nil
	case TableDefault:
		return []byte("default"), nil
	case TableMain:
		return []byte("main"), nil
	case TableLocal:
		return []byte("local"), nil
	default:
		return strconv.AppendUint(nil, uint64(t), 10), nil
	}
}

// UnmarshalText implements [encoding.TextUnmarshaler].
func (t *RoutingTable) UnmarshalText(text []byte) error {
	switch string(text) {
	case "unspec":
		*t = TableUnspecified
	case "default":
		*t = TableDefault
	case "main":
		*t = TableMain
	case "local":
		*t = TableLocal
	default:
		n, err := strconv.ParseUint(string(text), 10, 32)
		if err != nil {
			return errors.New("expected a table number, or main, local or default")
		}

		*t = RoutingTable(n)
	}

	return nil
}

// FileMode is the permission bits of a file; in YAML an octal number.
type FileMode uint32

// Certificate is a certificate without a key, base64 in YAML.
type Certificate struct {
	Cert secrets.PEM `yaml:"crt"`
}

// PrivateKey is a key without a certificate, base64 in YAML.
type PrivateKey struct {
	Key secrets.PEM `yaml:"key" secret:"true"`
}

// Authority is a certificate with its key, base64 in YAML. The key is empty on
// nodes that only check certificates.
type Authority struct {
	Cert secrets.PEM `yaml:"crt"`
	Key  secrets.PEM `yaml:"key" secret:"true"`
}

// KeyPair is the authority in the form that package secrets works with.
func (a Authority) KeyPair() secrets.KeyPair { return secrets.KeyPair(a) }

// CertificateAndKey is a certificate with its key, as plain PEM text.
type CertificateAndKey struct {
	Cert string `yaml:"cert"`
	Key  string `yaml:"key,omitempty" secret:"true"`
}

// KeyPair is the pair in the form that package secrets works with.
func (c CertificateAndKey) KeyPair() secrets.KeyPair {
	return secrets.KeyPair{Cert: secrets.PEM(c.Cert), Key: secrets.PEM(c.Key)}
}
