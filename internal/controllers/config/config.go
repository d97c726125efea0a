// Package config has the controllers that tell what the machine configuration
// makes of the machine.
package config

import (
	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resources/config"
	"github.com/basalt-os/basalt/internal/resources/machinetype"
	"github.com/basalt-os/basalt/pkg/machineconfig"
)

// Controllers are all controllers of this package.
func Controllers(reader *configured.Reader) []reconcile.Controller {
	return []reconcile.Controller{MachineType(reader)}
}

// MachineType tells the role of the machine.
func MachineType(reader *configured.Reader) reconcile.Controller {
	return configured.One(reader, "config.MachineTypeController", config.MachineTypeID,
		func(cfg *machineconfig.Config) (config.MachineType, error) {
			kind := machinetype.Worker
			if cfg.Machine().IsControlPlane() {
				kind = machinetype.ControlPlane
			}

			return config.MachineType{Type: kind}, nil
		})
}
