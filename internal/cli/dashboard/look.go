package dashboard

import (
	"context"
	"io"
	"time"

	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/cli/connect"
	"github.com/basalt-os/basalt/internal/cli/objects"
	"github.com/basalt-os/basalt/pkg/client"
)

// look is what a node was like at a moment. It is not changed afterwards.
type look struct {
	node string
	time time.Time
	err  error // nothing else is known

	version    string
	stage      string
	ready      bool
	unmet      []string
	facts      []string // lines that only a machine's own console shows
	load       [3]float64
	processors int
	cpu        *machine.CPUStat
	memory     *machine.MemInfo
	network    *machine.NetDev
	processes  int
	services   []*machine.ServiceInfo
}

// kernelLog is the name under which the log of the kernel is asked for.
const kernelLog = ""

// logLines is how much of a log is fetched: more than a screen has.
const logLines = 200

// lookTimeout bounds one look.
const lookTimeout = 5 * time.Second

// looker gets what the screen shows; tests have one of their own.
type looker interface {
	look(node int) look
	// log returns the end of the log of a service, or of the kernel.
	log(node int, service string) string
}

// source asks nodes.
type source struct {
	ctx    context.Context // of the whole program
	target *connect.Target
	brief  bool // leaves out what takes a node much work
}

func (s *source) look(i int) look {
	node := s.target.Nodes[i]

	ctx, cancel := context.WithTimeout(node.Context(s.ctx), lookTimeout)
	defer cancel()

	l := look{node: node.Name, time: time.Now()}
	l.err = l.fill(ctx, node, s.brief)

	return l
}

// fill asks for everything; when brief, not for the processes. A node that does
// not serve one of the calls is shown without its answer; only one that says
// nothing at all has failed.
func (l *look) fill(ctx context.Context, n connect.Node, brief bool) error {
	version, err := client.Check(n.Machine.Version(ctx, &emptypb.Empty{}))
	if err != nil {
		return err
	}

	for _, message := range version.GetMessages() {
		l.version = message.GetVersion().GetTag()
	}

	if load, err := client.Check(n.Machine.LoadAvg(ctx, &emptypb.Empty{})); err == nil {
		for _, m := range load.GetMessages() {
			l.load = [3]float64{m.GetLoad1(), m.GetLoad5(), m.GetLoad15()}
		}
	}

	if stat, err := client.Check(n.Machine.SystemStat(ctx, &emptypb.Empty{})); err == nil {
		for _, m := range stat.GetMessages() {
			l.cpu, l.processors = m.GetCpuTotal(), len(m.GetCpu())
		}
	}

	if memory, err := client.Check(n.Machine.Memory(ctx, &emptypb.Empty{})); err == nil {
		for _, m := range memory.GetMessages() {
			l.memory = m.GetMeminfo()
		}
	}

	if network, err := client.Check(n.Machine.NetworkDeviceStats(ctx, &emptypb.Empty{})); err == nil {
		for _, m := range network.GetMessages() {
			l.network = m.GetTotal()
		}
	}

	if !brief {
		l.countProcesses(ctx, n)
	}

	if services, err := client.Check(n.Machine.ServiceList(ctx, &emptypb.Empty{})); err == nil {
		for _, m := range services.GetMessages() {
			l.services = m.GetServices()
		}
	}

	l.status(ctx, n)

	return nil
}

func (l *look) countProcesses(ctx context.Context, n connect.Node) {
	if processes, err := client.Check(n.Machine.Processes(ctx, &emptypb.Empty{})); err == nil {
		for _, m := range processes.GetMessages() {
			l.processes = len(m.GetProcesses())
		}
	}
}

// status asks for the state of the machine.
func (l *look) status(ctx context.Context, n connect.Node) {
	object, err := objects.Get(ctx, n, "runtime", "MachineStatuses.runtime.talos.dev", "machine")
	if err != nil {
		return
	}

	var spec struct {
		Stage  string `yaml:"stage"`
		Status struct {
			Ready bool `yaml:"ready"`
			Unmet []struct {
				Name   string `yaml:"name"`
				Reason string `yaml:"reason"`
			} `yaml:"unmetConditions"`
		} `yaml:"status"`
	}

	if object.Decode(&spec) != nil {
		return
	}

	l.stage, l.ready = spec.Stage, spec.Status.Ready
	for _, unmet := range spec.Status.Unmet {
		l.unmet = append(l.unmet, unmet.Name+": "+unmet.Reason)
	}
}

func (s *source) log(i int, service string) string {
	node := s.target.Nodes[i]

	ctx, cancel := context.WithTimeout(node.Context(s.ctx), lookTimeout)
	defer cancel()

	var (
		reader *client.Reader
		err    error
	)

	if service == kernelLog {
		reader, err = client.NewReader(node.Machine.Dmesg(ctx, &machine.DmesgRequest{}))
	} else {
		reader, err = client.NewReader(node.Machine.Logs(ctx, &machine.LogsRequest{
			Namespace: "system", Id: service, TailLines: logLines,
		}))
	}

	if err != nil {
		return client.Message(err)
	}

	text, err := io.ReadAll(reader)
	if err != nil {
		return string(text) + client.Message(err)
	}

	return string(text)
}
