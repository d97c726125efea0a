package apply

import (
	"errors"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink"

	"github.com/basalt-os/basalt/internal/resources/network"
)

// alias is the second name that a link is to have.
type alias struct{ link, name string }

func aliased(id string, spec network.LinkAliasSpec) alias { return alias{link: id, name: spec.Alias} }

type aliases struct{ kernel Kernel }

func (a aliases) apply(specs []alias) error {
	links, err := a.kernel.Links()
	if err != nil {
		return fmt.Errorf("listing links: %w", err)
	}

	var errs []error

	for _, spec := range specs {
		link := own(links, spec.link)
		if link == nil || link.Attrs().Alias == spec.name {
			continue
		}

		if err := a.kernel.SetAlias(link, spec.name); err != nil {
			errs = append(errs, fmt.Errorf("giving link %s the alias %s: %w", spec.link, spec.name, err))
		}
	}

	return errors.Join(errs...)
}

// undo leaves an alias that somebody else gave the link since.
func (a aliases) undo(spec alias, _ []alias) error {
	links, err := a.kernel.Links()
	if err != nil {
		return fmt.Errorf("listing links: %w", err)
	}

	link := own(links, spec.link)
	if link == nil || link.Attrs().Alias != spec.name {
		return nil
	}

	return absent(a.kernel.SetAlias(link, ""))
}

// own returns the link whose own name this is; nil when there is none.
func own(links []netlink.Link, name string) netlink.Link {
	i := slices.IndexFunc(links, func(l netlink.Link) bool { return l.Attrs().Name == name })
	if i < 0 {
		return nil
	}

	return links[i]
}
