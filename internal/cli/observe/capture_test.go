package observe

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/basalt-os/basalt/api/machine"
)

func TestParseFilter(t *testing.T) {
	got, err := parseFilter("{ 0x28, 0, 0, 0x0000000c },\n{ 0x15, 0, 5, 2048 },\n\n{ 6, 0, 0, 0 },\n")
	if err != nil {
		t.Fatal(err)
	}

	want := []*machine.BPFInstruction{{Op: 0x28, K: 12}, {Op: 0x15, Jf: 5, K: 2048}, {Op: 6}}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}

	for _, text := range []string{"port 80", "{ 0x28, 0, 0 },", "{ 0x28, 0, 0, 0x1ffffffff },"} {
		if got, err := parseFilter(text); err == nil {
			t.Errorf("%q was taken for %v", text, got)
		}
	}
}

func TestNetstatRequest(t *testing.T) {
	for name, test := range map[string]struct {
		options netstatOptions
		pods    []string
		want    *machine.NetstatRequest
	}{
		"nothing said": {
			want: &machine.NetstatRequest{
				Filter: machine.NetstatRequest_CONNECTED, Feature: &machine.NetstatRequest_Feature{},
				L4Proto: &machine.NetstatRequest_L4Proto{
					Tcp: true, Tcp6: true, Udp: true, Udp6: true, Udplite: true, Udplite6: true, Raw: true, Raw6: true,
				},
				Netns: &machine.NetstatRequest_NetNS{Hostnetwork: true},
			},
		},
		"listening TCP over IPv4 with programs": {
			options: netstatOptions{listening: true, tcp: true, onlyVersion4: true, programs: true},
			want: &machine.NetstatRequest{
				Filter: machine.NetstatRequest_LISTENING, Feature: &machine.NetstatRequest_Feature{Pid: true},
				L4Proto: &machine.NetstatRequest_L4Proto{Tcp: true},
				Netns:   &machine.NetstatRequest_NetNS{Hostnetwork: true},
			},
		},
		"all of a pod over IPv6": {
			options: netstatOptions{all: true, udp: true, onlyVersion6: true}, pods: []string{"default/web"},
			want: &machine.NetstatRequest{
				Filter: machine.NetstatRequest_ALL, Feature: &machine.NetstatRequest_Feature{},
				L4Proto: &machine.NetstatRequest_L4Proto{Udp6: true},
				Netns:   &machine.NetstatRequest_NetNS{Netns: []string{"default/web"}},
			},
		},
	} {
		if diff := cmp.Diff(test.want, test.options.build(test.pods), protocmp.Transform()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
