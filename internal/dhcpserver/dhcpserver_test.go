package dhcpserver

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"
)

var (
	mac    = net.HardwareAddr{2, 0, 0, 0, 0, 1}
	config = Config{
		Server: netip.MustParseAddr("10.5.0.1"), Network: netip.MustParsePrefix("10.5.0.0/24"),
		Router:      netip.MustParseAddr("10.5.0.1"),
		Resolvers:   []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")},
		TimeServers: []netip.Addr{netip.MustParseAddr("10.5.0.1")},
		MTU:         1400, Duration: time.Hour,
		Leases: []Lease{{MAC: mac, Address: netip.MustParseAddr("10.5.0.7"), Hostname: "seven"}},
	}
)

func request(t *testing.T, kind dhcpv4.MessageType, modifiers ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
	t.Helper()

	packet, err := dhcpv4.New(append([]dhcpv4.Modifier{dhcpv4.WithHwAddr(mac), dhcpv4.WithMessageType(kind)}, modifiers...)...)
	if err != nil {
		t.Fatal(err)
	}

	return packet
}

func TestAnswer(t *testing.T) {
	wanted := func(address string) dhcpv4.Modifier {
		return dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(net.ParseIP(address).To4()))
	}
	server := func(address string) dhcpv4.Modifier {
		return dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.ParseIP(address).To4()))
	}

	for name, test := range map[string]struct {
		request *dhcpv4.DHCPv4
		want    string // type, address, receiver; empty: no answer
	}{
		"discover":               {request(t, dhcpv4.MessageTypeDiscover), "OFFER 10.5.0.7 255.255.255.255:68"},
		"discover, another wish": {request(t, dhcpv4.MessageTypeDiscover, wanted("10.5.0.9")), "OFFER 10.5.0.7 255.255.255.255:68"},
		"request":                {request(t, dhcpv4.MessageTypeRequest, wanted("10.5.0.7"), server("10.5.0.1")), "ACK 10.5.0.7 255.255.255.255:68"},
		"renewal":                {request(t, dhcpv4.MessageTypeRequest, dhcpv4.WithClientIP(net.IP{10, 5, 0, 7})), "ACK 10.5.0.7 10.5.0.7:68"},
		"wrong address":          {request(t, dhcpv4.MessageTypeRequest, wanted("10.5.0.9")), "NAK 0.0.0.0 255.255.255.255:68"},
		"wrong renewal":          {request(t, dhcpv4.MessageTypeRequest, dhcpv4.WithClientIP(net.IP{10, 5, 0, 9})), "NAK 0.0.0.0 255.255.255.255:68"},
		"another server":         {request(t, dhcpv4.MessageTypeRequest, wanted("10.5.0.7"), server("10.5.0.2")), ""},
		"inform":                 {request(t, dhcpv4.MessageTypeInform, dhcpv4.WithClientIP(net.IP{10, 5, 0, 7})), "ACK 0.0.0.0 10.5.0.7:68"},
		"release":                {request(t, dhcpv4.MessageTypeRelease), ""},
		"a stranger":             {request(t, dhcpv4.MessageTypeDiscover, dhcpv4.WithHwAddr(net.HardwareAddr{2, 0, 0, 0, 0, 2})), ""},
		"by a relay":             {request(t, dhcpv4.MessageTypeDiscover, dhcpv4.WithGatewayIP(net.IP{10, 6, 0, 1})), ""},
		"an answer":              {request(t, dhcpv4.MessageTypeDiscover, func(d *dhcpv4.DHCPv4) { d.OpCode = dhcpv4.OpcodeBootReply }), ""},
	} {
		var got string
		if answer, to := config.answerBytes(test.request.ToBytes()); answer != nil {
			got = answer.MessageType().String() + " " + answer.YourIPAddr.String() + " " + to.String()
		}

		if got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}

func TestOptions(t *testing.T) {
	answer := config.Answer(request(t, dhcpv4.MessageTypeDiscover))

	mtu, err := dhcpv4.GetUint16(dhcpv4.OptionInterfaceMTU, answer.Options)
	if err != nil {
		t.Fatal(err)
	}

	got := []any{
		answer.SubnetMask().String(), answer.Router()[0].String(), len(answer.DNS()), answer.NTPServers()[0].String(),
		answer.HostName(), mtu, answer.IPAddressLeaseTime(0), answer.ServerIdentifier().String(),
	}
	want := []any{"ffffff00", "10.5.0.1", 2, "10.5.0.1", "seven", uint16(1400), time.Hour, "10.5.0.1"}

	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// FuzzAnswer gives the server any packet; what it answers must be readable and
// for the one who has the lease.
func FuzzAnswer(f *testing.F) {
	packet, err := dhcpv4.NewDiscovery(mac)
	if err != nil {
		f.Fatal(err)
	}

	f.Add(packet.ToBytes())
	f.Add([]byte{})

	f.Fuzz(func(t *testing.T, data []byte) {
		answer, _ := config.answerBytes(data)
		if answer == nil {
			return
		}

		again, err := dhcpv4.FromBytes(answer.ToBytes())
		if err != nil {
			t.Fatalf("the answer cannot be read: %v", err)
		}

		if again.ClientHWAddr.String() != mac.String() {
			t.Errorf("an answer for %s", again.ClientHWAddr)
		}
	})
}
