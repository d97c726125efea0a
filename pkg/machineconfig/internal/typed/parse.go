package typed

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Limits of what is parsed. Machine configurations are some ten kilobytes;
// those with many manifests some hundred.
const (
	MaxBytes = 8 << 20
	maxNodes = 1 << 17 // of one document, aliases expanded
	maxDepth = 200
)

// Source is one document of a stream.
type Source struct {
	Text []byte     // without the line that separates documents
	Root *yaml.Node // nil for a document without content
	Line int        // of the stream at which Text begins, from 1
}

// Parse splits a stream into its documents and parses each. Aliases are
// expanded. Positions of nodes are those in the stream.
func Parse(stream []byte) ([]Source, Errors) {
	if len(stream) > MaxBytes {
		return nil, Errors{{Message: fmt.Sprintf("found %d bytes, expected at most %d", len(stream), MaxBytes)}}
	}

	var (
		sources = split(stream)
		errs    Errors
	)

	for i := range sources {
		root, err := parse(sources[i])
		if err != nil {
			errs = append(errs, err)
		}

		sources[i].Root = root
	}

	return sources, errs
}

// split cuts a stream at its document markers. In YAML a line that begins with
// them ends a document wherever it stands, even within a scalar.
func split(stream []byte) []Source {
	var (
		sources []Source
		current = Source{Line: 1}
		line    = 0
	)

	for text := range bytes.Lines(stream) {
		line++

		rest, start := marker(text, "---")
		_, end := marker(text, "...")

		if !start && !end {
			current.Text = append(current.Text, text...)

			continue
		}

		if len(sources) > 0 || len(bytes.TrimSpace(current.Text)) > 0 {
			sources = append(sources, current)
		}

		current = Source{Line: line + 1}

		// Content on the line of the marker keeps its columns.
		if len(bytes.TrimSpace(rest)) > 0 && start {
			current = Source{Line: line, Text: append([]byte("   "), rest...)}
		}
	}

	return append(sources, current)
}

// marker is what follows a document marker on its line.
func marker(line []byte, mark string) ([]byte, bool) {
	rest, ok := bytes.CutPrefix(line, []byte(mark))
	if !ok || len(rest) > 0 && !bytes.ContainsRune([]byte(" \t\r\n"), rune(rest[0])) {
		return nil, false
	}

	return rest, true
}

// parse parses one document.
func parse(source Source) (*yaml.Node, *Error) {
	var doc yaml.Node

	loader, err := yaml.NewLoader(bytes.NewReader(source.Text), yaml.WithUniqueKeys(false))
	if err != nil {
		return nil, syntaxError(err, source.Line)
	}

	if err := loader.Load(&doc); errors.Is(err, io.EOF) {
		return nil, nil // comments only
	} else if err != nil {
		return nil, syntaxError(err, source.Line)
	}

	if doc.Kind != yaml.DocumentNode || len(doc.Content) == 0 {
		return nil, nil
	}

	root := doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.ShortTag() == "!!null" {
		return nil, nil
	}

	e := expander{offset: source.Line - 1, budget: maxNodes}

	return e.expand(root, 0)
}

// syntaxError is an error of the YAML library with its place in the stream.
func syntaxError(err error, line int) *Error {
	fault := &Error{Line: line, Column: 1, Message: "expected YAML"}

	var load *yaml.LoadError
	if !errors.As(err, &load) {
		return fault
	}

	if load.Mark.Line > 0 {
		fault.Line, fault.Column = line+load.Mark.Line-1, load.Mark.Column
	}

	fault.Message = "expected YAML: " + load.Message
	if load.ContextMsg != "" {
		fault.Message += " (" + load.ContextMsg + ")"
	}

	return fault
}

// expander copies a tree with aliases and merge keys replaced by what they
// stand for, and moves positions by an offset of lines.
type expander struct {
	offset int
	budget int
}

func (e *expander) expand(n *yaml.Node, depth int) (*yaml.Node, *Error) {
	if e.budget--; e.budget < 0 || depth > maxDepth {
		return nil, &Error{
			Line: n.Line + e.offset, Column: n.Column,
			Message: fmt.Sprintf("the document is too large: expected at most %d values, %d deep, with aliases expanded", maxNodes, maxDepth),
		}
	}

	if n.Kind == yaml.AliasNode {
		return e.expand(n.Alias, depth+1)
	}

	clone := *n
	clone.Line += e.offset
	clone.Anchor = ""
	clone.Content = make([]*yaml.Node, 0, len(n.Content))

	for _, child := range n.Content {
		expanded, err := e.expand(child, depth+1)
		if err != nil {
			return nil, err
		}

		clone.Content = append(clone.Content, expanded)
	}

	if clone.Kind == yaml.MappingNode {
		return &clone, spread(&clone)
	}

	return &clone, nil
}

// spread replaces the merge keys (<<) of a mapping by the entries that they
// add. Entries of the mapping itself win.
func spread(n *yaml.Node) *Error {
	var own, added []*yaml.Node

	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]

		if key.ShortTag() != "!!merge" {
			own = append(own, key, value)

			continue
		}

		from := []*yaml.Node{value}
		if value.Kind == yaml.SequenceNode {
			from = value.Content
		}

		for _, m := range from {
			if m.Kind != yaml.MappingNode {
				return &Error{Line: key.Line, Column: key.Column, Message: "found " + describe(m, false) + " under <<, expected a mapping"}
			}

			for j := 0; j+1 < len(m.Content); j += 2 {
				if lookup(n.Content, m.Content[j].Value) == nil && lookup(added, m.Content[j].Value) == nil {
					added = append(added, m.Content[j], m.Content[j+1])
				}
			}
		}
	}

	n.Content = append(own, added...)

	return nil
}

// lookup is the value of a key among the keys and values of a mapping.
func lookup(content []*yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(content); i += 2 {
		if content[i].Value == key {
			return content[i+1]
		}
	}

	return nil
}

// describe says what a node is. The value of a scalar is quoted unless it is a
// secret.
func describe(n *yaml.Node, secret bool) string {
	const longest = 60

	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		if n.ShortTag() == "!!null" {
			return "nothing"
		}

		if secret {
			return "a value"
		}

		if len(n.Value) > longest {
			return fmt.Sprintf("%.*q…", longest, n.Value)
		}

		return fmt.Sprintf("%q", n.Value)
	default:
		return "something else"
	}
}

// Child is the value of a key of a mapping, or nil.
func Child(n *yaml.Node, key string) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		return nil
	}

	return lookup(n.Content, key)
}

// Locate is the node at a path, or the closest above it that there is.
func Locate(n *yaml.Node, path string) *yaml.Node {
	for key := range strings.FieldsFuncSeq(path, func(r rune) bool { return strings.ContainsRune(".[]", r) }) {
		next := Child(n, key)

		if i, err := strconv.Atoi(key); err == nil && n.Kind == yaml.SequenceNode && i < len(n.Content) {
			next = n.Content[i]
		}

		if next == nil {
			return n
		}

		n = next
	}

	return n
}

// Has reports whether there is something at a path.
func Has(n *yaml.Node, path string) bool {
	for key := range strings.SplitSeq(path, ".") {
		if n = Child(n, key); n == nil {
			return false
		}
	}

	return n.ShortTag() != "!!null"
}
