package document_test

import (
	"encoding"
	"testing"

	"github.com/basalt-os/basalt/pkg/machineconfig/document"
)

func TestTextValues(t *testing.T) {
	t.Parallel()

	type value interface {
		encoding.TextUnmarshaler
		encoding.TextMarshaler
	}

	for _, tt := range []struct {
		into value
		text string
		back string // empty: not accepted
	}{
		{new(document.URL), "https://example.org:6443/path", "https://example.org:6443/path"},
		{new(document.URL), "example.org", ""},
		{new(document.HardwareAddr), "02:AB:00:00:00:01", "02:ab:00:00:00:01"},
		{new(document.HardwareAddr), "02:ab:0", ""},
		{new(document.ByteSize), "10GiB", "10GiB"},
		{new(document.ByteSize), "much", ""},
		{new(document.ByteSize), "-1", ""},
		{new(document.ByteSize), "99999999999EiB", ""},
		{new(document.Size), "-50%", "-50%"},
		{new(document.Size), "101%", ""},
		{new(document.Size), "%", ""},
		{new(document.PortRange), "80", "80"},
		{new(document.PortRange), "80-90", "80-90"},
		{new(document.PortRange), "90-80", ""},
		{new(document.PortRange), "65536", ""},
		{new(document.RoutingTable), "main", "main"},
		{new(document.RoutingTable), "local", "local"},
		{new(document.RoutingTable), "default", "default"},
		{new(document.RoutingTable), "unspec", "unspec"},
		{new(document.RoutingTable), "254", "main"},
		{new(document.RoutingTable), "180", "180"},
		{new(document.RoutingTable), "other", ""},
	} {
		err := tt.into.UnmarshalText([]byte(tt.text))
		if (err == nil) != (tt.back != "") {
			t.Errorf("%T %q: error is %v", tt.into, tt.text, err)

			continue
		}

		if err != nil {
			continue
		}

		if back, err := tt.into.MarshalText(); err != nil || string(back) != tt.back {
			t.Errorf("%T %q: comes back as %q, error %v", tt.into, tt.text, back, err)
		}
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()

	for text, want := range map[string]uint64{
		"10": 10, "1KB": 1000, "1KiB": 1024, "1.5GiB": 3 << 29, "2 TB": 2e12, "1mib": 1 << 20, "7B": 7,
	} {
		var size document.ByteSize
		if err := size.UnmarshalText([]byte(text)); err != nil || size.Bytes != want {
			t.Errorf("%q is %d, want %d; error %v", text, size.Bytes, want, err)
		}
	}

	const disk = 1000

	for text, want := range map[string]uint64{"300B": 300, "-300B": 700, "50%": 500, "-20%": 800, "-2000B": 0} {
		var size document.Size
		if err := size.UnmarshalText([]byte(text)); err != nil || size.Resolve(disk) != want {
			t.Errorf("%q of %d is %d, want %d; error %v", text, disk, size.Resolve(disk), want, err)
		}
	}
}
