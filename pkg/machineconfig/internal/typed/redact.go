package typed

import (
	"reflect"
	"regexp"

	"go.yaml.in/yaml/v4"
)

// Redact is a tree with secrets replaced, for documents of type t, and whether
// there were any. The tree itself is not changed.
func Redact(root *yaml.Node, t reflect.Type, replacement string) (*yaml.Node, bool) {
	r := redactor{replacement: replacement}

	return r.redact(root, t, ""), r.found
}

type redactor struct {
	replacement string
	found       bool
}

// query matches the values in the query of a URL.
var query = regexp.MustCompile(`=[^&]*`)

func (r *redactor) redact(n *yaml.Node, t reflect.Type, rule string) *yaml.Node {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}

	clone := *n

	if n.Kind == yaml.ScalarNode {
		switch {
		case n.Value == "" || n.ShortTag() == "!!null":
		case rule == "true":
			r.found = true
			clone = *String(r.replacement)
		case rule == "query":
			clone.Value = r.query(n.Value)
		}

		return &clone
	}

	clone.Content = make([]*yaml.Node, 0, len(n.Content))

	if n.Kind == yaml.SequenceNode {
		if t != nil && t.Kind() == reflect.Slice {
			t = t.Elem()
		}

		for _, item := range n.Content {
			clone.Content = append(clone.Content, r.redact(item, t, rule))
		}

		return &clone
	}

	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		elem, _ := elemOf(t, key.Value)
		inner := rule

		if t != nil && t.Kind() == reflect.Struct {
			f, _ := find(fieldsOf(t), key.Value)
			inner = f.secret
		}

		if rule == "nested" && key.Value == "secret" {
			inner = "true"
		}

		clone.Content = append(clone.Content, key, r.redact(n.Content[i+1], elem, inner))
	}

	return &clone
}

// query hides what the query of a URL says.
func (r *redactor) query(url string) string {
	for i := range url {
		if url[i] == '?' {
			r.found = true

			return url[:i] + query.ReplaceAllString(url[i:], "="+r.replacement)
		}
	}

	return url
}
