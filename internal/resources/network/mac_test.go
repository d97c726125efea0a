package network_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/resources/network"
)

func TestMAC(t *testing.T) {
	tests := []struct {
		text string
		want network.MAC
	}{
		{"", nil},
		{"02:00:5e:10:00:ff", network.MAC{2, 0, 0x5e, 0x10, 0, 0xff}},
		{"0a:00:00:01", network.MAC{10, 0, 0, 1}},
	}
	for _, test := range tests {
		var got network.MAC
		if err := got.UnmarshalText([]byte(test.text)); err != nil {
			t.Fatal(err)
		}

		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("parsing %q (-want +got):\n%s", test.text, diff)
		}

		if got.String() != test.text {
			t.Errorf("text = %q, want %q", got, test.text)
		}
	}
}

func TestMACRefuses(t *testing.T) {
	for _, text := range []string{"x", "1:2", "0102", "01:", "01-02"} {
		var got network.MAC
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("parsing %q: no error", text)
		}
	}
}
