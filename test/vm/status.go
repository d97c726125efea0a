package vm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"go.yaml.in/yaml/v4"
	"google.golang.org/protobuf/types/known/emptypb"

	cosiresource "github.com/basalt-os/basalt/api/cosi/resource"
	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/config"
	"github.com/basalt-os/basalt/internal/resources/hardware"
	"github.com/basalt-os/basalt/internal/resources/runtime"
	"github.com/basalt-os/basalt/internal/trial"
	"github.com/basalt-os/basalt/pkg/client"
)

// attempt bounds one call of the API.
const attempt = 10 * time.Second

// get reads the spec of a resource, as the API has it.
func get(ctx context.Context, api *client.Client, id string, spec resource.Spec) error {
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()

	kind := spec.Definition()

	found, err := api.State.Get(ctx, &cosiresource.GetRequest{Namespace: kind.Namespace, Type: kind.Type, Id: id})
	if err != nil {
		return err
	}

	return yaml.Unmarshal([]byte(found.GetResource().GetSpec().GetYamlSpec()), spec)
}

// UpgradeStatus is what the machine says about its last upgrade.
func (m *Machine) UpgradeStatus(ctx context.Context, api *client.Client) (status trial.Status, err error) {
	err = get(m.On(ctx), api, trial.StatusID, &status)

	return status, err
}

// AwaitUpgrade waits until the last upgrade has come to a state, and returns
// what the machine says about it.
func (m *Machine) AwaitUpgrade(api *client.Client, state trial.State, to string, limit time.Duration) trial.Status {
	m.cluster.t.Helper()

	var status trial.Status

	m.cluster.Eventually(limit, fmt.Sprintf("the upgrade to %s is %s", to, state), func(ctx context.Context) (err error) {
		if status, err = m.UpgradeStatus(ctx, api); err != nil {
			return err
		}

		if status.State != string(state) || status.Image != to {
			return fmt.Errorf("the upgrade to %s is %s after %d attempts", status.Image, status.State, status.Attempts)
		}

		return nil
	})

	return status
}

// AwaitBooted waits until the machine runs a boot entry that is as wanted.
func (m *Machine) AwaitBooted(api *client.Client, limit time.Duration, wanted func(entry string) bool) string {
	m.cluster.t.Helper()

	var entry runtime.BootedEntry

	m.cluster.Eventually(limit, m.Node.Name+" has booted", func(ctx context.Context) error {
		entry = runtime.BootedEntry{}
		if err := get(m.On(ctx), api, runtime.BootedEntryID, &entry); err != nil {
			return err
		}

		if !wanted(entry.BootedEntry) {
			return fmt.Errorf("it runs %q", entry.BootedEntry)
		}

		return nil
	})

	return entry.BootedEntry
}

// SystemInformation is what the machine's firmware says about it.
func (m *Machine) SystemInformation(ctx context.Context, api *client.Client) (system hardware.SystemInformation, err error) {
	err = get(m.On(ctx), api, hardware.SystemInformationID, &system)

	return system, err
}

// BootID tells one boot of the machine from another.
func (m *Machine) BootID(ctx context.Context, api *client.Client) (string, error) {
	return m.ReadFile(ctx, api, "/proc/sys/kernel/random/boot_id")
}

// ReadFile reads a small file of the machine.
func (m *Machine) ReadFile(ctx context.Context, api *client.Client, path string) (string, error) {
	ctx, cancel := context.WithTimeout(m.On(ctx), attempt)
	defer cancel()

	file, err := client.NewReader(api.Machine.Read(ctx, &machine.ReadRequest{Path: path}))
	if err != nil {
		return "", err
	}

	data, err := io.ReadAll(file)

	return string(data), err
}

// Disks are the names of the machine's disks, by an API of either mode.
func Disks(ctx context.Context, api *client.Client) ([]string, error) {
	stream, err := api.State.List(ctx, &cosiresource.ListRequest{Namespace: "runtime", Type: "Disks.block.talos.dev"})

	var names []string

	for message, err := range client.Messages(stream, err) {
		if err != nil {
			return nil, err
		}

		names = append(names, message.GetResource().GetMetadata().GetId())
	}

	slices.Sort(names)

	return names, nil
}

// Reboot restarts the machine by its API, and waits until it has.
func (m *Machine) Reboot(api *client.Client, limit time.Duration) {
	m.cluster.t.Helper()
	m.RebootBy(api, machine.RebootRequest_DEFAULT, limit)
}

// RebootBy is Reboot in one of its modes.
func (m *Machine) RebootBy(api *client.Client, mode machine.RebootRequest_Mode, limit time.Duration) {
	m.cluster.t.Helper()

	before, err := m.BootID(m.cluster.t.Context(), api)
	if err == nil {
		_, err = client.Check(api.Machine.Reboot(m.On(m.cluster.t.Context()), &machine.RebootRequest{Mode: mode}))
	}

	if err != nil {
		m.cluster.t.Fatalf("rebooting %s: %v", m.Node.Name, err)
	}

	m.AwaitReboot(api, before, limit)
}

// AwaitReboot waits until the machine has started anew since a boot.
func (m *Machine) AwaitReboot(api *client.Client, before string, limit time.Duration) {
	m.cluster.t.Helper()

	m.cluster.Eventually(limit, m.Node.Name+" is back", func(ctx context.Context) error {
		now, err := m.BootID(ctx, api)
		if err == nil && now == before {
			err = errors.New("it has not restarted yet")
		}

		return err
	})
}

func version(ctx context.Context, api *client.Client) error {
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()

	_, err := client.Check(api.Machine.Version(ctx, &emptypb.Empty{}))

	return err
}

// Upgrade asks the machine to upgrade to an image; it returns when the machine
// has begun.
func (m *Machine) Upgrade(api *client.Client, image string) {
	m.cluster.t.Helper()

	// A machine that has just booted may still be busy with that.
	m.cluster.Eventually(time.Minute, "asking "+m.Node.Name+" to upgrade", func(ctx context.Context) error {
		_, err := client.Check(api.Machine.Upgrade(m.On(ctx), &machine.UpgradeRequest{Image: image, Force: true}))

		return err
	})
}

// StoredConfig is the machine configuration that the machine keeps.
func (m *Machine) StoredConfig(api *client.Client) []byte {
	m.cluster.t.Helper()

	var data []byte

	m.cluster.Eventually(time.Minute, "reading the configuration of "+m.Node.Name, func(ctx context.Context) (err error) {
		ctx, cancel := context.WithTimeout(m.On(ctx), attempt)
		defer cancel()

		found, err := api.State.Get(ctx, &cosiresource.GetRequest{
			Namespace: "config", Type: "MachineConfigs.config.talos.dev", Id: config.ActiveID,
		})
		data = []byte(found.GetResource().GetSpec().GetYamlSpec())

		return err
	})

	return data
}
