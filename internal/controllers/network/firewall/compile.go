package firewall

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"go4.org/netipx"
	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/resources/network"
)

// Offsets in packets, in bytes.
const (
	portOffset        = 2 // of the destination's port, in UDP and TCP
	sourcePortOffset  = 0
	icmpTypeOffset    = 0
	tcpFlagsOffset    = 13
	source4, source6  = 12, 8
	dest4, dest6      = 16, 24
	length4, length6  = 4, 16
	registerOne       = 1
	tcpSYN, tcpRST    = 2, 4
	optionMaxSegment  = 2 // the kind of TCP option, and also where in it the size is
	headers4, headers = 40, 60
)

// family is one of the two families of addresses, as a chain of both sees it.
type family struct {
	number       byte
	source, dest uint32
	length       uint32
	keys         nftables.SetDatatype
	headers      uint16 // bytes of the headers of IP and TCP
	all          netip.Prefix
}

func families() []family {
	return []family{
		{unix.NFPROTO_IPV4, source4, dest4, length4, nftables.TypeIPAddr, headers4, netip.MustParsePrefix("0.0.0.0/0")},
		{unix.NFPROTO_IPV6, source6, dest6, length6, nftables.TypeIP6Addr, headers, netip.MustParsePrefix("::/0")},
	}
}

// sets adds a set that a rule looks things up in, and returns it.
type sets func(keys nftables.SetDatatype, interval bool, elements []nftables.SetElement) (*nftables.Set, error)

// compile makes the kernel's rules of a rule. There is more than one where
// families of addresses differ, and none where nothing can match.
func compile(rule network.NfTablesRule, add sets) ([][]expr.Any, error) {
	variants := []*family{nil}

	if rule.MatchSourceAddress != nil || rule.MatchDestinationAddress != nil || rule.ClampMSS != nil {
		variants = nil
		for _, f := range families() {
			variants = append(variants, &f)
		}
	}

	var out [][]expr.Any

	for _, f := range variants {
		c := compiler{add: add}

		matches, err := c.rule(rule, f)
		if err != nil {
			return nil, err
		}

		if matches {
			out = append(out, c.out)
		}
	}

	return out, nil
}

// compiler collects the expressions of a rule.
type compiler struct {
	add sets
	out []expr.Any
}

func (c *compiler) emit(e ...expr.Any) { c.out = append(c.out, e...) }

// rule compiles a rule for a family of addresses, or for both where f is nil. It
// says false when nothing can match.
func (c *compiler) rule(rule network.NfTablesRule, f *family) (matches bool, err error) {
	if err := c.links(expr.MetaKeyIIFNAME, rule.MatchIIfName); err != nil {
		return false, err
	}

	if err := c.links(expr.MetaKeyOIFNAME, rule.MatchOIfName); err != nil {
		return false, err
	}

	c.matchMark(rule.MatchMark)
	c.conntrack(rule.MatchConntrackState)

	if f != nil {
		c.emit(&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: registerOne},
			&expr.Cmp{Op: expr.CmpOpEq, Register: registerOne, Data: []byte{f.number}})

		for _, m := range []struct {
			match  *network.NfTablesAddressMatch
			offset uint32
		}{{rule.MatchSourceAddress, f.source}, {rule.MatchDestinationAddress, f.dest}} {
			ok, err := c.address(m.match, m.offset, *f)
			if err != nil || !ok {
				return false, err
			}
		}
	}

	if err := c.layer4(rule.MatchLayer4); err != nil {
		return false, err
	}

	if rule.MatchLimit != nil {
		c.emit(&expr.Limit{
			Type: expr.LimitTypePkts, Rate: rule.MatchLimit.PacketRatePerSecond, Unit: expr.LimitTimeSecond,
			Burst: uint32(rule.MatchLimit.PacketRatePerSecond),
		})
	}

	c.clamp(rule.ClampMSS, f)
	c.setMark(rule.SetMark)

	if rule.AnonCounter {
		c.emit(&expr.Counter{})
	}

	if rule.Verdict != nil {
		c.emit(&expr.Verdict{Kind: verdict(*rule.Verdict)})
	}

	return true, nil
}

