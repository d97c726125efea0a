// Package resources has the one table of resource types: for each its
// definition, the names it goes by, its codec, and how to make an empty one.
// The types themselves are in the packages below, one per domain.
package resources

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resource/codec"
	"github.com/basalt-os/basalt/internal/resources/meta"
)

// ErrUnknownType is returned for a name that no resource type goes by.
var ErrUnknownType = errors.New("no such resource type")

// AmbiguousError is returned for a name that several resource types go by.
type AmbiguousError struct {
	Name       string
	Candidates []string // types, sorted
}

// Error implements error.
func (e *AmbiguousError) Error() string {
	return fmt.Sprintf("resource type %q is ambiguous: %s", e.Name, strings.Join(e.Candidates, ", "))
}

// Entry is one resource type. It is shared and must not be changed.
type Entry struct {
	Definition resource.Definition
	// ID is the type in lower case: the ID of its ResourceDefinition.
	ID string
	// Aliases are the declared aliases and the ones that follow from the display
	// type: its lower case and its capitals.
	Aliases []string
	// AllAliases are the type shortened at its dots, and then Aliases.
	AllAliases []string
	// Served says whether the API shows resources of this type.
	Served bool
	// Codec encodes and decodes the spec.
	Codec *codec.Codec

	empty func(resource.Metadata) resource.Object
}

// New returns a resource of this type with a zero spec.
func (e *Entry) New(metadata resource.Metadata) resource.Object { return e.empty(metadata) }

// ResourceDefinition returns what the API tells about this type.
func (e *Entry) ResourceDefinition() meta.ResourceDefinition {
	definition := meta.ResourceDefinition{
		Type:             e.Definition.Type,
		DisplayType:      e.Definition.DisplayType,
		DefaultNamespace: e.Definition.Namespace,
		Aliases:          slices.Clone(e.Aliases),
		AllAliases:       slices.Clone(e.AllAliases),
	}

	for _, column := range e.Definition.Columns {
		definition.PrintColumns = append(definition.PrintColumns, meta.PrintColumn(column))
	}

	if e.Definition.Sensitive {
		definition.Sensitivity = meta.Sensitive
	}

	return definition
}

// Table holds every resource type. It does not change after NewTable and is
// safe for concurrent use.
type Table struct {
	entries []*Entry
	byType  map[string]*Entry
	names   map[string][]name
}

// name is one way to call a type.
type name struct {
	entry *Entry
	rank  rank
}

// rank orders names: a stronger one hides weaker ones of other types.
type rank int

const (
	typeName      rank = iota // the type itself, also shortened at a dot
	declaredAlias             // chosen for the type
	derivedAlias              // follows from the display type
)

// Description is a resource type on its way into a table.
type Description struct {
	definition resource.Definition
	spec       any
	empty      func(resource.Metadata) resource.Object
}

// Describe describes the resource type whose spec is T.
func Describe[T resource.Spec]() Description {
	var spec T

	return Description{
		definition: spec.Definition(),
		spec:       spec,
		empty: func(metadata resource.Metadata) resource.Object {
			return &resource.Resource[T]{Meta: metadata}
		},
	}
}

// NewTable returns the table of all types of the contract and of own, the types
// that are ours. It is an error when a type has no codec or is there twice.
func NewTable(own ...Description) (*Table, error) {
	t := &Table{byType: map[string]*Entry{}, names: map[string][]name{}}

	for _, d := range append(builtin(), own...) {
		if err := t.add(d); err != nil {
			return nil, fmt.Errorf("adding resource type %s: %w", d.definition.Type, err)
		}
	}

	slices.SortFunc(t.entries, func(a, b *Entry) int { return cmp.Compare(a.ID, b.ID) })

	return t, nil
}

func (t *Table) add(d Description) error {
	specCodec, err := codec.New(d.spec)
	if err != nil {
		return err //nolint:wrapcheck // the caller names the type
	}

	shortened, derived := derivedNames(d.definition)
	aliases := slices.Concat(d.definition.Aliases, derived)

	entry := &Entry{
		Definition: d.definition,
		ID:         strings.ToLower(d.definition.Type),
		Aliases:    aliases,
		AllAliases: slices.Concat(shortened, aliases),
		Served:     d.definition.Type != unserved,
		Codec:      specCodec,
		empty:      d.empty,
	}

	if _, ok := t.byType[entry.ID]; ok {
		return errors.New("another spec has the same type")
	}

	t.byType[entry.ID] = entry
	t.entries = append(t.entries, entry)

	t.call(entry, typeName, entry.ID)
	t.call(entry, typeName, shortened...)
	t.call(entry, declaredAlias, d.definition.Aliases...)
	t.call(entry, derivedAlias, derived...)

	return nil
}

func (t *Table) call(entry *Entry, r rank, names ...string) {
	for _, n := range names {
		t.names[n] = append(t.names[n], name{entry: entry, rank: r})
	}
}

// The two types that are not like the others.
const (
	// unserved is kept inside the node.
	unserved = "DiscoveredVolumesStatuses.block.talos.dev"
	// declaredNamesOnly shares its display type with a newer type, and leaves
	// all names but its declared ones to that.
	declaredNamesOnly = "MountStatuses.runtime.talos.dev"
)

// derivedNames returns the type shortened at its dots, and the aliases that
// follow from the display type.
func derivedNames(d resource.Definition) (shortened, aliases []string) {
	if d.Type == declaredNamesOnly {
		return nil, nil
	}

	parts := strings.Split(strings.ToLower(d.Type), ".")
	for i := 1; i < len(parts); i++ {
		shortened = append(shortened, strings.Join(parts[:i], "."))
	}

	aliases = []string{strings.ToLower(d.DisplayType)}

	capitals := strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r
		}

		return -1
	}, d.DisplayType)

	if capitals = strings.ToLower(capitals); len(capitals) > 1 {
		aliases = append(aliases, capitals)
		if !strings.HasSuffix(capitals, "s") {
			aliases = append(aliases, capitals+"s")
		}
	}

	return shortened, aliases
}

// Entries returns all entries, sorted by ID.
func (t *Table) Entries() []*Entry { return slices.Clone(t.entries) }

// Get returns the entry of a type, by its full name.
func (t *Table) Get(typ string) (*Entry, bool) {
	entry, ok := t.byType[strings.ToLower(typ)]
	if !ok || entry.Definition.Type != typ {
		return nil, false
	}

	return entry, true
}

// Lookup returns the entry that goes by name, in any case: its type, the type
// shortened at a dot, or an alias. A declared alias hides the same alias
// derived for another type. The error is ErrUnknownType or an *AmbiguousError.
func (t *Table) Lookup(typeOrAlias string) (*Entry, error) {
	found := t.names[strings.ToLower(typeOrAlias)]
	if len(found) == 0 {
		return nil, fmt.Errorf("looking up %q: %w", typeOrAlias, ErrUnknownType)
	}

	best := slices.MinFunc(found, func(a, b name) int { return cmp.Compare(a.rank, b.rank) })

	var candidates []string

	for _, n := range found {
		if n.rank == best.rank && !slices.Contains(candidates, n.entry.Definition.Type) {
			candidates = append(candidates, n.entry.Definition.Type)
		}
	}

	if len(candidates) > 1 {
		slices.Sort(candidates)

		return nil, &AmbiguousError{Name: typeOrAlias, Candidates: candidates}
	}

	return best.entry, nil
}
