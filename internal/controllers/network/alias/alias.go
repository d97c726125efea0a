// Package alias gives physical links the further names that a configuration
// chooses for them by what they are.
//
// A LinkAliasConfig has a CEL expression about link, which has the fields of
// LinkStatusSpec as the API names them: link.driver == "virtio_net". Addresses
// are bytes, which mac turns into text, and glob compares with a pattern:
// glob("02:*", mac(link.permanent_addr)). link.physical says that nobody made
// the link.
//
// A name is for the one link that is selected. With %d in it there is a name for
// each of them, numbered from zero in the order of their permanent addresses.
package alias

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/google/cel-go/cel"

	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/network"
	"github.com/basalt-os/basalt/pkg/machineconfig"
	"github.com/basalt-os/basalt/pkg/machineconfig/document"
)

// Config is the controller that decides which link has which alias. What cannot
// be decided keeps it from nothing else.
func Config(reader *configured.Reader) reconcile.Controller {
	a := &assigner{programs: map[string]cel.Program{}}
	inputs := []reconcile.Input{configured.Input(), reconcile.In[network.LinkStatus]()}
	outputs := []reconcile.Output{reconcile.Out[network.LinkAliasSpec]()}

	return derive.Act("network.LinkAliasConfigController", inputs, outputs, func(ctx context.Context, rt *reconcile.Runtime) error {
		cfg, err := reader.Read(ctx, rt)
		if err != nil {
			return err
		}

		var docs []*document.LinkAliasConfig
		if cfg != nil {
			docs = machineconfig.All[document.LinkAliasConfig](cfg)
		}

		found, err := resource.List[network.LinkStatus](ctx, rt)
		if err != nil {
			return err
		}

		specs, undecided := a.assign(docs, found)

		return errors.Join(write(ctx, rt, specs), undecided)
	})
}

// write makes the specs those that there are.
func write(ctx context.Context, rt *reconcile.Runtime, specs map[string]string) error {
	var errs []error

	for link, alias := range specs {
		errs = append(errs, reconcile.Modify(ctx, rt, link, func(r *resource.Resource[network.LinkAliasSpec]) error {
			r.Spec.Alias = alias

			return nil
		}))
	}

	errs = append(errs, reconcile.Keep[network.LinkAliasSpec](ctx, rt, func(link string) bool {
		_, ok := specs[link]

		return ok
	}))

	return errors.Join(errs...)
}

// assigner decides. It compiles each expression once.
type assigner struct {
	programs map[string]cel.Program
}

// assign returns aliases by the links that are to have them. A link has one:
// those that have theirs are not selected again by the documents that follow.
func (a *assigner) assign(docs []*document.LinkAliasConfig, links []*resource.Resource[network.LinkStatus]) (map[string]string, error) {
	free := slices.SortedFunc(slices.Values(links), byAddress)
	free = slices.DeleteFunc(free, func(r *resource.Resource[network.LinkStatus]) bool { return !r.Spec.Physical() })

	out, given := map[string]string{}, map[string]bool{}
	for _, r := range links {
		given[r.Meta.ID] = true
	}

	var errs []error

	for _, doc := range docs {
		selected, err := a.selected(doc, free)
		if err != nil {
			errs = append(errs, fmt.Errorf("giving alias %s: %w", doc.Name, err))

			continue
		}

		for i, link := range selected {
			alias := strings.Replace(doc.Name, "%d", strconv.Itoa(i), 1)
			if given[alias] {
				errs = append(errs, fmt.Errorf("giving link %s the alias %s: another one has that name", link, alias))

				continue
			}

			out[link], given[alias] = alias, true
		}

		free = slices.DeleteFunc(free, func(r *resource.Resource[network.LinkStatus]) bool { return out[r.Meta.ID] != "" })
	}

	return out, errors.Join(errs...)
}

// selected are the links that a document is about.
func (a *assigner) selected(doc *document.LinkAliasConfig, links []*resource.Resource[network.LinkStatus]) ([]string, error) {
	program, err := a.program(doc.Selector.Match)
	if err != nil {
		return nil, err
	}

	var names []string

	for _, r := range links {
		ok, err := selects(program, r.Spec)
		if err != nil {
			return nil, fmt.Errorf("asking whether link %s is selected: %w", r.Meta.ID, err)
		}

		if ok {
			names = append(names, r.Meta.ID)
		}
	}

	switch {
	case len(names) == 0:
		return nil, reconcile.WaitingFor(resource.PointerOf[network.LinkStatus](doc.Name), "no free link is selected")
	case len(names) > 1 && !strings.Contains(doc.Name, "%d"):
		return nil, fmt.Errorf("found the links %s, expected the selector to select one", strings.Join(names, ", "))
	}

	return names, nil
}

func (a *assigner) program(expression string) (cel.Program, error) {
	if program := a.programs[expression]; program != nil {
		return program, nil
	}

	program, err := compile(expression)
	if err == nil {
		a.programs[expression] = program
	}

	return program, err
}

// byAddress orders links so that the order stays when they are renamed, or
// given other addresses.
func byAddress(a, b *resource.Resource[network.LinkStatus]) int {
	address := func(s network.LinkStatus) []byte {
		if len(s.PermanentAddr) > 0 {
			return s.PermanentAddr
		}

		return s.HardwareAddr
	}

	return cmp.Or(bytes.Compare(address(a.Spec), address(b.Spec)), strings.Compare(a.Meta.ID, b.Meta.ID))
}
