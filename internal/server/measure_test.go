package server_test

import (
	"os"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/server"
)

// TestMeasurements reads the numbers of the machine the test runs on: what
// they are is unknown, but not that they are there.
func TestMeasurements(t *testing.T) {
	n := newNode(t)
	client := machine.NewMachineServiceClient(n.conn)
	ctx, none := t.Context(), &emptypb.Empty{}

	if reply, err := client.Hostname(ctx, none); err != nil || reply.GetMessages()[0].GetHostname() == "" {
		t.Errorf("host name: got %v, %v", reply, err)
	}
	if _, err := client.LoadAvg(ctx, none); err != nil {
		t.Errorf("load averages: %v", err)
	}
	if reply, err := client.Memory(ctx, none); err != nil || reply.GetMessages()[0].GetMeminfo().GetMemtotal() == 0 {
		t.Errorf("memory: got %v, %v", reply, err)
	}
	if reply, err := client.CPUInfo(ctx, none); err != nil || len(reply.GetMessages()[0].GetCpuInfo()) == 0 {
		t.Errorf("processors: got %v, %v", reply, err)
	}
	if _, err := client.CPUFreqStats(ctx, none); err != nil {
		t.Errorf("frequencies: %v", err)
	}
	if reply, err := client.SystemStat(ctx, none); err != nil || reply.GetMessages()[0].GetBootTime() == 0 || len(reply.GetMessages()[0].GetCpu()) == 0 {
		t.Errorf("system: got %v, %v", reply, err)
	}
	if _, err := client.DiskStats(ctx, none); err != nil {
		t.Errorf("disks: %v", err)
	}
	if reply, err := client.NetworkDeviceStats(ctx, none); err != nil || len(reply.GetMessages()[0].GetDevices()) == 0 {
		t.Errorf("network: got %v, %v", reply, err)
	}
	if reply, err := client.Mounts(ctx, none); err != nil || len(reply.GetMessages()[0].GetStats()) == 0 {
		t.Errorf("mounts: got %v, %v", reply, err)
	}
}

func TestProcesses(t *testing.T) {
	n := newNode(t)
	reply, err := machine.NewMachineServiceClient(n.conn).Processes(t.Context(), &emptypb.Empty{})
	if err != nil {
		t.Fatal(err)
	}
	for _, process := range reply.GetMessages()[0].GetProcesses() {
		if int(process.GetPid()) != os.Getpid() {
			continue
		}
		if int(process.GetPpid()) != os.Getppid() || process.GetThreads() == 0 || process.GetResidentMemory() == 0 ||
			!strings.Contains(process.GetArgs(), os.Args[0]) || process.GetExecutable() == "" {
			t.Errorf("got %v", process)
		}
		return
	}
	t.Error("this very process is not among them")
}

func TestParseMeminfo(t *testing.T) {
	info, err := server.ParseMeminfo(strings.NewReader("MemTotal:  16 kB\nActive(anon): 3 kB\nSUnreclaim: 4 kB\nHugePages_Rsvd: 5\nSomethingNew: 6 kB\n"))
	if err != nil {
		t.Fatal(err)
	}
	if info.GetMemtotal() != 16 || info.GetActiveanon() != 3 || info.GetSunreclaim() != 4 || info.GetHugepagesrsvd() != 5 {
		t.Errorf("got %v", info)
	}
	for _, text := range []string{"MemTotal", "MemTotal:", "MemTotal: much kB", "MemTotal: -1 kB"} {
		if _, err := server.ParseMeminfo(strings.NewReader(text)); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

func FuzzParseMeminfo(f *testing.F) {
	f.Add("MemTotal:       16314652 kB\nDirectMap1G:           0 kB\n")
	f.Add("HugePages_Total:   0\n:\n")
	f.Fuzz(func(t *testing.T, text string) {
		info, err := server.ParseMeminfo(strings.NewReader(text))
		if (info == nil) == (err == nil) {
			t.Errorf("got %v and %v", info, err)
		}
	})
}
