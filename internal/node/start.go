package node

import (
	"context"

	"github.com/basalt-os/basalt/internal/machine"
	"github.com/basalt-os/basalt/internal/service"
)

type observer struct{ n *Node }

func (o observer) ServiceChanged(service.Status) {}

func (n *Node) start(ctx context.Context) error {
	n.supervisor = service.NewSupervisor(n.logger, n.book, observer{n})
	if err := n.supervisor.Add(n.containerdService()); err != nil {
		return err
	}
	n.wg.Go(func() {
		machine.Requests(ctx, func(p machine.Power) {
			_ = n.supervisor.Close(ctx)
			n.end <- p
		})
	})
	return n.supervisor.Start("containerd")
}
