package node

import (
	"os"
	"time"

	"github.com/basalt-os/basalt/internal/controllers/clock"
	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/controllers/network"
	"github.com/basalt-os/basalt/internal/controllers/network/apply"
	"github.com/basalt-os/basalt/internal/controllers/network/platform"
	"github.com/basalt-os/basalt/internal/controllers/network/variant"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/timesync"
)

// kernelCmdline is the kernel's command line.
const kernelCmdline = "/proc/cmdline"

// machineClock goes on while the machine is off.
const machineClock = "/dev/rtc0"

// clock are the controllers of the node's time: a container has the clock of
// its host.
func (n *Node) clock(reader *configured.Reader) []reconcile.Controller {
	if n.platform == "container" {
		return clock.Controllers()
	}

	return clock.Machine(clock.Dependencies{
		Config: reader, Clock: timesync.System{RTC: machineClock}, Query: new(timesync.Client).Ask, Now: time.Now, Logger: n.logger,
	})
}

// network are the controllers of the node's network: a container finds it
// ready, a machine configures its own.
func (n *Node) network(reader *configured.Reader) []reconcile.Controller {
	common := network.Dependencies{
		Config: reader, Kernel: network.Netlink{}, Hostname: hostname{}, Logger: n.logger, PodResolvConf: podResolvConf,
	}

	if n.platform == "container" {
		return variant.Container(common)
	}

	cmdline, err := os.ReadFile(kernelCmdline)
	if err != nil {
		n.logger.Warn("reading the kernel's command line", "error", err)
	}

	return variant.Machine(variant.Dependencies{
		Dependencies: common, Apply: apply.Netlink{}, Cmdline: string(cmdline),
		PlatformCache: platform.File{Folder: "/system/state", Name: "platform-network.yaml"},
	})
}
