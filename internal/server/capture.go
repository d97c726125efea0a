package server

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/mdlayher/packet"
	"github.com/vishvananda/netlink"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"

	"github.com/basalt-os/basalt/api/common"
	"github.com/basalt-os/basalt/api/machine"
)

const (
	// defaultSnapLen is how much of a packet is captured when the caller does
	// not say.
	defaultSnapLen = 4096
	// maxSnapLen is the largest packet there is.
	maxSnapLen = 256 << 10
	// maxFilter is the kernel's limit of a filter's instructions.
	maxFilter = 4096
)

// PacketCapture streams the packets of a link, in pcap format, until the
// caller goes away.
func (s machineService) PacketCapture(request *machine.PacketCaptureRequest, stream grpc.ServerStreamingServer[common.Data]) error {
	if err := capture(stream.Context(), request, chunkWriter{stream: stream}); err != nil {
		return fmt.Errorf("capturing packets of %q: %w", request.GetInterface(), err)
	}
	return nil
}

// linkNamed finds a link by its own name or by its alias.
func linkNamed(name string) (*net.Interface, error) {
	link, err := net.InterfaceByName(name)
	if err == nil || name == "" {
		return link, err
	}

	aliased, notFound := netlink.LinkByAlias(name)
	if notFound != nil {
		return nil, err
	}

	return net.InterfaceByIndex(aliased.Attrs().Index)
}

func capture(ctx context.Context, request *machine.PacketCaptureRequest, output io.Writer) error {
	link, err := linkNamed(request.GetInterface())
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	filter, err := packetFilter(request.GetBpfFilter())
	if err != nil {
		return err
	}
	connection, err := packet.Listen(link, packet.Raw, unix.ETH_P_ALL, &packet.Config{Filter: filter})
	if err != nil {
		return fmt.Errorf("opening packet socket: %w", err)
	}
	defer func() { _ = connection.Close() }()
	if request.GetPromiscuous() {
		if err := connection.SetPromiscuous(true); err != nil {
			return fmt.Errorf("switching to promiscuous mode: %w", err)
		}
	}
	// A deadline in the past ends the read that waits.
	stop := context.AfterFunc(ctx, func() { _ = connection.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	writer, err := newPacketWriter(output, snapLen(request.GetSnapLen()), linkType(link))
	if err != nil {
		return err
	}
	buffer := make([]byte, maxSnapLen)
	for {
		n, _, err := connection.ReadFrom(buffer)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, os.ErrDeadlineExceeded):
			continue
		case err != nil:
			return fmt.Errorf("receiving packet: %w", err)
		}
		if err := writer.write(time.Now(), buffer[:n]); err != nil {
			return err
		}
	}
}

func snapLen(requested uint32) uint32 {
	if requested == 0 {
		return defaultSnapLen
	}
	return min(requested, maxSnapLen)
}

func packetFilter(instructions []*machine.BPFInstruction) ([]bpf.RawInstruction, error) {
	if len(instructions) > maxFilter {
		return nil, fmt.Errorf("the filter has %d instructions, at most %d are possible: %w", len(instructions), maxFilter, ErrInvalid)
	}
	var filter []bpf.RawInstruction
	for i, instruction := range instructions {
		if instruction.GetOp() > 0xffff || instruction.GetJt() > 0xff || instruction.GetJf() > 0xff {
			return nil, fmt.Errorf("instruction %d of the filter is out of range: %w", i, ErrInvalid)
		}
		filter = append(filter, bpf.RawInstruction{
			Op: uint16(instruction.GetOp()),
			Jt: uint8(instruction.GetJt()),
			Jf: uint8(instruction.GetJf()),
			K:  instruction.GetK(),
		})
	}
	return filter, nil
}

// Link types of pcap files.
const (
	linkEthernet = 1
	linkRawIP    = 101
)

// linkType is how packets of a link begin: tunnels have no Ethernet header.
func linkType(link *net.Interface) uint32 {
	if len(link.HardwareAddr) == 0 && link.Flags&net.FlagLoopback == 0 {
		return linkRawIP
	}
	return linkEthernet
}

// packetWriter writes the classic pcap format, with microseconds.
type packetWriter struct {
	output  io.Writer
	snapLen uint32
}

func newPacketWriter(output io.Writer, snapLen, link uint32) (*packetWriter, error) {
	header := binary.LittleEndian.AppendUint32(nil, 0xa1b2c3d4)
	header = binary.LittleEndian.AppendUint16(header, 2) // version 2.4
	header = binary.LittleEndian.AppendUint16(header, 4)
	header = binary.LittleEndian.AppendUint64(header, 0) // UTC, accuracy unknown
	header = binary.LittleEndian.AppendUint32(header, snapLen)
	header = binary.LittleEndian.AppendUint32(header, link)
	_, err := output.Write(header)
	return &packetWriter{output: output, snapLen: snapLen}, err
}

// write adds one packet, cut at the capture length. Header and packet go out
// in one piece.
func (w *packetWriter) write(at time.Time, content []byte) error {
	kept := content[:min(len(content), int(w.snapLen))]
	record := binary.LittleEndian.AppendUint32(nil, uint32(at.Unix()))
	record = binary.LittleEndian.AppendUint32(record, uint32(at.Nanosecond()/1000))
	record = binary.LittleEndian.AppendUint32(record, uint32(len(kept)))
	record = binary.LittleEndian.AppendUint32(record, uint32(len(content)))
	_, err := w.output.Write(append(record, kept...))
	return err
}
