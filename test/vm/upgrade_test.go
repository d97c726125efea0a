package vm_test

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/bootloader"
	"github.com/basalt-os/basalt/internal/payload"
	"github.com/basalt-os/basalt/internal/trial"
	"github.com/basalt-os/basalt/internal/version"
	"github.com/basalt-os/basalt/pkg/client"
	"github.com/basalt-os/basalt/pkg/provision"
	"github.com/basalt-os/basalt/test/vm"
)

// Versions of images that are made for upgrades.
const (
	good   = "9.0.0"
	panics = "9.1.0"
	sick   = "9.2.0"
	exits  = "9.3.0"
	hangs  = "9.4.0"
	lonely = "9.5.0"
)

// poisons says what is wrong with which version.
var poisons = map[string]vm.Poison{
	good: vm.Healthy, panics: vm.KernelPanics, sick: vm.KubeletNever,
	exits: vm.InitExits, hangs: vm.InitHangs, lonely: vm.NetworkNever,
}

// images are installers of some of these versions, beside what the build made.
func images(t *testing.T, versions ...string) string {
	t.Helper()

	wanted := map[string]vm.Poison{}
	for _, v := range versions {
		wanted[v] = poisons[v]
	}

	return vm.Images(t, wanted)
}

// runs says of a boot entry whether it is that of one of the versions.
func runs(versions ...string) func(entry string) bool {
	return func(entry string) bool {
		for _, v := range versions {
			if strings.Contains(entry, v) {
				return true
			}
		}

		return false
	}
}

// TestUpgrade brings other versions onto a machine: good ones stay, until they
// are rolled back; the machine returns by itself from those that are not. It is
// a control plane that nobody has bootstrapped: Kubernetes is not the point.
func TestUpgrade(t *testing.T) {
	c := start(t, vm.Options{
		Images: images(t, good, panics, sick), Injection: provision.InjectISO, Settings: settings(t, health),
	})
	m, api := c.Machines[0], c.API()

	c.Step("boot", func() { m.AwaitBooted(api, bootLimit, runs(version.Version)) })

	config := m.StoredConfig(api)

	commit(c, m, api)
	rollBack(t, c, m, api)
	returnFrom(t, c, m, api, panics)
	returnFrom(t, c, m, api, sick)

	cutDuringUpgrades(t, c, api, 5)
	mustKeep(t, m, api, config)
}

// TestPoisons brings all versions that are broken onto a machine.
func TestPoisons(t *testing.T) {
	requireFull(t)

	c := start(t, vm.Options{
		Images: images(t, exits, hangs, lonely), Injection: provision.InjectISO, Settings: settings(t, health),
	})
	m, api := c.Machines[0], c.API()

	c.Step("boot", func() { m.AwaitBooted(api, bootLimit, runs(version.Version)) })

	config := m.StoredConfig(api)

	for _, v := range []string{exits, hangs, lonely} {
		returnFrom(t, c, m, api, v)
	}

	mustKeep(t, m, api, config)
}

// TestBIOS does all that on a machine without UEFI, from its installation on.
func TestBIOS(t *testing.T) {
	requireFull(t)

	options := vm.Options{
		Boot: provision.Boot{Source: provision.BootISO}, BIOS: true,
		Images: images(t, good, panics, sick, exits, hangs, lonely), Settings: installing(settings(t, health)),
	}

	c := start(t, options)
	m, api := c.Machines[0], c.API()

	installByHand(t, c, m, api)

	config := m.StoredConfig(api)

	commit(c, m, api)
	rollBack(t, c, m, api)

	for _, v := range []string{panics, sick, exits, hangs, lonely} {
		returnFrom(t, c, m, api, v)
	}

	cutDuringUpgrades(t, c, api, 5)
	mustKeep(t, m, api, config)
}

// commit upgrades a machine to the good version.
func commit(c *vm.Cluster, m *vm.Machine, api *client.Client) {
	c.Step("upgrade, and commit", func() {
		m.Upgrade(api, payload.Image(good))
		m.AwaitUpgrade(api, trial.Committed, payload.Image(good), upgradeLimit)
		m.AwaitBooted(api, bootLimit, runs(good))
	})
}

