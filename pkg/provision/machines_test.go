package provision_test

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/pkg/provision"
)

func TestParseDisks(t *testing.T) {
	for text, test := range map[string]struct {
		want []provision.Disk
		err  string
	}{
		"virtio:10GiB":                    {[]provision.Disk{{Driver: "virtio", Size: 10 << 30}}, ""},
		"virtio:6144,nvme:5Gi:serial=one": {[]provision.Disk{{Driver: "virtio", Size: 6 << 30}, {Driver: "nvme", Size: 5 << 30, Serial: "one"}}, ""},
		"scsi:1GB:block=4096":             {[]provision.Disk{{Driver: "scsi", Size: 1e9, BlockSize: 4096}}, ""},
		"virtio":                          {nil, "driver and a size"},
		"":                                {nil, "driver and a size"},
		"floppy:1440":                     {nil, `no driver "floppy"`},
		"virtio:much":                     {nil, "no size"},
		"virtio:-1Gi":                     {nil, "no size"},
		"virtio:0":                        {nil, "no size"},
		"virtio:1Gi:block=100":            {nil, "512 or 4096"},
		"virtio:1Gi:color=red":            {nil, `no option "color"`},
	} {
		got, err := provision.ParseDisks(text)
		if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%q: got error %v, want %q", text, err, test.err)
		}

		if diff := cmp.Diff(test.want, got); test.err == "" && diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
}

// TestIdentity checks that machines keep who they are, and differ.
func TestIdentity(t *testing.T) {
	nodes := func(cluster string) []provision.Node {
		nodes, err := provision.Layout{ControlPlanes: 2}.Nodes(cluster, netip.MustParsePrefix("10.5.0.0/24"))
		if err != nil {
			t.Fatal(err)
		}

		return nodes
	}

	a, again, other := nodes("a"), nodes("a"), nodes("b")

	if a[0].MAC.String() != again[0].MAC.String() || a[0].UUID != again[0].UUID {
		t.Error("the same machine is another one")
	}

	seen := map[string]bool{}
	for _, node := range append(a, other...) {
		if seen[node.MAC.String()] || seen[node.UUID] || node.MAC[0]&3 != 2 || len(node.UUID) != 36 {
			t.Errorf("node %s has %s, %s", node.Name, node.MAC, node.UUID)
		}

		seen[node.MAC.String()], seen[node.UUID] = true, true
	}

	data, err := json.Marshal(a[0])
	if err != nil || !strings.Contains(string(data), a[0].MAC.String()) {
		t.Errorf("%s, %v", data, err)
	}

	var back provision.Node
	if err := json.Unmarshal(data, &back); err != nil || back.MAC.String() != a[0].MAC.String() {
		t.Errorf("%v, %v", back.MAC, err)
	}

	var container provision.Node
	if err := json.Unmarshal([]byte(`{"name": "x"}`), &container); err != nil {
		t.Error(err)
	}
}
