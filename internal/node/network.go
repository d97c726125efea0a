package node

import (
	"os"

	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/controllers/network"
	"github.com/basalt-os/basalt/internal/controllers/network/apply"
	"github.com/basalt-os/basalt/internal/controllers/network/platform"
	"github.com/basalt-os/basalt/internal/controllers/network/variant"
	"github.com/basalt-os/basalt/internal/reconcile"
)

// kernelCmdline is the kernel's command line.
const kernelCmdline = "/proc/cmdline"

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
