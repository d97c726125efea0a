package node

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/basalt-os/basalt/internal/machine"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources"
	"github.com/basalt-os/basalt/internal/resources/k8s"
	"github.com/basalt-os/basalt/internal/resources/network"
	"github.com/basalt-os/basalt/internal/state"
	"github.com/basalt-os/basalt/internal/trial"
)

// start makes the parts of the node work, and boots it in the background.
func (n *Node) start(ctx context.Context) error {
	var err error
	if n.table, err = resources.NewTable(resources.Describe[reconcile.Status](), resources.Describe[trial.Status]()); err != nil {
		return fmt.Errorf("making resource table: %w", err)
	}

	if err := state.Describe(ctx, n.store, n.table); err != nil {
		return err
	}

	for _, controller := range n.controllers() {
		if err := n.engine.Register(controller); err != nil {
			return fmt.Errorf("registering controller: %w", err)
		}
	}

	if err := n.supervisor.Add(n.machinedService(), n.containerdService(), n.gatewayService()); err != nil {
		return err
	}

	if n.terminal != "" {
		if err := n.supervisor.Add(n.dashboardService()); err != nil {
			return err
		}
	}

	n.background(ctx, "running controllers", n.engine.Run)
	n.background(ctx, "booting", n.bootNode)

	if !n.platform.isContainer() {
		n.background(ctx, "giving devices their drivers", n.plugDevices)
		n.background(ctx, "mounting STATE", n.keepState)
		n.background(ctx, "waiting for power buttons", n.watchButtons)
	}

	n.background(ctx, "waiting for signals", func(ctx context.Context) error {
		machine.Requests(ctx, func(power machine.Power) { n.endBySignal(ctx, power) })

		return nil
	})

	return nil
}

// background runs f until ctx ends. An error is told, and the node stays up:
// its API can say what is wrong.
func (n *Node) background(ctx context.Context, doing string, f func(context.Context) error) {
	n.wg.Go(func() {
		if err := f(ctx); err != nil && ctx.Err() == nil {
			n.logger.Error(doing, "error", err)
		}
	})
}

func (n *Node) endBySignal(ctx context.Context, power machine.Power) {
	kind := machine.Shutdown
	if power == machine.Restart {
		kind = machine.Reboot
	}

	if err := n.endNode(ctx, kind, power, n.stopPhases()...); err != nil {
		n.logger.Warn("ending the machine as a signal asks", "error", err)
	}
}

// controlPlanePeers returns the addresses of the other control plane nodes.
func (n *Node) controlPlanePeers(ctx context.Context) ([]netip.Addr, error) {
	own, err := resource.Get[network.NodeAddress](ctx, n.store, network.NodeAddressCurrentID)
	if err != nil && !errors.Is(err, resource.ErrNotFound) {
		return nil, err
	}

	endpoints, err := resource.List[k8s.Endpoint](ctx, n.store)
	if err != nil {
		return nil, err
	}

	var peers []netip.Addr

	for _, endpoint := range endpoints {
		for _, address := range endpoint.Spec.Addresses {
			isOwn := own != nil && slices.ContainsFunc(own.Spec.Addresses, func(p netip.Prefix) bool { return p.Addr() == address })
			if !isOwn && !slices.Contains(peers, address) {
				peers = append(peers, address)
			}
		}
	}

	return peers, nil
}