func verdict(v network.NfTablesVerdict) expr.VerdictKind {
	if v == network.NfTablesVerdictDrop {
		return expr.VerdictDrop
	}

	return expr.VerdictAccept
}

func (c *compiler) links(key expr.MetaKey, match *network.NfTablesIfNameMatch) error {
	if match == nil {
		return nil
	}

	elements := make([]nftables.SetElement, len(match.InterfaceNames))

	for i, name := range match.InterfaceNames {
		if len(name) >= unix.IFNAMSIZ {
			return fmt.Errorf("the name of link %q is too long", name)
		}

		elements[i].Key = make([]byte, unix.IFNAMSIZ)
		copy(elements[i].Key, name)
	}

	c.emit(&expr.Meta{Key: key, Register: registerOne})

	return c.lookup(nftables.TypeIFName, false, elements, match.Operator == network.MatchOperatorNotEqual)
}

// lookup compares the register with a set.
func (c *compiler) lookup(keys nftables.SetDatatype, interval bool, elements []nftables.SetElement, invert bool) error {
	set, err := c.add(keys, interval, elements)
	if err != nil {
		return fmt.Errorf("making a set: %w", err)
	}

	c.emit(&expr.Lookup{SourceRegister: registerOne, SetName: set.Name, SetID: set.ID, Invert: invert})

	return nil
}

// bits changes the register: what the mask keeps, xor.
func bits(mask, xor uint32) *expr.Bitwise {
	return &expr.Bitwise{
		SourceRegister: registerOne, DestRegister: registerOne, Len: 4,
		Mask: binaryutil.NativeEndian.PutUint32(mask), Xor: binaryutil.NativeEndian.PutUint32(xor),
	}
}

func (c *compiler) matchMark(mark *network.NfTablesMark) {
	if mark == nil {
		return
	}

	c.emit(&expr.Meta{Key: expr.MetaKeyMARK, Register: registerOne}, bits(mark.Mask, mark.Xor),
		&expr.Cmp{Op: expr.CmpOpEq, Register: registerOne, Data: binaryutil.NativeEndian.PutUint32(mark.Value)})
}

func (c *compiler) setMark(mark *network.NfTablesMark) {
	if mark == nil {
		return
	}

	c.emit(&expr.Meta{Key: expr.MetaKeyMARK, Register: registerOne}, bits(mark.Mask, mark.Xor),
		&expr.Meta{Key: expr.MetaKeyMARK, Register: registerOne, SourceRegister: true})
}

func (c *compiler) conntrack(match *network.NfTablesConntrackStateMatch) {
	if match == nil {
		return
	}

	var states uint32
	for _, s := range match.States {
		states |= uint32(s)
	}

	c.emit(&expr.Ct{Key: expr.CtKeySTATE, Register: registerOne}, bits(states, 0),
		&expr.Cmp{Op: expr.CmpOpNeq, Register: registerOne, Data: binaryutil.NativeEndian.PutUint32(0)})
}

// address compares an address of a family at an offset of the packet. It says
// false when none can match.
func (c *compiler) address(match *network.NfTablesAddressMatch, offset uint32, f family) (bool, error) {
	if match == nil {
		return true, nil
	}

	set, err := addresses(*match, f)
	if err != nil {
		return false, err
	}

	ranges := set.Ranges()

	switch {
	case len(ranges) == 0:
		return false, nil
	case len(ranges) == 1 && ranges[0] == netipx.RangeOfPrefix(f.all):
		return true, nil
	}

	var elements []nftables.SetElement

	for _, r := range ranges {
		elements = append(elements, nftables.SetElement{Key: r.From().AsSlice()})

		// An end is the first that is out; there is none after the last address.
		if end := r.To().Next(); end.IsValid() {
			elements = append(elements, nftables.SetElement{Key: end.AsSlice(), IntervalEnd: true})
		}
	}

	c.emit(&expr.Payload{DestRegister: registerOne, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: f.length})

	return true, c.lookup(f.keys, true, elements, false)
}

