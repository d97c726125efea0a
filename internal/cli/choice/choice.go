// Package choice has the command line flag that takes one of a few words.
package choice

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// Flag is a flag whose value is one of a few words. It implements pflag.Value.
type Flag struct {
	value string
	words []string
}

// New returns a flag that has the first of the words until it is set.
func New(words ...string) *Flag { return &Flag{words[0], words} }

// String returns the word that was chosen.
func (f *Flag) String() string { return f.value }

// Set chooses a word.
func (f *Flag) Set(word string) error {
	if !slices.Contains(f.words, word) {
		return fmt.Errorf("give one of %s", strings.Join(f.words, ", "))
	}

	f.value = word

	return nil
}

// Type returns all words, as the usage shows them.
func (f *Flag) Type() string { return strings.Join(f.words, ", ") }

// Complete completes the flag in a shell.
func (f *Flag) Complete(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return f.words, cobra.ShellCompDirectiveNoFileComp
}

// Words completes an argument with one of a few words.
func Words(words ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)
}
