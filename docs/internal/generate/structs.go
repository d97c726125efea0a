package main

import (
	"encoding"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"time"
)

// known are types of other packages by what readers call them.
func known() map[reflect.Type]string {
	return map[reflect.Type]string{
		reflect.TypeFor[time.Duration]():  "duration",
		reflect.TypeFor[time.Time]():      "time",
		reflect.TypeFor[netip.Addr]():     "address",
		reflect.TypeFor[netip.Prefix]():   "prefix",
		reflect.TypeFor[netip.AddrPort](): "address and port",
		reflect.TypeFor[[]byte]():         "bytes",
	}
}

// printer describes structs and remembers those that it has linked to.
type printer struct {
	comments comments
	heading  string                             // of the column for about and comments
	about    func(reflect.StructField) []string // what tags say
	known    map[reflect.Type]string
	queue    []reflect.Type
	seen     map[reflect.Type]bool
}

func newPrinter(c comments, heading string, about func(reflect.StructField) []string) *printer {
	return &printer{comments: c, heading: heading, about: about, known: known(), seen: map[reflect.Type]bool{}}
}

// structure writes the comment of a struct and a table of its fields.
func (p *printer) structure(out *strings.Builder, t reflect.Type) {
	p.seen[t] = true

	if doc := p.comments.of(t).doc; doc != "" {
		fmt.Fprintf(out, "%s\n\n", doc)
	}

	var rows strings.Builder

	p.rows(&rows, t)

	if rows.Len() > 0 {
		fmt.Fprintf(out, "| Field | Type | %s |\n|---|---|---|\n%s\n", p.heading, rows.String())
	}
}

func (p *printer) rows(out *strings.Builder, t reflect.Type) {
	said := p.comments.of(t)

	for field := range t.Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("yaml"), ",")

		switch {
		case name == "-" || !field.IsExported():
			continue
		case name == "" && (field.Anonymous || strings.Contains(options, "inline")) && field.Type.Kind() == reflect.Struct:
			p.rows(out, field.Type)

			continue
		}

		about := p.about(field)
		if comment := said.fields[field.Name]; comment != "" {
			about = append(about, comment)
		}

		fmt.Fprintf(out, "| `%s` | %s | %s |\n", name, p.typeName(field.Type), cell(strings.Join(about, "; ")))
	}
}

// typeName is what readers call a type; structs are links.
func (p *printer) typeName(t reflect.Type) string {
	if name, ok := p.known[t]; ok {
		return name
	}

	switch {
	case t.Kind() == reflect.Pointer:
		return p.typeName(t.Elem())
	case written(t):
		return words(t.Name())
	}

	switch t.Kind() {
	case reflect.Struct:
		if !p.seen[t] {
			p.seen[t] = true
			p.queue = append(p.queue, t)
		}

		return fmt.Sprintf("[%s](#%s)", t.Name(), strings.ToLower(t.Name()))
	case reflect.Slice, reflect.Array:
		return "list of " + p.typeName(t.Elem())
	case reflect.Map:
		return "map of " + p.typeName(t.Key()) + " to " + p.typeName(t.Elem())
	case reflect.Bool:
		return "boolean"
	case reflect.String:
		return "string"
	case reflect.Float32, reflect.Float64:
		return "number"
	case reflect.Interface:
		return "anything"
	default:
		return "integer"
	}
}

// written says whether values of a type have a text form of their own.
func written(t reflect.Type) bool {
	text := reflect.TypeFor[encoding.TextMarshaler]()

	return t.Name() != "" && (t.Implements(text) || reflect.PointerTo(t).Implements(text))
}

// words makes "HardwareAddr" "hardware addr"; capitals in a row stay.
func words(name string) string {
	var out strings.Builder

	upper := func(i int) bool { return i < len(name) && name[i] >= 'A' && name[i] <= 'Z' }

	for i := range len(name) {
		switch {
		case !upper(i), upper(i + 1), i+1 == len(name) && i > 0:
			out.WriteByte(name[i])
		default:
			if i > 0 {
				out.WriteByte(' ')
			}

			out.WriteString(strings.ToLower(name[i : i+1]))
		}
	}

	return out.String()
}

// rest describes the structs that were linked to, and those that they link to.
func (p *printer) rest(out *strings.Builder, heading string) {
	for len(p.queue) > 0 {
		t := p.queue[0]
		p.queue = p.queue[1:]

		fmt.Fprintf(out, "%s %s\n\n", heading, t.Name())
		p.structure(out, t)
	}
}

// capital makes a text begin with a capital letter.
func capital(text string) string {
	if text == "" {
		return ""
	}

	return strings.ToUpper(text[:1]) + text[1:]
}

// cell makes a text fit into a table.
func cell(text string) string {
	return strings.NewReplacer("|", "\\|", "\n", " ", "<", "&lt;").Replace(text)
}
