package server_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"

	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/server"
)

const (
	tableHead = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	listening = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1 0000000000000000 100 0 0 10 0\n"
	connected = "   1: 0100007F:1F90 0200000A:D431 01 00000001:00000002 02:000005C5 00000003  1000        4 222 5 00000000abcdef01 20 4 30 10 -1\n"
	datagram  = "  12: 00000000:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 333 2 0000000000000000 0\n"
	v6        = "   0: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 444 1 0\n"
)

// kernelWith returns a process filesystem with the given tables of the host
// and, for process 42 with its own network namespace, of the pod.
func kernelWith(t *testing.T, host, pod map[string]string) (proc, namespace string) {
	t.Helper()
	proc = t.TempDir()
	write := func(path, content string) {
		t.Helper()
		full := filepath.Join(proc, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, rows := range host {
		write("self/net/"+name, tableHead+rows)
	}
	for name, rows := range pod {
		write("42/net/"+name, tableHead+rows)
	}
	write("42/comm", "nginx\n")
	write("42/ns/net", "")
	if err := os.MkdirAll(filepath.Join(proc, "42/fd"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("socket:[222]", filepath.Join(proc, "42/fd/7")); err != nil {
		t.Fatal(err)
	}
	return proc, filepath.Join(proc, "42/ns/net")
}

func TestNetstat(t *testing.T) {
	host := map[string]string{"tcp": listening + connected, "udp": datagram, "tcp6": v6}
	pod := map[string]string{"tcp": connected}
	for _, test := range []struct {
		name    string
		request *machine.NetstatRequest
		want    []string
	}{
		{"all", &machine.NetstatRequest{}, []string{
			"tcp 127.0.0.1:8080 LISTEN", "tcp 127.0.0.1:8080 ESTABLISHED", "tcp6 ::1:80 LISTEN", "udp 0.0.0.0:53 CLOSE",
		}},
		{"listening", &machine.NetstatRequest{Filter: machine.NetstatRequest_LISTENING}, []string{
			"tcp 127.0.0.1:8080 LISTEN", "tcp6 ::1:80 LISTEN", "udp 0.0.0.0:53 CLOSE",
		}},
		{"connected", &machine.NetstatRequest{Filter: machine.NetstatRequest_CONNECTED}, []string{"tcp 127.0.0.1:8080 ESTABLISHED"}},
		{"one protocol", &machine.NetstatRequest{L4Proto: &machine.NetstatRequest_L4Proto{Udp: true}}, []string{"udp 0.0.0.0:53 CLOSE"}},
		{"a pod", &machine.NetstatRequest{Netns: &machine.NetstatRequest_NetNS{Netns: []string{"cni-1"}}}, []string{
			"cni-1 tcp 127.0.0.1:8080 ESTABLISHED",
		}},
		{"everything", &machine.NetstatRequest{
			Netns:   &machine.NetstatRequest_NetNS{Allnetns: true},
			L4Proto: &machine.NetstatRequest_L4Proto{Tcp: true},
			Filter:  machine.NetstatRequest_CONNECTED,
		}, []string{"tcp 127.0.0.1:8080 ESTABLISHED", "cni-1 tcp 127.0.0.1:8080 ESTABLISHED"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			proc, namespace := kernelWith(t, host, pod)
			n := newNode(t, func(options *server.Options) { options.Proc = proc })
			n.plant(t, map[string]string{"run/netns/": ""})
			// Two names of one file stand for two ways to one namespace.
			if err := os.Link(namespace, filepath.Join(n.root, "run/netns/cni-1")); err != nil {
				t.Fatal(err)
			}
			reply, err := machine.NewMachineServiceClient(n.conn).Netstat(t.Context(), test.request)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range reply.GetMessages()[0].GetConnectrecord() {
				text := r.GetL4Proto() + " " + r.GetLocalip() + ":" + cmpPort(r.GetLocalport()) + " " + r.GetState().String()
				got = append(got, strings.TrimSpace(r.GetNetns()+" "+text))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("sockets (-want +got):\n%s", diff)
			}
		})
	}
}

func cmpPort(port uint32) string {
	return map[uint32]string{8080: "8080", 80: "80", 53: "53"}[port]
}

func TestNetstatNamesProcesses(t *testing.T) {
	proc, _ := kernelWith(t, map[string]string{"tcp": connected}, nil)
	n := newNode(t, func(options *server.Options) { options.Proc = proc })
	reply, err := machine.NewMachineServiceClient(n.conn).Netstat(t.Context(), &machine.NetstatRequest{
		Feature: &machine.NetstatRequest_Feature{Pid: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := reply.GetMessages()[0].GetConnectrecord()[0]
	if got.GetProcess().GetPid() != 42 || got.GetProcess().GetName() != "nginx" {
		t.Errorf("got process %v", got.GetProcess())
	}
	if got.GetTxqueue() != 1 || got.GetRxqueue() != 2 || got.GetTr() != machine.ConnectRecord_KEEPALIVE || got.GetTimerwhen() != 0x5c5 ||
		got.GetRetrnsmt() != 3 || got.GetUid() != 1000 || got.GetTimeout() != 4 || got.GetInode() != 222 || got.GetRef() != 5 ||
		got.GetPointer() != 0xabcdef01 || got.GetRemoteip() != "10.0.0.2" || got.GetRemoteport() != 0xd431 {
		t.Errorf("got %v", got)
	}
}

func TestNetstatRefusesPaths(t *testing.T) {
	n := newNode(t)
	_, err := machine.NewMachineServiceClient(n.conn).Netstat(t.Context(), &machine.NetstatRequest{
		Netns: &machine.NetstatRequest_NetNS{Netns: []string{"../../proc/1/ns/net"}},
	})
	wantCode(t, err, codes.InvalidArgument)
	_, err = machine.NewMachineServiceClient(n.conn).Netstat(t.Context(), &machine.NetstatRequest{
		Netns: &machine.NetstatRequest_NetNS{Netns: []string{"cni-missing"}},
	})
	wantCode(t, err, codes.NotFound)
}

func FuzzParseSockets(f *testing.F) {
	f.Add(tableHead + listening + connected)
	f.Add(tableHead + v6)
	f.Add(tableHead + ":::: : : : : : : : : :\n")
	f.Fuzz(func(t *testing.T, table string) {
		records, err := server.ParseSockets(strings.NewReader(table), "tcp")
		if err != nil {
			return
		}
		for _, record := range records {
			if record.GetLocalip() == "" || record.GetLocalport() > 0xffff {
				t.Errorf("got %v", record)
			}
		}
	})
}
