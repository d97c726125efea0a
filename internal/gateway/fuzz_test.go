package gateway

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/basalt-os/basalt/api/common"
	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/rbac"
)

// FuzzRoute feeds the routing metadata of a request.
func FuzzRoute(f *testing.F) {
	f.Add("10.0.0.1", "", "", false)
	f.Add("", "a,b", "node-1.example.org.", false)
	f.Add("fe80::1%eth0", "::1", "x", true)
	f.Fuzz(func(t *testing.T, node, first, second string, hop bool) {
		md := metadata.MD{}
		if node != "" {
			md.Set(nodeKey, node)
		}

		if first != "" || second != "" {
			md.Set(nodesKey, first, second)
		}

		if hop {
			md.Set(hopKey, "x")
		}

		to, err := routeOf(md)
		if err != nil {
			if status.Code(err) != codes.InvalidArgument {
				t.Errorf("code %v", status.Code(err))
			}

			return
		}

		seen := map[string]bool{}

		for _, name := range to.nodes {
			// Whatever comes out goes into an address to dial.
			if strings.ContainsAny(name, "/%@ ,\x00") || name == "" || seen[name] {
				t.Errorf("node %q", name)
			}

			if _, err := netip.ParseAddr(name); err != nil && strings.Contains(name, ":") {
				t.Errorf("node %q has a port", name)
			}

			seen[name] = true
		}

		if out := onward(md, rbac.Reader, ""); len(out) != 1 {
			t.Errorf("what was for this hop went on: %v", out)
		}
	})
}

// FuzzMerge feeds the response of another node. What comes out must be what a
// decoder of the contract makes of it, with the metadata added.
func FuzzMerge(f *testing.F) {
	response, err := proto.Marshal(&machine.VersionResponse{Messages: []*machine.Version{
		{Version: &machine.VersionInfo{Tag: "v1"}}, {Metadata: &common.Metadata{Hostname: "liar", Error: "old"}}, {},
	}})
	if err != nil {
		f.Fatal(err)
	}

	f.Add(response)
	f.Add([]byte{0x0a, 0xff})
	f.Add([]byte{0x08, 0x01, 0x0a, 0x00})
	f.Fuzz(func(t *testing.T, data []byte) {
		md, err := nodeMetadata("node", nil)
		if err != nil {
			t.Fatal(err)
		}

		prefix := []byte("\x12\x00") // what other nodes said before

		merged, err := appendResponse(prefix, data, md)
		if err != nil {
			return
		}

		if !bytes.HasPrefix(merged, prefix) {
			t.Fatal("what other nodes said has changed")
		}

		var before, after machine.VersionResponse
		if proto.Unmarshal(data, &before) != nil {
			return
		}

		if err := proto.Unmarshal(merged, &after); err != nil {
			t.Fatalf("the merged response cannot be decoded: %v", err)
		}

		for _, m := range before.GetMessages() {
			if m.Metadata == nil {
				m.Metadata = &common.Metadata{}
			}

			m.Metadata.Hostname = "node"
		}

		after.ProtoReflect().SetUnknown(nil)
		before.ProtoReflect().SetUnknown(nil)

		if !proto.Equal(&before, &after) {
			t.Errorf("merged %v, want %v", &after, &before)
		}
	})
}

func TestFailuresMerge(t *testing.T) {
	md, err := nodeMetadata("node", status.Error(codes.NotFound, "gone"))
	if err != nil {
		t.Fatal(err)
	}

	for name, message := range map[string]proto.Message{
		"unary":  &machine.VersionResponse{},
		"stream": &common.Data{},
	} {
		data := tagMessage(nil, md)
		if name == "unary" {
			data = appendFailure(nil, md)
		}

		if err := proto.Unmarshal(data, message); err != nil {
			t.Fatalf("%s: %v", name, err)
		}

		var got *common.Metadata

		switch message := message.(type) {
		case *machine.VersionResponse:
			got = message.GetMessages()[0].GetMetadata()
		case *common.Data:
			got = message.GetMetadata()
		}

		if got.GetHostname() != "node" || codes.Code(got.GetStatus().GetCode()) != codes.NotFound || got.GetError() == "" {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestAnswersThatDoNotFit checks that one node cannot spoil what others said.
func TestAnswersThatDoNotFit(t *testing.T) {
	large := protowire.AppendTag(nil, responseMessages, protowire.BytesType)
	large = protowire.AppendBytes(large, protowire.AppendBytes(
		protowire.AppendTag(nil, 99, protowire.BytesType), make([]byte, maxMessage/2)))

	var merged []byte

	for _, a := range []answer{
		{node: "a", data: large},
		{node: "b", data: []byte{0xff}},
		{node: "c", data: large},
		{node: "d", err: errors.New("down")},
	} {
		var err error
		if merged, err = a.appendTo(merged); err != nil {
			t.Fatal(err)
		}
	}

	var response machine.VersionResponse
	if err := proto.Unmarshal(merged, &response); err != nil {
		t.Fatal(err)
	}

	var got []string
	for _, m := range response.GetMessages() {
		got = append(got, m.GetMetadata().GetHostname()+" "+codes.Code(m.GetMetadata().GetStatus().GetCode()).String())
	}

	if want := "a OK,b Internal,c ResourceExhausted,d Unknown"; strings.Join(got, ",") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}
