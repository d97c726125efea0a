// Package acquire finds the machine configuration of a machine when it boots.
//
// There are several places where it can be, which are asked in a fixed order
// . A configuration that is complete ends the search. One that has
// only a few documents, for example for the network, is kept and the search
// goes on: what is found later is laid over it. A machine that has found no
// complete configuration at the end waits in maintenance mode until one comes
// by the API, and has the documents found so far in force meanwhile.
//
// Nothing here touches the machine: sources are functions.
package acquire

import (
	"context"
	"fmt"

	"github.com/basalt-os/basalt/pkg/machineconfig"
)

// Names of the sources, in the order in which they are asked. The first four
// are the wire's.
const (
	Disk     = "disk"          // the STATE partition: what the machine ran with
	Embedded = "embedded"      // in the image itself
	Early    = "cmdline early" // talos.config.early= on the kernel's command line
	Platform = "platform"      // what the platform gives: talos.config=, a cloud's user data
	Inline   = "cmdline late"  // talos.config.inline= on the kernel's command line
)

// Source is a place where a configuration can be.
type Source struct {
	Name string
	// Read returns the configuration's text, or nil when there is none. It may
	// take long, and ends with ctx.
	Read func(ctx context.Context) ([]byte, error)
}

// Result is what was found.
type Result struct {
	// Config is nil when nothing was found; it may be incomplete, see
	// [machineconfig.Config.Complete].
	Config *machineconfig.Config
	// From names the sources that Config comes from, in their order.
	From []string
	// Faults are the sources that had something which could not be used. The
	// search went on without it.
	Faults []error
}

// Complete says whether the machine can boot with what was found.
func (r Result) Complete() bool { return r.Config != nil && r.Config.Complete() }

// Search asks the sources one after the other. It fails only when ctx ends.
func Search(ctx context.Context, sources []Source) (Result, error) {
	var found Result

	for _, source := range sources {
		text, err := source.Read(ctx)
		if ctx.Err() != nil {
			return found, ctx.Err()
		}

		if err == nil && len(text) == 0 {
			continue
		}

		if err == nil {
			err = found.add(text)
		}

		if err != nil {
			found.Faults = append(found.Faults, fmt.Errorf("reading machine config from %s: %w", source.Name, err))

			continue
		}

		found.From = append(found.From, source.Name)

		if found.Complete() {
			break
		}
	}

	return found, nil
}

// add lays a configuration over what was found so far.
func (r *Result) add(text []byte) error {
	cfg, err := machineconfig.Load(text, machineconfig.Options{})
	if err != nil {
		return err
	}

	if r.Config == nil {
		r.Config = cfg

		return nil
	}

	patch, err := machineconfig.LoadPatch(text, machineconfig.Options{})
	if err != nil {
		return err
	}

	merged, err := r.Config.Patch(patch)
	if err != nil {
		return err
	}

	r.Config = merged

	return nil
}
