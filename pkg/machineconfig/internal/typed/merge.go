package typed

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Merge is a base with a strategic patch applied, for documents of type t. It
// is nil when the patch deletes the whole. Neither tree is changed.
//
// Mappings are merged entry by entry; lists are appended to, or as the tag
// merge says; everything else is replaced. An entry, or an element of a list,
// with `$patch: delete` goes; of a list, all elements go that agree in the
// other fields that the patch has.
func Merge(base, patch *yaml.Node, t reflect.Type) *yaml.Node { return merge(base, patch, t, "") }

func merge(base, patch *yaml.Node, t reflect.Type, rule string) *yaml.Node {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}

	switch {
	case deletes(patch):
		return nil
	case patch.Kind == yaml.ScalarNode && patch.ShortTag() == "!!null":
		return base // nothing was said
	case base == nil || base.Kind != patch.Kind || rule == "replace" || t != nil && t.Name() == "Arg":
		return clean(patch)
	case patch.Kind == yaml.MappingNode:
		return mergeMapping(base, patch, t)
	case patch.Kind == yaml.SequenceNode:
		return mergeSequence(base, patch, t, rule)
	default:
		return clean(patch)
	}
}

func mergeMapping(base, patch *yaml.Node, t reflect.Type) *yaml.Node {
	merged := *base
	merged.Content = slices.Clone(base.Content)
	merged.Style = 0 // a short form may have become long

	for i := 0; i+1 < len(patch.Content); i += 2 {
		key, value := patch.Content[i], patch.Content[i+1]
		elem, rule := elemOf(t, key.Value)
		at := slices.IndexFunc(everySecond(merged.Content), func(n *yaml.Node) bool { return n.Value == key.Value })

		var old *yaml.Node
		if at >= 0 {
			old = merged.Content[2*at+1]
		}

		switch result := merge(old, value, elem, rule); {
		case result == nil && at >= 0:
			merged.Content = slices.Delete(merged.Content, 2*at, 2*at+2)
		case result == nil:
		case at >= 0:
			merged.Content[2*at+1] = result
		default:
			merged.Content = append(merged.Content, key, result)
		}
	}

	return &merged
}

// everySecond are the keys of a mapping's content.
func everySecond(content []*yaml.Node) []*yaml.Node {
	var keys []*yaml.Node
	for i := 0; i+1 < len(content); i += 2 {
		keys = append(keys, content[i])
	}

	return keys
}

// elemOf is the type of an entry of a mapping, and its merge rule. The type is
// nil within free-form content.
func elemOf(t reflect.Type, key string) (reflect.Type, string) {
	switch {
	case t == nil:
		return nil, ""
	case t.Kind() == reflect.Struct:
		f, ok := find(fieldsOf(t), key)
		if !ok {
			return nil, ""
		}

		return f.typ, f.merge
	case t.Kind() == reflect.Map && t.Elem().Kind() != reflect.Interface:
		return t.Elem(), ""
	default:
		return nil, ""
	}
}

func mergeSequence(base, patch *yaml.Node, t reflect.Type, rule string) *yaml.Node {
	var elem reflect.Type
	if t != nil && t.Kind() == reflect.Slice {
		elem = t.Elem()
	}

	var keys []string
	if names, ok := strings.CutPrefix(rule, "key="); ok {
		keys = strings.Split(names, "|")
	}

	merged := *base
	merged.Content = slices.Clone(base.Content)
	merged.Style = patch.Style & base.Style

	for _, item := range patch.Content {
		if deletes(item) {
			merged.Content = slices.DeleteFunc(merged.Content, func(n *yaml.Node) bool { return selected(n, item) })

			continue
		}

		at := slices.IndexFunc(merged.Content, func(n *yaml.Node) bool { return sameKey(n, item, keys) })
		if at < 0 {
			merged.Content = append(merged.Content, clean(item))

			continue
		}

		merged.Content[at] = merge(merged.Content[at], item, elem, "")
	}

	return &merged
}

// sameKey reports whether two elements agree in the first of the keys that both
// have.
func sameKey(a, b *yaml.Node, keys []string) bool {
	for _, key := range keys {
		left, right := Child(a, key), Child(b, key)
		if left != nil && right != nil {
			return equal(left, right)
		}
	}

	return false
}

