package firewall

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/network"
)

// Table is the name of the table that the chains are in. Nobody else's rules
// are.
const Table = "talos"

// Filter is the packet filter of the kernel.
type Filter interface {
	// Replace makes the table have these chains, by name, and nothing else, at
	// one moment.
	Replace(chains map[string]network.NfTablesChain) error
	// Has reports whether there is a table.
	Has() (bool, error)
}

// Apply brings all chains to the kernel.
func Apply(filter Filter) reconcile.Controller {
	var applied map[string]network.NfTablesChain

	return derive.Act("network.NfTablesChainController", []reconcile.Input{reconcile.In[network.NfTablesChain]()}, nil,
		func(ctx context.Context, rt *reconcile.Runtime) error {
			found, err := resource.List[network.NfTablesChain](ctx, rt)
			if err != nil {
				return err
			}

			wanted := map[string]network.NfTablesChain{}

			for _, r := range found {
				if r.Meta.Phase == resource.Running {
					wanted[r.Meta.ID] = r.Spec
				}
			}

			present, err := filter.Has()
			if err != nil {
				return fmt.Errorf("looking for the packet filter: %w", err)
			}

			// Counters begin anew with every replacement.
			if present == (len(wanted) > 0) && (!present || reflect.DeepEqual(wanted, applied)) {
				return nil
			}

			if err := filter.Replace(wanted); err != nil {
				return fmt.Errorf("replacing the packet filter: %w", err)
			}

			applied = wanted

			return nil
		})
}

// Netfilter is the Filter of the network namespace that the process is in.
type Netfilter struct{}

// Has implements Filter.
func (Netfilter) Has() (bool, error) {
	conn, err := nftables.New()
	if err != nil {
		return false, err
	}

	tables, err := conn.ListTablesOfFamily(nftables.TableFamilyINet)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return false, nil // a kernel without packet filter has no table
	}

	return slices.ContainsFunc(tables, func(t *nftables.Table) bool { return t.Name == Table }), err
}

// Replace implements Filter.
func (Netfilter) Replace(chains map[string]network.NfTablesChain) error {
	conn, err := nftables.New()
	if err != nil {
		return err
	}

	// To delete a table that may not be there, it is made before.
	table := conn.AddTable(&nftables.Table{Name: Table, Family: nftables.TableFamilyINet})
	conn.DelTable(table)

	if len(chains) > 0 {
		table = conn.AddTable(&nftables.Table{Name: Table, Family: nftables.TableFamilyINet})
	}

	for _, name := range slices.Sorted(maps.Keys(chains)) {
		if err := addChain(conn, table, name, chains[name]); err != nil {
			return fmt.Errorf("chain %s: %w", name, err)
		}
	}

	return conn.Flush()
}

func addChain(conn *nftables.Conn, table *nftables.Table, name string, spec network.NfTablesChain) error {
	policy := nftables.ChainPolicyAccept
	if spec.Policy == network.NfTablesVerdictDrop {
		policy = nftables.ChainPolicyDrop
	}

	chain := conn.AddChain(&nftables.Chain{
		Name: name, Table: table, Type: nftables.ChainType(spec.Type),
		Hooknum:  nftables.ChainHookRef(nftables.ChainHook(spec.Hook)),
		Priority: nftables.ChainPriorityRef(nftables.ChainPriority(spec.Priority)), Policy: &policy,
	})

	add := func(keys nftables.SetDatatype, interval bool, elements []nftables.SetElement) (*nftables.Set, error) {
		set := &nftables.Set{Table: table, Anonymous: true, Constant: true, KeyType: keys, Interval: interval}

		return set, conn.AddSet(set, elements)
	}

	for i, rule := range spec.Rules {
		compiled, err := compile(rule, add)
		if err != nil {
			return fmt.Errorf("rule %d: %w", i, err)
		}

		for _, exprs := range compiled {
			conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: exprs})
		}
	}

	return nil
}
