package node

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	machineapi "github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/acquire"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/config"
	"github.com/basalt-os/basalt/internal/resources/runtime"
	"github.com/basalt-os/basalt/pkg/machineconfig"
)

// configOwner owns the machine configuration.
const configOwner = "machine.Config"

// patience is how long the sources of a configuration may take before the
// machine also takes one by its API.
const patience = time.Minute

// loadConfig finds the machine configuration. Without any, the machine is in
// maintenance until one comes by the API.
func (n *Node) loadConfig(ctx context.Context) error {
	searching, stop := context.WithCancel(ctx)
	searched := make(chan struct{})

	go func() {
		defer close(searched)

		if err := n.searchConfig(searching); err != nil && searching.Err() == nil {
			n.logger.Error("looking for the machine configuration", "error", err)
			n.events.Publish(ctx, &machineapi.ConfigLoadErrorEvent{Error: err.Error()})
			n.enterMaintenance("the machine configuration cannot be read: waiting for one from the API")
		}
	}()

	// A configuration that comes by the API ends the search.
	_, err := resource.WaitFor(ctx, n.store, config.ActiveID, present[config.MachineConfig])

	stop()

	<-searched

	if err == nil {
		n.stage.set(runtime.MachineStageBooting)
	}

	return err
}

// enterMaintenance lets the machine take its configuration by the API. Nothing
// changes for one that has got it meanwhile.
func (n *Node) enterMaintenance(why string) {
	if current, _ := n.stage.get(); current == runtime.MachineStageBooting {
		n.logger.Info(why)
		n.stage.set(runtime.MachineStageMaintenance)
	}
}

// searchConfig asks the sources, and puts into force what they have. What
// cannot be used is told and left where it is. A machine that finds nothing, or
// has to wait for long, is in maintenance.
func (n *Node) searchConfig(ctx context.Context) error {
	impatient := time.AfterFunc(patience, func() {
		n.enterMaintenance("no machine configuration yet: taking one from the API, too")
	})
	defer impatient.Stop()

	found, err := acquire.Search(ctx, n.configSources())
	if err != nil {
		return err
	}

	for _, fault := range found.Faults {
		n.logger.Error("machine configuration cannot be used", "error", fault)
		n.events.Publish(ctx, &machineapi.ConfigLoadErrorEvent{Error: fault.Error()})
	}

	if !found.Complete() {
		n.enterMaintenance("no machine configuration was found: waiting for one from the API")
	}

	if found.Config == nil {
		return nil
	}

	n.logger.Info("found machine configuration", "in", found.From, "complete", found.Complete())

	text := found.Config.Bytes()

	if !found.Complete() {
		return resource.Put(ctx, n.store, configOwner, config.MaintenanceID, config.MachineConfig{Text: string(text)})
	}

	if _, err := found.Config.Validate(n.platform.mode); err != nil {
		n.logger.Warn("machine configuration is not valid for this machine", "error", err)
		n.events.Publish(ctx, &machineapi.ConfigValidationErrorEvent{Error: err.Error()})
	}

	if !slices.Equal(found.From, []string{acquire.Disk}) {
		if err := n.storeConfig(ctx, text); err != nil {
			return err
		}
	}

	return n.activate(ctx, text)
}

// configSources are the places where a configuration can be, in their order.
func (n *Node) configSources() []acquire.Source {
	inline := func(name string) func(context.Context) ([]byte, error) {
		return func(context.Context) ([]byte, error) { return acquire.DecodeInline(n.platform.arguments.All(name)...) }
	}

	sources := []acquire.Source{
		{Name: acquire.Disk, Read: n.storedConfig},
		{Name: acquire.Embedded, Read: func(context.Context) ([]byte, error) { return readOptional(embeddedConfig) }},
		{Name: acquire.Early, Read: inline("talos.config.early")},
		{Name: acquire.Platform, Read: n.platformConfig},
		{Name: acquire.Inline, Read: inline("talos.config.inline")},
	}

	return sources
}

// storedConfig is what the machine ran with before. A newer one that was torn
// by a power cut does not keep the machine from the one before.
func (n *Node) storedConfig(ctx context.Context) ([]byte, error) {
	there, err := n.state.wait(ctx)
	if err != nil || !there {
		return nil, err
	}

	text, err := n.configs.Load()
	if err != nil && text != nil {
		n.logger.Error("the stored machine configuration cannot be used: taking the one before", "error", err)
		n.events.Publish(ctx, &machineapi.ConfigLoadErrorEvent{Error: err.Error()})

		err = nil
	}

	if err == nil && text != nil {
		err = resource.Put(ctx, n.store, configOwner, config.PersistentID, config.MachineConfig{Text: string(text)})
	}

	return text, err
}

// platformConfig is what the platform gives.
func (n *Node) platformConfig(ctx context.Context) ([]byte, error) {
	if n.platform.isContainer() {
		return decodeUserData(os.Getenv("USERDATA"))
	}

	location, ok := n.platform.arguments.Get("talos.config")

	switch {
	case !ok || location == "none":
		return nil, nil
	case location == acquire.MetalISO:
		return n.configFromMedium(ctx)
	}

	locate := func(ctx context.Context) (string, error) { return n.configURL(ctx, location) }

	return acquire.Download(ctx, n.egress.Client(downloadTimeout), locate, n.logger)
}

func decodeUserData(userData string) ([]byte, error) {
	text, err := base64.StdEncoding.DecodeString(strings.TrimSpace(userData))
	if err != nil {
		return nil, fmt.Errorf("decoding USERDATA: %w", err)
	}

	return text, nil
}

// readOptional reads a file that may be absent.
func readOptional(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}

	return text, err
}

// activate makes a configuration the one that acts. It takes effect by the
// controllers that read it.
func (n *Node) activate(ctx context.Context, text []byte) error {
	if _, err := machineconfig.Load(text, machineconfig.Options{}); err != nil {
		return fmt.Errorf("loading machine config: %w", err)
	}

	return resource.Put(ctx, n.store, configOwner, config.ActiveID, config.MachineConfig{Text: string(text)})
}

// storeConfig keeps a configuration for the next boot. A machine that has no
// disk for it yet keeps it in memory until it has.
func (n *Node) storeConfig(ctx context.Context, text []byte) error {
	err := n.state.whenThere(func() error { return n.configs.Save(text) })
	if err != nil {
		return err
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