// selected reports whether an element agrees with all fields of a deletion.
func selected(n, deletion *yaml.Node) bool {
	if n.Kind != yaml.MappingNode || len(deletion.Content) <= 2 {
		return false
	}

	for i := 0; i+1 < len(deletion.Content); i += 2 {
		key := deletion.Content[i].Value
		if key == PatchKey {
			continue
		}

		if value := Child(n, key); value == nil || !equal(value, deletion.Content[i+1]) {
			return false
		}
	}

	return true
}

// equal compares trees by what they say.
func equal(a, b *yaml.Node) bool {
	if a.Kind != b.Kind || a.Value != b.Value || len(a.Content) != len(b.Content) {
		return false
	}

	for i := range a.Content {
		if !equal(a.Content[i], b.Content[i]) {
			return false
		}
	}

	return true
}

// deletes reports whether a node deletes what it stands for.
func deletes(n *yaml.Node) bool {
	mark := Child(n, PatchKey)

	return mark != nil && mark.Value == "delete"
}

// clean is a patch without its deletions.
func clean(n *yaml.Node) *yaml.Node {
	clone := *n
	clone.Content = nil

	for i := 0; i < len(n.Content); i++ {
		switch {
		case n.Kind == yaml.MappingNode && i+1 < len(n.Content):
			if !deletes(n.Content[i+1]) {
				clone.Content = append(clone.Content, n.Content[i], clean(n.Content[i+1]))
			}

			i++
		case n.Kind == yaml.SequenceNode && deletes(n.Content[i]):
		default:
			clone.Content = append(clone.Content, clean(n.Content[i]))
		}
	}

	return &clone
}

// Plain is a patch in a form that [Decode] can check: deleted entries are null,
// and elements of lists that select others have no mark. Marks that are not
// understood are faults.
func Plain(n *yaml.Node) (*yaml.Node, Errors) { return plainTree(n, "", false) }

func plainTree(n *yaml.Node, path string, element bool) (*yaml.Node, Errors) {
	var errs Errors

	if mark := Child(n, PatchKey); mark != nil && mark.Value != "delete" {
		errs = append(errs, &Error{
			Line: mark.Line, Column: mark.Column, Path: join(path, PatchKey),
			Message: "found " + describe(mark, false) + ", expected delete",
		})
	}

	if deletes(n) && !element && path != "" {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null", Line: n.Line, Column: n.Column}, nil
	}

	clone := *n
	clone.Content = nil

	add := func(child *yaml.Node, path string, element bool) {
		plain, faults := plainTree(child, path, element)
		clone.Content = append(clone.Content, plain)
		errs = append(errs, faults...)
	}

	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if key := n.Content[i]; key.Value != PatchKey {
				clone.Content = append(clone.Content, key)
				add(n.Content[i+1], join(path, key.Value), false)
			}
		}
	case yaml.SequenceNode:
		for i, item := range n.Content {
			add(item, fmt.Sprintf("%s[%d]", path, i), true)
		}
	}

	return &clone, errs
}

// Order puts the entries of a tree into the order of the fields of type t, with
// what is named in header first.
func Order(n *yaml.Node, t reflect.Type, header ...string) {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}

	if n.Kind == yaml.SequenceNode && t != nil && t.Kind() == reflect.Slice {
		for _, item := range n.Content {
			Order(item, t.Elem())
		}
	}

	if n.Kind != yaml.MappingNode || t == nil || t.Kind() != reflect.Struct && t.Kind() != reflect.Map {
		return
	}

	names := header

	if t.Kind() == reflect.Struct {
		for _, f := range fieldsOf(t) {
			names = append(names, f.name)
		}
	}

	type entry struct{ key, value *yaml.Node }

	var entries []entry

	for i := 0; i+1 < len(n.Content); i += 2 {
		elem, _ := elemOf(t, n.Content[i].Value)
		Order(n.Content[i+1], elem)

		entries = append(entries, entry{n.Content[i], n.Content[i+1]})
	}

	if t.Kind() == reflect.Struct {
		slices.SortStableFunc(entries, func(a, b entry) int {
			return slices.Index(names, a.key.Value) - slices.Index(names, b.key.Value)
		})
	}

	n.Content = n.Content[:0:0]
	for _, e := range entries {
		n.Content = append(n.Content, e.key, e.value)
	}
}
