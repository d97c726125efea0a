package node

import (
	"github.com/basalt-os/basalt/internal/cmdline"
	"github.com/basalt-os/basalt/pkg/machineconfig"
)

// Platforms that the node knows to be different from clouds.
const (
	platformContainer = "container"
	platformMetal     = "metal"
)

// platform is what the node runs on.
type platform struct {
	name string // container, metal, or the name of a cloud
	mode machineconfig.Mode
	// commandLine is the kernel's, and arguments are what it says. A container
	// has none of its own.
	commandLine string
	arguments   cmdline.Line
}

// detectPlatform finds out what the node runs on: whoever makes a container
// says so in the environment of its first process, and the command line of a
// machine names its platform.
func detectPlatform(environment, commandLine string) platform {
	if environment != "" {
		return platform{name: environment, mode: modeOf(environment)}
	}

	arguments := cmdline.Parse(commandLine)

	name, ok := arguments.Get("talos.platform")
	if !ok {
		name = platformMetal
	}

	return platform{name: name, mode: modeOf(name), commandLine: commandLine, arguments: arguments}
}

func modeOf(name string) machineconfig.Mode {
	switch name {
	case platformContainer:
		return machineconfig.Container
	case platformMetal:
		return machineconfig.Metal
	default:
		return machineconfig.Cloud
	}
}

// isContainer says whether kernel, disks and links belong to somebody else.
func (p platform) isContainer() bool { return p.mode == machineconfig.Container }
