package network

import (
	"encoding/hex"
	"fmt"
	"net"
	"strings"
)

// MAC is a hardware address. It converts to and from net.HardwareAddr; its
// text form has colons. It is of any length: tunnels have addresses too.
type MAC []byte

// String returns the text form.
func (m MAC) String() string { return net.HardwareAddr(m).String() }

// MarshalText implements encoding.TextMarshaler.
func (m MAC) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *MAC) UnmarshalText(text []byte) error {
	*m = nil

	if len(text) == 0 {
		return nil
	}

	for octet := range strings.SplitSeq(string(text), ":") {
		b, err := hex.DecodeString(octet)
		if err != nil || len(b) != 1 {
			return fmt.Errorf("parsing %q: no hardware address", text)
		}

		*m = append(*m, b...)
	}

	return nil
}
