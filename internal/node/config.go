package node

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/google/renameio/v2"

	machineapi "github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/config"
	"github.com/basalt-os/basalt/internal/resources/runtime"
	"github.com/basalt-os/basalt/pkg/machineconfig"
)

// configOwner owns the machine configuration.
const configOwner = "machine.Config"

// loadConfig finds the machine configuration: that of the last boot, or else
// the one that the platform gives. Without any, the machine is in maintenance
// until one comes by the API.
func (n *Node) loadConfig(ctx context.Context) error {
	text, err := readConfig(machineConfig, os.Getenv("USERDATA"))
	if err != nil {
		n.events.Publish(ctx, &machineapi.ConfigLoadErrorEvent{Error: err.Error()})

		return err
	}

	if text != nil {
		if err := n.activate(ctx, text); err != nil {
			n.events.Publish(ctx, &machineapi.ConfigValidationErrorEvent{Error: err.Error()})

			return err
		}

		return n.storeConfig(ctx, text)
	}

	n.logger.Info("no machine configuration: waiting for one from the API")
	n.stage.set(runtime.MachineStageMaintenance)

	_, err = resource.WaitFor(ctx, n.store, config.ActiveID, func(r *resource.Resource[config.MachineConfig]) bool {
		return r != nil
	})
	if err == nil {
		n.stage.set(runtime.MachineStageBooting)
	}

	return err
}

// readConfig returns the stored configuration, or the one of the platform, or
// nil.
func readConfig(path, userData string) ([]byte, error) {
	text, err := os.ReadFile(path)

	switch {
	case err == nil:
		return text, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("reading machine config from STATE: %w", err)
	case userData == "":
		return nil, nil
	}

	text, err = base64.StdEncoding.DecodeString(strings.TrimSpace(userData))
	if err != nil {
		return nil, fmt.Errorf("decoding machine config from USERDATA: %w", err)
	}

	return text, nil
}

// activate makes a configuration the one that acts. It takes effect by the
// controllers that read it.
func (n *Node) activate(ctx context.Context, text []byte) error {
	if _, err := machineconfig.Load(text, machineconfig.Options{}); err != nil {
		return fmt.Errorf("loading machine config: %w", err)
	}

	return resource.Put(ctx, n.store, configOwner, config.ActiveID, config.MachineConfig{Text: string(text)})
}

// storeConfig keeps a configuration for the next boot.
func (n *Node) storeConfig(ctx context.Context, text []byte) error {
	if err := renameio.WriteFile(machineConfig, text, 0o600); err != nil {
		return fmt.Errorf("writing machine config to STATE: %w", err)
	}

	return resource.Put(ctx, n.store, configOwner, config.PersistentID, config.MachineConfig{Text: string(text)})
}

// activeConfig returns the configuration that acts; nil when there is none.
func (n *Node) activeConfig(ctx context.Context) (*machineconfig.Config, error) {
	active, err := resource.Get[config.MachineConfig](ctx, n.store, config.ActiveID)
	if errors.Is(err, resource.ErrNotFound) {
		return nil, nil
	}

	if err != nil {
		return nil, err
	}

	return machineconfig.Load([]byte(active.Spec.Text), machineconfig.Options{})
}
