package vm_test

import (
	"testing"
	"time"

	"github.com/basalt-os/basalt/pkg/provision"
	"github.com/basalt-os/basalt/test/vm"
)

// Limits of the steps of a boot, for a machine in emulation on a machine that
// has other things to do.
const (
	loaderLimit = 3 * time.Minute
	kernelLimit = 3 * time.Minute
	initLimit   = 3 * time.Minute
)

// TestBoot boots all kinds of images up to the node's own init.
func TestBoot(t *testing.T) {
	for _, test := range []struct {
		name   string
		source provision.BootSource
		bios   bool
		full   bool
	}{
		{"disk image", provision.BootDisk, false, false},
		{"ISO", provision.BootISO, false, true},
		{"USB stick", provision.BootUSB, false, true},
		{"UKI", provision.BootUKI, false, true},
		{"kernel", provision.BootKernel, false, true},
		{"kernel with a BIOS", provision.BootKernel, true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.full {
				requireFull(t)
			}

			c := start(t, vm.Options{Boot: provision.Boot{Source: test.source}, BIOS: test.bios})
			bootToInit(c, c.Machines[0])
		})
	}
}

// bootToInit follows a machine from its power-on to the node's init.
func bootToInit(c *vm.Cluster, m *vm.Machine) {
	c.Step("firmware and boot loader", func() { m.Await(`Linux version `, loaderLimit) })
	c.Step("kernel", func() { m.Await(`Run /init as init process`, kernelLimit) })
	c.Step("stage 1", func() { m.Await(`entering root file system`, kernelLimit) })
	c.Step("init", func() { m.Await(`starting node`, initLimit) })
}
