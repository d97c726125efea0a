package node

import (
	"context"
	"errors"

	"github.com/basalt-os/basalt/internal/console"
	"github.com/basalt-os/basalt/internal/devices"
	"github.com/basalt-os/basalt/internal/early"
	"github.com/basalt-os/basalt/internal/kmod/loader"
	"github.com/basalt-os/basalt/internal/powerbutton"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/runtime"
	"github.com/basalt-os/basalt/internal/uevent"
)

// devicesOwner owns the status of the devices.
const devicesOwner = "runtime.DevicesStatusController"

// prepareMachine does what only a machine needs, before everything else.
func (n *Node) prepareMachine() error {
	var err error
	if n.modules, err = loader.Open("/sys", n.platform.arguments); err != nil {
		return err
	}

	n.terminal = console.Terminal(n.platform.arguments, "/sys", "/dev")

	return early.Run(early.Linux{Modules: n.modules}, n.platform.arguments, n.logger)
}

// plugDevices loads the drivers of devices, of those that are there and of
// those that come.
func (n *Node) plugDevices(ctx context.Context) (err error) {
	events, err := uevent.Listen()
	if err != nil {
		return err
	}

	defer func() { err = errors.Join(err, events.Close()) }()

	value, _ := n.platform.arguments.Get("talos.device.settle_time")

	settle, err := devices.SettleTime(value)
	if err != nil {
		n.logger.Warn("reading the kernel's command line", "error", err)
	}

	plug := &devices.Plug{Sys: "/sys", Dev: "/dev", Loader: n.modules, Events: events, Logger: n.logger, Settle: settle}

	return plug.Run(ctx, func() {
		err := resource.Put(ctx, n.store, devicesOwner, runtime.DevicesID, runtime.DevicesStatus{Ready: true})
		if err != nil {
			n.logger.Error("telling that the devices are there", "error", err)
		}
	})
}

// watchButtons shuts the machine down when somebody presses its power button.
func (n *Node) watchButtons(ctx context.Context) (err error) {
	events, err := uevent.Listen()
	if err != nil {
		return err
	}

	defer func() { err = errors.Join(err, events.Close()) }()

	buttons := &powerbutton.Buttons{Sys: "/sys", Dev: "/dev", Events: events, Logger: n.logger}

	return buttons.Run(ctx, func() {
		n.logger.Info("the power button was pressed")

		if err := (lifecycle{n}).Shutdown(ctx, false); err != nil {
			n.logger.Warn("ending the machine as its power button asks", "error", err)
		}
	})
}
