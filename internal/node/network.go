package node

import (
	"time"

	"github.com/basalt-os/basalt/internal/controllers/clock"
	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/controllers/network"
	"github.com/basalt-os/basalt/internal/controllers/network/apply"
	"github.com/basalt-os/basalt/internal/controllers/network/ethernet"
	networkplatform "github.com/basalt-os/basalt/internal/controllers/network/platform"
	"github.com/basalt-os/basalt/internal/controllers/network/variant"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/timesync"
)

// machineClock goes on while the machine is off.
const machineClock = "/dev/rtc0"

// clock are the controllers of the node's time: a container has the clock of
// its host.
func (n *Node) clock(reader *configured.Reader) []reconcile.Controller {
	if n.platform.isContainer() {
		return clock.Controllers()
	}

	return clock.Machine(clock.Dependencies{
		Config: reader, Clock: timesync.System{RTC: machineClock}, Query: (&timesync.Client{Roots: n.egress.Roots}).Ask, Now: time.Now, Logger: n.logger,
	})
}

// network are the controllers of the node's network: a container finds it
// ready, a machine configures its own.
func (n *Node) network(reader *configured.Reader) []reconcile.Controller {
	common := network.Dependencies{
		Config: reader, Kernel: network.Netlink{}, Hostname: hostname{}, Logger: n.logger, PodResolvConf: podResolvConf,
		Adapt: n.egress.Adapt,
	}

	if n.platform.isContainer() {
		return variant.Container(common)
	}

	return variant.Machine(variant.Dependencies{
		Dependencies: common, Apply: apply.Netlink{}, Ethernet: ethernet.Ethtool{}, Cmdline: n.platform.commandLine,
		PlatformCache: networkplatform.File{Folder: stateDir, Name: "platform-network.yaml"},
	})
}
