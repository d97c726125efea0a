package network

import "net"

// MAC is a hardware address. It converts to and from net.HardwareAddr; its
// text form has colons.
type MAC []byte

// String returns the text form.
func (m MAC) String() string { return net.HardwareAddr(m).String() }

// MarshalText implements encoding.TextMarshaler.
func (m MAC) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *MAC) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*m = nil

		return nil
	}

	addr, err := net.ParseMAC(string(text))
	if err != nil {
		return err //nolint:wrapcheck // it names the address
	}

	*m = MAC(addr)

	return nil
}
