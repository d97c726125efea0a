// Package args builds the command lines of components from what the system
// sets and what the user adds.
package args

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Args are flags by name, without the leading dashes. A flag given several
// times has several values.
type Args map[string][]string

// Policy says what the user may do with a flag that the system sets.
type Policy uint8

const (
	// Override lets the user's values replace the system's. It is the policy
	// of flags that are not mentioned.
	Override Policy = iota
	// Append joins the user's values to the system's, separated by commas.
	Append
	// Deny refuses a flag that the user sets.
	Deny
)

// Set gives a flag one value.
func (a Args) Set(name, value string) Args {
	a[name] = []string{value}

	return a
}

// Merge adds the user's flags under the policies. It reports every refused
// flag at once and changes nothing then.
func (a Args) Merge(extra map[string][]string, policies map[string]Policy) error {
	var refused []string

	for _, name := range slices.Sorted(maps.Keys(extra)) {
		if policies[name] == Deny {
			refused = append(refused, "--"+name)
		}
	}

	if len(refused) > 0 {
		return fmt.Errorf("extra arguments %s cannot be set: the system sets them", strings.Join(refused, ", "))
	}

	for name, values := range extra {
		if policies[name] == Append && len(a[name]) > 0 {
			joined := append(slices.Clone(a[name]), values...)
			a[name] = []string{strings.Join(slices.DeleteFunc(joined, func(v string) bool { return v == "" }), ",")}

			continue
		}

		a[name] = slices.Clone(values)
	}

	return nil
}

// List renders the flags in the order of their names, as "--name=value".
func (a Args) List() []string {
	var out []string

	for _, name := range slices.Sorted(maps.Keys(a)) {
		for _, value := range a[name] {
			out = append(out, "--"+name+"="+value)
		}
	}

	return out
}
