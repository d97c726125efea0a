// Package node puts a node together: the one place where the parts of machined
// are made and connected.
//
// Run is the first process of a node. It prepares the machine, starts the
// parts that everything else needs (the resource store with the controller
// engine, the service supervisor, the API), and then leaves the lead to the
// sequences: initialize, boot, and one of those that end the machine.
package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	containerd "github.com/containerd/containerd/v2/client"

	"github.com/basalt-os/basalt/internal/acquire"
	"github.com/basalt-os/basalt/internal/cgroup"
	"github.com/basalt-os/basalt/internal/egress"
	"github.com/basalt-os/basalt/internal/events"
	"github.com/basalt-os/basalt/internal/kmod/loader"
	"github.com/basalt-os/basalt/internal/logs"
	"github.com/basalt-os/basalt/internal/machine"
	"github.com/basalt-os/basalt/internal/meta"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources"
	"github.com/basalt-os/basalt/internal/service"
	"github.com/basalt-os/basalt/internal/service/container"
	"github.com/basalt-os/basalt/internal/version"
)

// maxFiles is the number of files that each service may have open.
const maxFiles = 1 << 20

// Node is a running node.
type Node struct {
	logger   *slog.Logger
	platform platform

	store  *resource.Store
	table  *resources.Table
	engine *reconcile.Engine

	book       *logs.Book
	events     *events.Ring
	stage      *stage
	supervisor *service.Supervisor
	sequencer  *machine.Sequencer
	reaper     *machine.Reaper
	groups     *cgroup.Tree
	etc        etc
	containerd *containerd.Client
	puller     container.Puller
	egress     *egress.Way
	member     *member
	meta       *meta.Values
	state      *stateFolder
	configs    acquire.Store
	installer  *installer
	loader     bootLoader
	onDisk     atomic.Bool    // EPHEMERAL is mounted
	modules    *loader.Loader // of a machine
	terminal   string         // for the dashboard; empty when there is none

	wg  sync.WaitGroup // of all goroutines that live as long as the node
	end chan machine.Power
}

// Run is PID 1. It returns only with an error, and then the machine has ended
// as far as this process is concerned.
func Run(ctx context.Context, _ *slog.Logger) error {
	if os.Getpid() != 1 {
		return errors.New("starting machined: it must be the first process of a machine or a PID namespace")
	}

	commandLine, err := readOptional("/proc/cmdline")
	if err != nil {
		return fmt.Errorf("reading the kernel's command line: %w", err)
	}

	on := detectPlatform(os.Getenv("PLATFORM"), string(commandLine))
	book := logs.NewBook(logs.DefaultBufferSize, nil)
	logger := slog.New(slog.NewMultiHandler(consoleLog(on), slog.NewTextHandler(book.Open("machined"), nil)))

	power, err := run(ctx, on, logger, book)
	if err != nil {
		// Without its parts the node cannot even be asked what is wrong. The
		// next start may find better conditions.
		logger.Error("node failed", "error", err)

		power = machine.Restart

		if !on.isContainer() {
			<-time.After(readingTime)
		}
	}

	logger.Info("ending machine", "how", power.String())

	return errors.Join(err, machine.End(power))
}

// readingTime is how long a person at the console can read why the machine
// failed, before it starts again.
const readingTime = 10 * time.Second

// consoleLog is where the log goes for people: a machine's consoles show the
// kernel's log.
func consoleLog(on platform) slog.Handler {
	if !on.isContainer() {
		if device, err := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0); err == nil {
			return logs.KmsgHandler(device, "machined")
		}
	}

	return slog.NewTextHandler(os.Stdout, nil)
}

func run(ctx context.Context, on platform, logger *slog.Logger, book *logs.Book) (machine.Power, error) {
	logger.Info("starting node", "version", version.Version, "platform", on.name)

	ctx, cancel := context.WithCancel(ctx)

	n := &Node{
		logger:   logger,
		platform: on,
		store:    resource.NewStore(),
		book:     book,
		events:   events.NewRing(events.DefaultCapacity, nil),
		stage:    newStage(),
		reaper:   machine.NewReaper(logger),
		member:   newMember(logger, etcdData),
		state:    newStateFolder(),
		configs:  acquire.Store{Dir: stateDir},
		end:      make(chan machine.Power, 1),
	}
	n.egress = n.newEgress()
	n.puller = container.Puller{HostsDir: registryHostsDir, Adapt: n.egress.Adapt}
	n.meta = meta.New(n.store)
	n.installer = &installer{n: n}
	n.loader = diskLoader{n}
	n.engine = reconcile.NewEngine(n.store, logger)
	n.supervisor = service.NewSupervisor(logger, book, n)
	n.sequencer = machine.NewSequencer(logger, n)
	n.member.connect = n.etcdClient
	n.member.peers = n.controlPlanePeers

	defer n.awaitAll()
	defer cancel()

	n.wg.Go(func() {
		if err := n.reaper.Run(ctx); err != nil {
			logger.Error("collecting dead processes", "error", err)
		}
	})

	if n.platform.isContainer() {
		if err := n.state.arrive(); err != nil {
			return 0, err
		}
	} else if err := n.prepareMachine(); err != nil {
		return 0, err
	}

	if err := n.prepare(); err != nil {
		return 0, err
	}
	defer n.containerd.Close()

	if err := n.start(ctx); err != nil {
		return 0, err
	}

	select {
	case power := <-n.end:
		n.announceEnd(ctx, power)

		return power, nil
	case <-ctx.Done():
		return machine.PowerOff, nil
	}
}

// endPatience is how long what the node does in the background may take to end
// once it shall. A task that hangs in the kernel does not keep the machine.
const endPatience = 30 * time.Second

// awaitAll waits until all goroutines of the node have ended.
func (n *Node) awaitAll() {
	ended := make(chan struct{})

	go func() {
		n.wg.Wait()
		close(ended)
	}()

	select {
	case <-ended:
	case <-time.After(endPatience):
		n.logger.Warn("something does not end: going on without it")
	}
}

// prepare makes the machine fit to run services.
func (n *Node) prepare() error {
	if err := machine.RaiseLimits(maxFiles); err != nil {
		return err
	}

	var err error
	if n.etc, err = mountEtc(); err != nil {
		return err
	}

	if err := layout().Apply(); err != nil {
		return err
	}

	if n.groups, err = cgroup.Open(cgroup.Mountpoint); err != nil {
		return err
	}

	if err := createGroups(n.groups); err != nil {
		return fmt.Errorf("creating control groups: %w", err)
	}

	n.containerd, err = container.Connect(containerdSocket)

	return err
}

// environment is what every process of the node gets. Variables of the
// configuration are added for those that may reach servers elsewhere: see
// serviceEnvironment.
func (n *Node) environment() []string {
	return []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"SSL_CERT_DIR=/etc/ssl/certs",
		"TMPDIR=/tmp",
	}
}