// addresses are all addresses of a family that match.
func addresses(match network.NfTablesAddressMatch, f family) (*netipx.IPSet, error) {
	var b netipx.IPSetBuilder

	if len(match.IncludeSubnets) == 0 {
		b.AddPrefix(f.all)
	}

	for _, p := range match.IncludeSubnets {
		b.AddPrefix(p)
	}

	for _, p := range match.ExcludeSubnets {
		b.RemovePrefix(p)
	}

	if match.Invert {
		b.Complement()
	}

	for _, other := range families() {
		if other.number != f.number {
			b.RemovePrefix(other.all)
		}
	}

	set, err := b.IPSet()
	if err != nil {
		return nil, fmt.Errorf("combining subnets: %w", err)
	}

	return set, nil
}

func (c *compiler) layer4(match *network.NfTablesLayer4Match) error {
	if match == nil {
		return nil
	}

	c.protocol(match.Protocol)

	for _, port := range []struct {
		match  *network.NfTablesPortMatch
		offset uint32
	}{{match.MatchSourcePort, sourcePortOffset}, {match.MatchDestinationPort, portOffset}} {
		if port.match == nil {
			continue
		}

		c.emit(&expr.Payload{DestRegister: registerOne, Base: expr.PayloadBaseTransportHeader, Offset: port.offset, Len: 2})

		if err := c.lookup(nftables.TypeInetService, true, portElements(port.match.Ranges), false); err != nil {
			return err
		}
	}

	if match.MatchICMPType == nil {
		return nil
	}

	keys := nftables.TypeICMPType
	if match.Protocol == network.ProtocolICMPv6 {
		keys = nftables.TypeICMP6Type
	}

	var elements []nftables.SetElement
	for _, t := range match.MatchICMPType.Types {
		elements = append(elements, nftables.SetElement{Key: []byte{byte(t)}})
	}

	c.emit(&expr.Payload{DestRegister: registerOne, Base: expr.PayloadBaseTransportHeader, Offset: icmpTypeOffset, Len: 1})

	return c.lookup(keys, false, elements, false)
}

func (c *compiler) protocol(p network.Protocol) {
	c.emit(&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: registerOne},
		&expr.Cmp{Op: expr.CmpOpEq, Register: registerOne, Data: []byte{byte(p)}})
}

// portElements are ranges without overlaps, as the kernel wants them.
func portElements(ranges []network.PortRange) []nftables.SetElement {
	var wanted [1 << 16]bool

	for _, r := range ranges {
		for p := int(r.Lo); p <= int(r.Hi); p++ {
			wanted[p] = true
		}
	}

	var out []nftables.SetElement

	for p := range wanted {
		before := p > 0 && wanted[p-1]
		if wanted[p] != before {
			out = append(out, nftables.SetElement{Key: binary.BigEndian.AppendUint16(nil, uint16(p)), IntervalEnd: before})
		}
	}

	return out
}

// clamp has new connections of TCP use packets that fit.
func (c *compiler) clamp(clamp *network.NfTablesClampMSS, f *family) {
	if clamp == nil || f == nil {
		return
	}

	size := binary.BigEndian.AppendUint16(nil, clamp.MTU-f.headers)

	c.protocol(network.ProtocolTCP)
	c.emit(
		&expr.Payload{DestRegister: registerOne, Base: expr.PayloadBaseTransportHeader, Offset: tcpFlagsOffset, Len: 1},
		&expr.Bitwise{SourceRegister: registerOne, DestRegister: registerOne, Len: 1, Mask: []byte{tcpSYN | tcpRST}, Xor: []byte{0}},
		&expr.Cmp{Op: expr.CmpOpEq, Register: registerOne, Data: []byte{tcpSYN}},
		&expr.Exthdr{DestRegister: registerOne, Type: optionMaxSegment, Offset: optionMaxSegment, Len: 2, Op: expr.ExthdrOpTcpopt},
		&expr.Cmp{Op: expr.CmpOpGt, Register: registerOne, Data: size},
		&expr.Immediate{Register: registerOne, Data: size},
		&expr.Exthdr{SourceRegister: registerOne, Type: optionMaxSegment, Offset: optionMaxSegment, Len: 2, Op: expr.ExthdrOpTcpopt},
	)
}
