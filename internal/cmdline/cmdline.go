// Package cmdline reads the kernel's command line the way the kernel does.
package cmdline

import (
	"fmt"
	"os"
	"strings"
)

// Argument is one word of a command line.
type Argument struct {
	Name  string
	Value string // without the quotes around it
	Set   bool   // whether there is a "=": "quiet" is not "quiet="
}

// String is the argument as text, without quotes.
func (a Argument) String() string {
	if !a.Set {
		return a.Name
	}

	return a.Name + "=" + a.Value
}

// Line is a command line: its arguments in their order.
type Line []Argument

// Parse splits a command line. White space inside double quotes separates
// nothing; quotes around an argument or around a value go, others stay. What
// follows "--" is for the first program and not the kernel's, and is left out.
func Parse(text string) Line {
	var line Line

	for {
		text = strings.TrimLeftFunc(text, space)
		if text == "" {
			return line
		}

		var word string

		word, text = next(text)
		if word == "--" {
			return line
		}

		if argument := argumentOf(word); argument.Name != "" {
			line = append(line, argument)
		}
	}
}

// Read reads the command line of the running kernel; proc is where the process
// file system is mounted.
func Read(proc string) (Line, error) {
	text, err := os.ReadFile(proc + "/cmdline")
	if err != nil {
		return nil, fmt.Errorf("reading the kernel's command line: %w", err)
	}

	return Parse(string(text)), nil
}

func space(r rune) bool { return r == ' ' || (r >= '\t' && r <= '\r') }

// next cuts the first word off a text that does not begin with white space.
func next(text string) (word, rest string) {
	quoted := false

	for i := range len(text) {
		switch {
		case text[i] == '"':
			quoted = !quoted
		case !quoted && space(rune(text[i])):
			return text[:i], text[i+1:]
		}
	}

	return text, ""
}

// argumentOf splits a word into name and value.
func argumentOf(word string) Argument {
	if inner, ok := strings.CutPrefix(word, `"`); ok {
		word = strings.TrimSuffix(inner, `"`)
	}

	name, value, set := strings.Cut(word, "=")
	if inner, ok := strings.CutPrefix(value, `"`); ok {
		value = strings.TrimSuffix(inner, `"`)
	}

	return Argument{Name: name, Value: value, Set: set}
}

// All is the values of all arguments of a name, in their order. As for the
// kernel, dashes and underscores in names are the same. An argument without
// "=" has the value "".
func (l Line) All(name string) []string {
	var values []string

	for _, a := range l {
		if same(a.Name, name) {
			values = append(values, a.Value)
		}
	}

	return values
}

// Get is the value of the last argument of a name: the one that counts for the
// kernel. False says that there is none.
func (l Line) Get(name string) (string, bool) {
	values := l.All(name)
	if len(values) == 0 {
		return "", false
	}

	return values[len(values)-1], true
}

// Has says whether there is an argument of a name that is not switched off: it
// has no value, or one that means yes.
func (l Line) Has(name string) bool {
	value, ok := l.Get(name)
	if !ok {
		return false
	}

	switch strings.ToLower(value) {
	case "0", "n", "no", "off", "false":
		return false
	default:
		return true
	}
}

func same(a, b string) bool {
	return strings.ReplaceAll(a, "-", "_") == strings.ReplaceAll(b, "-", "_")
}
