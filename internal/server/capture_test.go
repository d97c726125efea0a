package server_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/basalt-os/basalt/api/machine"
)

func TestPacketCapture(t *testing.T) {
	n := newNode(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := machine.NewMachineServiceClient(n.conn).PacketCapture(ctx, &machine.PacketCaptureRequest{
		Interface: "lo",
		SnapLen:   512,
		// "Accept up to 64 KiB of every packet".
		BpfFilter: []*machine.BPFInstruction{{Op: 0x06, K: 0x10000}},
	})
	if err != nil {
		t.Fatal(err)
	}
	header, err := stream.Recv()
	if status.Code(err) == codes.PermissionDenied {
		t.Skip("packet sockets need CAP_NET_RAW")
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := header.GetBytes(); len(got) != 24 || binary.LittleEndian.Uint32(got) != 0xa1b2c3d4 || binary.LittleEndian.Uint32(got[16:]) != 512 {
		t.Fatalf("got header %x", got)
	}
	connection, err := net.Dial("udp", "127.0.0.1:9")
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	mark := []byte("a packet to be captured")
	if _, err := connection.Write(mark); err != nil {
		t.Fatal(err)
	}
	for {
		packet, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		record := packet.GetBytes()
		if kept := binary.LittleEndian.Uint32(record[8:]); int(kept) != len(record)-16 || kept > 512 {
			t.Fatalf("got a record that claims %d of %d bytes", kept, len(record)-16)
		}
		if bytes.Contains(record, mark) {
			return
		}
	}
}

func TestPacketCaptureErrors(t *testing.T) {
	for name, test := range map[string]struct {
		request *machine.PacketCaptureRequest
		want    codes.Code
	}{
		"no such link":        {&machine.PacketCaptureRequest{Interface: "nothing0"}, codes.NotFound},
		"impossible filter":   {&machine.PacketCaptureRequest{Interface: "lo", BpfFilter: []*machine.BPFInstruction{{Op: 1 << 20}}}, codes.InvalidArgument},
		"filter is too large": {&machine.PacketCaptureRequest{Interface: "lo", BpfFilter: make([]*machine.BPFInstruction, 5000)}, codes.InvalidArgument},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			stream, err := machine.NewMachineServiceClient(n.conn).PacketCapture(t.Context(), test.request)
			if err != nil {
				t.Fatal(err)
			}
			_, err = stream.Recv()
			wantCode(t, err, test.want)
		})
	}
}
