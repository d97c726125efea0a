package apply

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"

	"github.com/basalt-os/basalt/internal/resources/network"
)

// unspecified is the network of everything.
func unspecified(family network.Family) netip.Prefix {
	if family == network.FamilyInet6 {
		return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}

	return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
}

type rules struct{ kernel Kernel }

func (r rules) apply(specs []network.RoutingRuleSpec) error {
	present, err := r.kernel.Rules()
	if err != nil {
		return fmt.Errorf("listing routing rules: %w", err)
	}

	links, err := r.kernel.Links()
	if err != nil {
		return fmt.Errorf("listing links: %w", err)
	}

	var errs []error

	for _, spec := range specs {
		if err := r.replace(present, rule(links, spec)); err != nil {
			errs = append(errs, fmt.Errorf("adding routing rule %d: %w", spec.Priority, err))
		}
	}

	return errors.Join(errs...)
}

func (r rules) replace(present []netlink.Rule, wanted *netlink.Rule) error {
	for i := range present {
		p := &present[i]
		if p.Family != wanted.Family || p.Priority != wanted.Priority {
			continue
		}

		if equal(p, wanted) {
			return nil
		}

		if err := r.kernel.DeleteRule(p); err != nil {
			return err
		}
	}

	return r.kernel.AddRule(wanted)
}

// rule is a spec in the kernel's form, which takes links by their own names
// only. Those that are not there may come.
func rule(links []netlink.Link, spec network.RoutingRuleSpec) *netlink.Rule {
	name := func(name string) string {
		if link := find(links, name); link != nil {
			return link.Attrs().Name
		}

		return name
	}

	rule := netlink.NewRule()
	rule.Family, rule.Priority, rule.Table = int(spec.Family), int(spec.Priority), int(spec.Table)
	rule.Src, rule.Dst = toNet(spec.Src), toNet(spec.Dst)
	rule.IifName, rule.OifName = name(spec.IIFName), name(spec.OIFName)
	rule.Mark = spec.FwMark

	// Only a lookup has a table. That tells it from the other actions: the
	// library does not show which one a rule of the kernel has.
	if spec.Action != network.RoutingRuleActionUnicast {
		rule.Table, rule.Type = 0, uint8(spec.Action)
	}

	if spec.FwMask != 0 {
		rule.Mask = &spec.FwMask
	}

	return rule
}

// everyBit is the mask that the kernel shows for a mark without one.
const everyBit = 0xffffffff

func equal(a, b *netlink.Rule) bool {
	return a.Table == b.Table && fromNet(a.Src) == fromNet(b.Src) && fromNet(a.Dst) == fromNet(b.Dst) &&
		a.IifName == b.IifName && a.OifName == b.OifName && a.Mark == b.Mark && mask(a) == mask(b)
}

func mask(r *netlink.Rule) uint32 {
	if r.Mask == nil || r.Mark == 0 {
		return everyBit
	}

	return *r.Mask
}

// undo does not go by the names of links: the alias that a rule was made for
// can be gone.
func (r rules) undo(spec network.RoutingRuleSpec, _ []network.RoutingRuleSpec) error {
	present, err := r.kernel.Rules()
	if err != nil {
		return fmt.Errorf("listing routing rules: %w", err)
	}

	made := rule(nil, spec)

	for i := range present {
		p := &present[i]
		made.IifName, made.OifName = p.IifName, p.OifName

		if p.Family != made.Family || p.Priority != made.Priority || !equal(p, made) {
			continue
		}

		if err := r.kernel.DeleteRule(p); err != nil {
			return err
		}
	}

	return nil
}
