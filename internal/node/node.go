// Package node puts a node together: the one place where the parts of machined
// are made and connected.
//
// Run is the first process of a node. It prepares the machine, starts the
// parts that everything else needs (the resource store with the controller
// engine, the service supervisor, the API), and then leaves the lead to the
// sequences: initialize, boot, and one of those that end the machine.
package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"

	containerd "github.com/containerd/containerd/v2/client"

	"github.com/basalt-os/basalt/internal/cgroup"
	"github.com/basalt-os/basalt/internal/events"
	"github.com/basalt-os/basalt/internal/logs"
	"github.com/basalt-os/basalt/internal/machine"
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
	platform string

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
	member     *member

	wg  sync.WaitGroup // of all goroutines that live as long as the node
	end chan machine.Power
}

// Run is PID 1. It returns only with an error, and then the machine has ended
// as far as this process is concerned.
func Run(ctx context.Context, _ *slog.Logger) error {
	book := logs.NewBook(logs.DefaultBufferSize, nil)
	output := io.MultiWriter(os.Stdout, book.Open("machined"))
	logger := slog.New(slog.NewTextHandler(output, nil))

	if os.Getpid() != 1 {
		return errors.New("starting machined: it must be the first process of a machine or a PID namespace")
	}

	power, err := run(ctx, logger, book)
	if err != nil {
		// Without its parts the node cannot even be asked what is wrong. The
		// next start may find better conditions.
		logger.Error("node failed", "error", err)

		power = machine.Restart
	}

	logger.Info("ending machine", "how", power.String())

	return errors.Join(err, machine.End(power))
}

func run(ctx context.Context, logger *slog.Logger, book *logs.Book) (machine.Power, error) {
	logger.Info("starting node", "version", version.Version)

	ctx, cancel := context.WithCancel(ctx)

	n := &Node{
		logger:   logger,
		platform: cmp.Or(os.Getenv("PLATFORM"), "container"),
		store:    resource.NewStore(),
		book:     book,
		events:   events.NewRing(events.DefaultCapacity, nil),
		stage:    newStage(),
		reaper:   machine.NewReaper(logger),
		puller:   container.Puller{HostsDir: registryHostsDir},
		member:   newMember(logger, etcdData),
		end:      make(chan machine.Power, 1),
	}
	n.engine = reconcile.NewEngine(n.store, logger)
	n.supervisor = service.NewSupervisor(logger, book, n)
	n.sequencer = machine.NewSequencer(logger, n)
	n.member.connect = n.etcdClient
	n.member.peers = n.controlPlanePeers

	defer n.wg.Wait()
	defer cancel()

	n.wg.Go(func() {
		if err := n.reaper.Run(ctx); err != nil {
			logger.Error("collecting dead processes", "error", err)
		}
	})

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

// environment is what every process of the node gets.
func (n *Node) environment() []string {
	return []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"SSL_CERT_DIR=/etc/ssl/certs",
		"TMPDIR=/tmp",
	}
}
