package objects

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/basalt-os/basalt/internal/cli/connect"
)

// Where a node describes its types.
const (
	metaNamespace  = "meta"
	definitionType = "ResourceDefinitions.meta.cosi.dev"
)

// Definition is what a node says about one of its types.
type Definition struct {
	Type             string   `yaml:"type"`
	DisplayType      string   `yaml:"displayType"`
	DefaultNamespace string   `yaml:"defaultNamespace"`
	Aliases          []string `yaml:"aliases"`
	AllAliases       []string `yaml:"allAliases"`
	PrintColumns     []Column `yaml:"printColumns"`
	Sensitivity      string   `yaml:"sensitivity"`
}

// Column is a column of the table of a type.
type Column struct {
	Name     string `yaml:"name"`
	JSONPath string `yaml:"jsonPath"`
}

// Definitions returns all types of a node.
func Definitions(ctx context.Context, n connect.Node) ([]Definition, error) {
	list, err := List(ctx, n, metaNamespace, definitionType)
	if err != nil {
		return nil, err
	}

	definitions := make([]Definition, len(list))
	for i, object := range list {
		if err := object.Decode(&definitions[i]); err != nil {
			return nil, err
		}
	}

	return definitions, nil
}

// Resolve finds the type that goes by a name, in any case: its full name, that
// shortened at a dot, or an alias. An alias of a type hides names that only
// follow from other types' own.
func Resolve(definitions []Definition, name string) (Definition, error) {
	name = strings.ToLower(name)
	matches := func(names []string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
	}

	var declared, derived []Definition

	for _, definition := range definitions {
		switch {
		case strings.EqualFold(definition.Type, name):
			return definition, nil
		case matches(definition.Aliases):
			declared = append(declared, definition)
		case matches(definition.AllAliases) || strings.HasPrefix(strings.ToLower(definition.Type), name+"."):
			derived = append(derived, definition)
		}
	}

	candidates := declared
	if len(candidates) == 0 {
		candidates = derived
	}

	switch len(candidates) {
	case 0:
		return Definition{}, fmt.Errorf("there is no resource type %q; \"basaltctl get rd\" lists all", name)
	case 1:
		return candidates[0], nil
	}

	types := make([]string, len(candidates))
	for i, candidate := range candidates {
		types[i] = candidate.Type
	}

	slices.Sort(types)

	return Definition{}, fmt.Errorf("resource type %q may be any of %s", name, strings.Join(types, ", "))
}