// rollBack goes back to the version that the build made.
func rollBack(t *testing.T, c *vm.Cluster, m *vm.Machine, api *client.Client) {
	t.Helper()

	c.Step("roll back", func() {
		if _, err := client.Check(api.Machine.Rollback(m.On(t.Context()), &machine.RollbackRequest{})); err != nil {
			t.Fatal(err)
		}

		m.AwaitBooted(api, bootLimit, runs(version.Version))
	})
}

// returnFrom upgrades to a version that is broken, and waits until the machine
// has returned from it by itself, and says why.
func returnFrom(t *testing.T, c *vm.Cluster, m *vm.Machine, api *client.Client, bad string) {
	t.Helper()

	c.Step("return: "+string(poisons[bad]), func() {
		m.Upgrade(api, payload.Image(bad))
		status := m.AwaitUpgrade(api, trial.Returned, payload.Image(bad), returnLimit)
		m.AwaitBooted(api, bootLimit, runs(version.Version))

		if status.Reason == "" {
			t.Error("the machine does not say why")
		}

		if status.Attempts > bootloader.Tries {
			t.Errorf("it took %d attempts", status.Attempts)
		}

		t.Logf("the machine says after %d attempts: %s", status.Attempts, status.Reason)
	})
}

// mustKeep fails the test when the machine's configuration is another one.
func mustKeep(t *testing.T, m *vm.Machine, api *client.Client, config []byte) {
	t.Helper()

	if after := m.StoredConfig(api); !bytes.Equal(config, after) {
		t.Errorf("the configuration has changed:\n%s", after)
	}
}

// Times within which the power is cut: an upgrade with its boot, and an
// installation with the boot from its medium.
const (
	upgradeTime = 80 * time.Second
	installTime = 100 * time.Second
)

// cutDuringUpgrades cuts the power at some moment of upgrades, which begin on all
// machines at once. They have to come up by themselves, with the old or the new
// version.
func cutDuringUpgrades(t *testing.T, c *vm.Cluster, api *client.Client, rounds int) {
	t.Helper()

	for i := range rounds {
		c.Step(fmt.Sprintf("power cut %d", i+1), func() {
			for _, m := range c.Machines {
				m.Upgrade(api, payload.Image(good))
			}

			cut(t, c, upgradeTime)

			for _, m := range c.Machines {
				m.AwaitBooted(api, bootLimit, runs(good, version.Version))
			}
		})
	}
}

// cut cuts the power of each machine at some moment within a duration, and gives
// it back.
func cut(t *testing.T, c *vm.Cluster, within time.Duration) {
	t.Helper()

	began, after := time.Now(), map[*vm.Machine]time.Duration{}
	for _, m := range c.Machines {
		after[m] = time.Duration(c.Random.Int64N(int64(within)))
	}

	for _, m := range slices.SortedFunc(slices.Values(c.Machines), func(a, b *vm.Machine) int { return cmp.Compare(after[a], after[b]) }) {
		select {
		case <-time.After(time.Until(began.Add(after[m]))):
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}

		t.Logf("cutting the power of %s after %s", m.Node.Name, time.Since(began).Round(time.Millisecond))
		m.PowerCut()
		m.PowerOn()
	}
}

// TestPowerCuts cuts the power of two machines, again and again, while they
// install and upgrade themselves.
func TestPowerCuts(t *testing.T) {
	requireFull(t)

	// Rounds with two machines. TestUpgrade and TestBIOS cut ten times more.
	const installs, upgrades = 5, 16

	options := vm.Options{
		Boot: provision.Boot{Source: provision.BootISO}, Injection: provision.InjectISO, ControlPlanes: 2,
		Images: images(t, good), Settings: installing(settings(t, health)),
	}

	var blank []vm.Snapshot

	c := start(t, options)
	api := c.API()

	for _, m := range c.Machines {
		m.PowerCut()
		blank = append(blank, m.Snapshot())
	}

	for i := range installs {
		c.Step(fmt.Sprintf("installation %d", i+1), func() {
			for j, m := range c.Machines {
				if i > 0 {
					m.PowerCut()
					blank[j].Restore()
				}

				m.PowerOn()
			}

			cut(t, c, installTime)

			for _, m := range c.Machines {
				m.AwaitBooted(api, installLimit, runs(version.Version))
			}
		})
	}

	var configs [][]byte
	for _, m := range c.Machines {
		configs = append(configs, m.StoredConfig(api))
	}

	cutDuringUpgrades(t, c, api, upgrades)

	for i, m := range c.Machines {
		mustKeep(t, m, api, configs[i])
	}
}
