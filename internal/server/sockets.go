package server

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"strconv"
	"strings"
	"syscall"

	"github.com/basalt-os/basalt/api/machine"
)

// parseSockets reads a socket table such as /proc/net/tcp. Its columns are
//
//	sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode ref pointer ...
//
// Addresses are hexadecimal words in the byte order of the processor, and so
// are most other columns; uid, timeout, inode and ref are decimal.
func parseSockets(input io.Reader, protocol string) ([]*machine.ConnectRecord, error) {
	lines := bufio.NewScanner(input)
	if !lines.Scan() { // the names of the columns
		return nil, lines.Err()
	}
	var records []*machine.ConnectRecord
	for lines.Scan() {
		record, err := parseSocket(lines.Text())
		if err != nil {
			return nil, fmt.Errorf("parsing %s socket %q: %w", protocol, lines.Text(), err)
		}
		record.L4Proto = protocol
		records = append(records, record)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading %s sockets: %w", protocol, err)
	}
	return records, nil
}

func parseSocket(line string) (*machine.ConnectRecord, error) {
	columns := strings.Fields(line)
	if len(columns) < 12 {
		return nil, fmt.Errorf("there are %d columns and not 12", len(columns))
	}
	local, err := parseEndpoint(columns[1])
	if err != nil {
		return nil, err
	}
	remote, err := parseEndpoint(columns[2])
	if err != nil {
		return nil, err
	}
	numbers := columnParser{}
	sent, received := numbers.pair(columns[4])
	timer, when := numbers.pair(columns[5])
	record := &machine.ConnectRecord{
		Localip:    local.Addr().String(),
		Localport:  uint32(local.Port()),
		Remoteip:   remote.Addr().String(),
		Remoteport: uint32(remote.Port()),
		State:      machine.ConnectRecord_State(numbers.hex(columns[3], 8)),
		Txqueue:    sent,
		Rxqueue:    received,
		Tr:         machine.ConnectRecord_TimerActive(timer),
		Timerwhen:  when,
		Retrnsmt:   numbers.hex(columns[6], 64),
		Uid:        uint32(numbers.decimal(columns[7], 32)),
		Timeout:    numbers.decimal(columns[8], 64),
		Inode:      numbers.decimal(columns[9], 64),
		Ref:        numbers.decimal(columns[10], 64),
		Pointer:    numbers.hex(columns[11], 64),
	}
	return record, numbers.err
}

// columnParser parses numbers and remembers the first error.
type columnParser struct{ err error }

func (c *columnParser) parse(text string, base, bits int) uint64 {
	number, err := strconv.ParseUint(text, base, bits)
	if err != nil && c.err == nil {
		c.err = err
	}
	return number
}

func (c *columnParser) hex(text string, bits int) uint64     { return c.parse(text, 16, bits) }
func (c *columnParser) decimal(text string, bits int) uint64 { return c.parse(text, 10, bits) }

// pair parses two hexadecimal numbers with a colon between them.
func (c *columnParser) pair(text string) (uint64, uint64) {
	first, second, found := strings.Cut(text, ":")
	if !found && c.err == nil {
		c.err = fmt.Errorf("column %q is no pair of numbers", text)
	}
	return c.hex(first, 32), c.hex(second, 64)
}

// parseEndpoint parses an address and a port: words of four bytes each in the
// byte order of the processor, and the port in the usual order.
func parseEndpoint(text string) (netip.AddrPort, error) {
	address, port, found := strings.Cut(text, ":")
	if !found {
		return netip.AddrPort{}, fmt.Errorf("endpoint %q has no port", text)
	}
	number, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("port of endpoint %q: %w", text, err)
	}
	raw, err := hex.DecodeString(address)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("address of endpoint %q: %w", text, err)
	}
	if len(raw) != 4 && len(raw) != 16 {
		return netip.AddrPort{}, fmt.Errorf("address of endpoint %q has %d bytes", text, len(raw))
	}
	for i := 0; i < len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	ip, _ := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(ip, uint16(number)), nil
}

func inode(info fs.FileInfo) uint64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Ino
	}
	return 0
}
