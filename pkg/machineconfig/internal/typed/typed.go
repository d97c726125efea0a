// Package typed works on YAML trees with Go types as their grammar: it parses
// streams of documents ([Parse]), fills structs from trees ([Decode]), makes
// trees of structs ([Encode]), merges trees ([Merge]), hides secrets ([Redact])
// and checks what must be there ([Require]). What a type allows is said by its
// struct tags; package document lists them.
//
// Every fault is an [*Error] with its place. Functions go on after a fault, so
// that one call reports all of them. Errors never quote the value of a secret.
package typed

import (
	"cmp"
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Error is one fault of a document.
type Error struct {
	File         string // as the caller named it; may be empty
	Line, Column int    // from 1; 0 when unknown
	Path         string // such as machine.network.interfaces[0].mtu
	Message      string // what was found and what was expected
}

// Error implements error: file:line:column: path: message.
func (e *Error) Error() string {
	var parts []string

	place := e.File
	if e.Line > 0 {
		if place == "" {
			place = "line "
		} else {
			place += ":"
		}

		place += fmt.Sprintf("%d:%d", e.Line, e.Column)
	}

	for _, part := range []string{place, e.Path, e.Message} {
		if part != "" {
			parts = append(parts, part)
		}
	}

	return strings.Join(parts, ": ")
}

// Errors are the faults of a stream of documents, in order of their places.
type Errors []*Error

// Error implements error, one fault per line.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, err := range e {
		lines[i] = err.Error()
	}

	return strings.Join(lines, "\n")
}

// Unwrap gives [errors.Is] and [errors.As] the single faults.
func (e Errors) Unwrap() []error {
	errs := make([]error, len(e))
	for i, err := range e {
		errs[i] = err
	}

	return errs
}

// Err is the faults sorted by place as an error, or nil when there are none.
func (e Errors) Err() error {
	if len(e) == 0 {
		return nil
	}

	slices.SortStableFunc(e, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})

	return e
}

// In gives the faults the name of their file.
func (e Errors) In(file string) Errors {
	for _, err := range e {
		err.File = file
	}

	return e
}

// field is what the tags of a struct field say.
type field struct {
	name       string
	index      []int
	typ        reflect.Type
	omitEmpty  bool
	required   bool
	deprecated string
	enum       []string
	accept     []string // values beside enum that old documents have
	schemes    []string
	min, max   string
	pattern    string
	merge      string
	secret     string
}

// fieldsOf are the fields of a struct type, embedded structs inlined.
func fieldsOf(t reflect.Type) []field {
	var fields []field

	for i := range t.NumField() {
		f := t.Field(i)

		if f.Anonymous {
			for _, inner := range fieldsOf(f.Type) {
				inner.index = append([]int{i}, inner.index...)
				fields = append(fields, inner)
			}

			continue
		}

		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "" || !f.IsExported() {
			continue
		}

		fields = append(fields, field{
			name:       name,
			index:      []int{i},
			typ:        f.Type,
			omitEmpty:  options == "omitempty",
			required:   f.Tag.Get("required") == "true",
			deprecated: f.Tag.Get("deprecated"),
			enum:       list(f.Tag.Get("enum")),
			accept:     list(f.Tag.Get("accept")),
			schemes:    list(f.Tag.Get("scheme")),
			min:        f.Tag.Get("min"),
			max:        f.Tag.Get("max"),
			pattern:    f.Tag.Get("pattern"),
			merge:      f.Tag.Get("merge"),
			secret:     f.Tag.Get("secret"),
		})
	}

	return fields
}

// hasSecrets reports whether a struct type has a field that is a secret: what
// stands in its place may be one too.
func hasSecrets(t reflect.Type) bool {
	return slices.ContainsFunc(fieldsOf(t), func(f field) bool { return f.secret != "" })
}

// list splits a tag's value; no value is no list.
func list(value string) []string {
	if value == "" {
		return nil
	}

	return strings.Split(value, "|")
}

// find is the field of a name.
func find(fields []field, name string) (field, bool) {
	i := slices.IndexFunc(fields, func(f field) bool { return f.name == name })
	if i < 0 {
		return field{}, false
	}

	return fields[i], true
}

var (
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
	textMarshaler   = reflect.TypeFor[encoding.TextMarshaler]()
)

// isText reports whether a type is written as a single string.
func isText(t reflect.Type) bool { return reflect.PointerTo(t).Implements(textUnmarshaler) }

// join adds a key to a path.
func join(path, key string) string {
	if path == "" {
		return key
	}

	return path + "." + key
}
