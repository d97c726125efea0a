package typed

import (
	"encoding"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// PatchKey marks entries of strategic patches that are to be deleted.
const PatchKey = "$patch"

// Decode fills the struct that into points to from a mapping. Keys named in
// header are skipped at the top: the caller has read them.
func Decode(root *yaml.Node, into any, header ...string) Errors {
	var d decoder

	d.header = header
	d.value(root, reflect.ValueOf(into).Elem(), "", field{})

	return d.errs
}

type decoder struct {
	header []string
	errs   Errors
}

func (d *decoder) fault(n *yaml.Node, path, format string, args ...any) {
	d.errs = append(d.errs, &Error{Line: n.Line, Column: n.Column, Path: path, Message: fmt.Sprintf(format, args...)})
}

// value fills v from n. f has the tags of the field that v is of, or is an
// element of.
func (d *decoder) value(n *yaml.Node, v reflect.Value, path string, f field) {
	t := v.Type()

	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		v.SetZero()

		return
	}

	switch {
	case t.Kind() == reflect.Pointer:
		v.Set(reflect.New(t.Elem()))
		d.value(n, v.Elem(), path, f)
	case isText(t):
		d.text(n, v, path, f)
	case t.Kind() == reflect.Interface:
		if free := d.free(n, path); free != nil {
			v.Set(reflect.ValueOf(free))
		}
	case t.Kind() == reflect.Struct:
		d.structure(n, v, path)
	case t.Kind() == reflect.Map && t.Elem().Kind() == reflect.Interface:
		if n.Kind != yaml.MappingNode {
			d.fault(n, path, "found %s, expected a mapping", describe(n, f.secret != ""))

			return
		}

		v.Set(reflect.ValueOf(d.free(n, path)).Convert(t))
	case t.Kind() == reflect.Map:
		d.mapping(n, v, path, f)
	case t.Kind() == reflect.Slice:
		d.sequence(n, v, path, f)
	default:
		d.scalar(n, v, path, f)
	}
}

func (d *decoder) structure(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.fault(n, path, "found %s, expected a mapping", describe(n, hasSecrets(v.Type())))

		return
	}

	fields := fieldsOf(v.Type())

	for key, value := range d.entries(n, path) {
		if path == "" && slices.Contains(d.header, key.Value) {
			continue
		}

		f, ok := find(fields, key.Value)
		if !ok {
			d.fault(key, join(path, key.Value), "unknown field, %s", suggestion(key.Value, fields))

			continue
		}

		d.value(value, v.FieldByIndex(f.index), join(path, f.name), f)
	}
}

// entries are the entries of a mapping; keys that are no strings, or there
// already, are faults.
func (d *decoder) entries(n *yaml.Node, path string) func(yield func(key, value *yaml.Node) bool) {
	return func(yield func(key, value *yaml.Node) bool) {
		seen := make(map[string]int, len(n.Content)/2)

		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]

			if key.Kind != yaml.ScalarNode {
				d.fault(key, path, "found %s as a key, expected a string", describe(key, false))

				continue
			}

			if line, ok := seen[key.Value]; ok {
				d.fault(key, join(path, key.Value), "found the key again, expected it once: it is in line %d already", line)

				continue
			}

			seen[key.Value] = key.Line

			if !yield(key, value) {
				return
			}
		}
	}
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value, path string, f field) {
	if n.Kind != yaml.MappingNode {
		d.fault(n, path, "found %s, expected a mapping", describe(n, f.secret != ""))

		return
	}

	t := v.Type()
	v.Set(reflect.MakeMapWithSize(t, len(n.Content)/2))

	for key, value := range d.entries(n, path) {
		elem := reflect.New(t.Elem()).Elem()
		d.value(value, elem, join(path, key.Value), f)
		v.SetMapIndex(reflect.ValueOf(key.Value).Convert(t.Key()), elem)
	}
}

func (d *decoder) sequence(n *yaml.Node, v reflect.Value, path string, f field) {
	t := v.Type()

	// The values of an argument may be one string.
	if n.Kind == yaml.ScalarNode && t.Name() == "Arg" {
		v.Set(reflect.MakeSlice(t, 1, 1))
		d.value(n, v.Index(0), path, f)

		return
	}

	if n.Kind != yaml.SequenceNode {
		d.fault(n, path, "found %s, expected a list", describe(n, f.secret != ""))

		return
	}

	v.Set(reflect.MakeSlice(t, len(n.Content), len(n.Content)))

	for i, item := range n.Content {
		d.value(item, v.Index(i), fmt.Sprintf("%s[%d]", path, i), f)
	}
}

// expectations name types that are written as a string.
var expectations = map[reflect.Type]string{
	reflect.TypeFor[netip.Addr]():     "an IP address",
	reflect.TypeFor[netip.Prefix]():   "a network such as 10.0.0.0/8",
	reflect.TypeFor[netip.AddrPort](): "an address with a port such as 10.5.0.2:51820",
}

