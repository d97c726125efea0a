package vm_test

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/gpt"
	"github.com/basalt-os/basalt/internal/version"
	"github.com/basalt-os/basalt/pkg/client"
	"github.com/basalt-os/basalt/pkg/provision"
	"github.com/basalt-os/basalt/test/vm"
)

// offLimit bounds how long a machine takes to stop everything and power off.
const offLimit = 5 * time.Minute

// TestPower ends a machine in all ways: restarts, with and without its firmware,
// shutdown, reset of partitions and of everything.
func TestPower(t *testing.T) {
	requireFull(t)

	c := start(t, vm.Options{
		Injection: provision.InjectISO, Settings: settings(t), ExtraArgs: "talos.dashboard.console=ttyS0",
		Disks:  []provision.Disk{{Driver: "virtio", Size: 6 << 30}, {Driver: "virtio", Size: 1 << 30}},
		Before: func(c *vm.Cluster) { writeAt(t, c.Machines[0].Disk(1), swapMagic, swapMagicAt) },
	})
	m, api := c.Machines[0], c.API()

	c.Step("boot", func() { m.AwaitBooted(api, bootLimit, runs(version.Version)) })

	config := m.StoredConfig(api)

	c.Step("what the firmware says", func() {
		if system, err := m.SystemInformation(t.Context(), api); err != nil || system.UUID != m.Node.UUID || system.SerialNumber != m.Node.Name {
			t.Errorf("the machine is %+v, %v", system, err)
		}
	})
	c.Step("the dashboard is on its terminal", func() {
		m.Await(`fingerprint `, bootLimit)
		m.Await(`log of machined`, bootLimit)
	})

	for _, mode := range []machine.RebootRequest_Mode{
		machine.RebootRequest_DEFAULT, machine.RebootRequest_POWERCYCLE, machine.RebootRequest_FORCE,
	} {
		c.Step("reboot: "+mode.String(), func() {
			m.Console.Skip()
			m.RebootBy(api, mode, bootLimit)

			if past := m.Said(`Starting new kernel`); past != (mode == machine.RebootRequest_DEFAULT) {
				t.Errorf("the firmware was left out: %t", past)
			}

			m.AwaitBooted(api, bootLimit, runs(version.Version))
			mustKeep(t, m, api, config)
		})
	}

	c.Step("shutdown, and power on", func() {
		if _, err := client.Check(api.Machine.Shutdown(m.On(t.Context()), &machine.ShutdownRequest{})); err != nil {
			t.Fatal(err)
		}

		m.AwaitOff(offLimit)
		m.PowerOn()
		m.AwaitBooted(api, bootLimit, runs(version.Version))
		mustKeep(t, m, api, config)
	})

	c.Step("power button, and power on", func() {
		m.Console.Skip()
		m.PowerButton()

		if !m.Said(`the power button was pressed`) {
			t.Error("the machine has not heard of its power button")
		}

		m.PowerOn()
		m.AwaitBooted(api, bootLimit, runs(version.Version))
		mustKeep(t, m, api, config)
	})

	reset := func(request *machine.ResetRequest) {
		t.Helper()

		if _, err := client.Check(api.Machine.Reset(m.On(t.Context()), request)); err != nil {
			t.Fatal(err)
		}
	}

	c.Step("reset STATE and EPHEMERAL", func() {
		before, err := m.BootID(t.Context(), api)
		if err != nil {
			t.Fatal(err)
		}

		reset(&machine.ResetRequest{Reboot: true, SystemPartitionsToWipe: []*machine.ResetPartitionSpec{
			{Label: "STATE", Wipe: true}, {Label: "EPHEMERAL", Wipe: true},
		}})
		m.AwaitReboot(api, before, bootLimit)
		m.AwaitBooted(api, bootLimit, runs(version.Version))
	})
	c.Step("refuse to reset what is not there", func() {
		_, err := client.Check(api.Machine.Reset(m.On(t.Context()), &machine.ResetRequest{UserDisksToWipe: []string{"/dev/vdz"}}))
		if err == nil {
			t.Error("a disk that is not there was reset")
		}
	})
	c.Step("reset everything", func() {
		reset(&machine.ResetRequest{UserDisksToWipe: []string{"/dev/vdb"}})
		m.AwaitOff(offLimit)
	})

	disk, err := os.Open(m.Disk(0))
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()

	if _, err := vm.Table(disk); !errors.Is(err, gpt.ErrNoTable) {
		t.Errorf("the system's disk after a reset: %v", err)
	}

	if found := readAt(t, m.Disk(1), len(swapMagic), swapMagicAt); found == swapMagic {
		t.Error("the user's disk still holds what it held")
	}
}

// swapMagic is by what swap space is recognized.
const (
	swapMagic   = "SWAPSPACE2"
	swapMagicAt = 4096 - int64(len(swapMagic))
)

func writeAt(t *testing.T, path, text string, offset int64) {
	t.Helper()

	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}

	_, err = file.WriteAt([]byte(text), offset)
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
}

func readAt(t *testing.T, path string, length int, offset int64) string {
	t.Helper()

	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()

	data := make([]byte, length)
	if _, err := file.ReadAt(data, offset); err != nil {
		t.Fatal(err)
	}

	return string(data)
}