func (d *decoder) text(n *yaml.Node, v reflect.Value, path string, f field) {
	// Base64 of PEM is most often a key.
	secret := f.secret != "" || v.Kind() == reflect.Slice

	if n.Kind != yaml.ScalarNode {
		d.fault(n, path, "found %s, expected a string", describe(n, secret))

		return
	}

	if n.Value == "" {
		v.SetZero()

		return
	}

	if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.Value)); err != nil {
		expected, ok := expectations[v.Type()]
		if ok {
			expected = "expected " + expected
		} else {
			expected = err.Error()
		}

		d.fault(n, path, "found %s, %s", describe(n, secret), expected)

		return
	}

	if scheme, _, _ := strings.Cut(n.Value, ":"); len(f.schemes) > 0 && !slices.Contains(f.schemes, scheme) {
		d.fault(n, path, "found a URL of scheme %s, expected %s", scheme, oneOf(f.schemes))
	}
}

func (d *decoder) scalar(n *yaml.Node, v reflect.Value, path string, f field) {
	secret := f.secret != ""
	wrong := func(expected string) { d.fault(n, path, "found %s, expected %s", describe(n, secret), expected) }

	if n.Kind != yaml.ScalarNode {
		wrong(scalarName(v.Type()))

		return
	}

	switch kind := v.Kind(); {
	case v.Type() == reflect.TypeFor[time.Duration]():
		duration, err := time.ParseDuration(n.Value)
		if err != nil {
			wrong("a duration such as 1h30m")

			return
		}

		v.SetInt(int64(duration))
	case kind == reflect.String:
		v.SetString(n.Value)

		if len(f.enum) > 0 && n.Value != "" && !slices.Contains(f.enum, n.Value) && !slices.Contains(f.accept, n.Value) {
			wrong(oneOf(f.enum))
		}
	case kind == reflect.Bool:
		var b bool
		if n.ShortTag() == "!!str" && n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 || n.Decode(&b) != nil {
			wrong("true or false")

			return
		}

		v.SetBool(b)
	case v.CanInt():
		number, err := strconv.ParseInt(strings.ReplaceAll(n.Value, "_", ""), 0, v.Type().Bits())
		if err != nil || n.ShortTag() != "!!int" {
			wrong("a whole number" + bounds(f, v.Type()))

			return
		}

		v.SetInt(number)
		d.bound(n, float64(number), path, f)
	case v.CanUint():
		number, err := strconv.ParseUint(strings.ReplaceAll(n.Value, "_", ""), 0, v.Type().Bits())
		if err != nil || n.ShortTag() != "!!int" && v.Type().Name() != "FileMode" {
			wrong("a whole number" + bounds(f, v.Type()))

			return
		}

		v.SetUint(number)
		d.bound(n, float64(number), path, f)
	default:
		panic("typed: unsupported kind " + kind.String())
	}
}

// bound checks a number against the tags min and max.
func (d *decoder) bound(n *yaml.Node, number float64, path string, f field) {
	lowest, noMin := strconv.ParseFloat(f.min, 64)
	highest, noMax := strconv.ParseFloat(f.max, 64)

	if noMin == nil && number < lowest || noMax == nil && number > highest {
		d.fault(n, path, "found %s, expected a number%s", n.Value, bounds(f, nil))
	}
}

// free is a tree as maps, lists and scalars.
func (d *decoder) free(n *yaml.Node, path string) any {
	switch n.Kind {
	case yaml.MappingNode:
		m := make(map[string]any, len(n.Content)/2)
		for key, value := range d.entries(n, path) {
			m[key.Value] = d.free(value, join(path, key.Value))
		}

		return m
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, item := range n.Content {
			list[i] = d.free(item, fmt.Sprintf("%s[%d]", path, i))
		}

		return list
	default:
		if n.ShortTag() == "!!timestamp" { // stays as written
			return n.Value
		}

		var value any
		if err := n.Decode(&value); err != nil {
			d.fault(n, path, "found a value of type %s, expected a string, number or boolean", n.ShortTag())
		}

		return value
	}
}

// scalarName says what a type of scalars expects.
func scalarName(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "a duration such as 1h30m"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.String:
		return "a string"
	default:
		return "a whole number"
	}
}

// bounds says what a number must lie between, or nothing.
func bounds(f field, t reflect.Type) string {
	low, high := f.min, f.max

	if low == "" && t != nil && t.Kind() >= reflect.Uint && t.Kind() <= reflect.Uint64 {
		low = "0"
	}

	switch {
	case low != "" && high != "":
		return " from " + low + " to " + high
	case low != "":
		return " of at least " + low
	case high != "":
		return " of at most " + high
	default:
		return ""
	}
}

// oneOf lists what is allowed.
func oneOf(values []string) string {
	if len(values) == 1 {
		return values[0]
	}

	return strings.Join(values[:len(values)-1], ", ") + " or " + values[len(values)-1]
}

// Free is a tree as maps, lists and scalars.
func Free(n *yaml.Node) (any, Errors) {
	var d decoder

	value := d.free(n, "")

	return value, d.errs
}

// BlockStyle writes a tree over many lines, as people do.
func BlockStyle(n *yaml.Node) {
	switch {
	case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str":
		n.Style = String(n.Value).Style
	case len(n.Content) > 0:
		n.Style = 0
	}

	for _, child := range n.Content {
		BlockStyle(child)
	}
}
