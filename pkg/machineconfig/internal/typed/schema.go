package typed

import (
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Schema collects JSON schemas of types.
type Schema struct {
	// Defs are the schemas of all struct types by the name of the type.
	Defs map[string]any
}

// Patterns of values that are written as a string.
const (
	patternDuration = `^[-+]?(((\d+(\.\d*)?|\d*(\.\d+)+)([nuµm]?s|m|h))|0)+$`
	patternAddr     = `^[0-9a-f.:]+$`
	patternPrefix   = `^[0-9a-f.:]+/\d{1,3}$`
	patternAddrPort = `^([0-9a-f.:]+|\[[0-9a-f:.]+\]):\d{1,5}$`
	patternHardware = `^[0-9a-f:]+$`
)

// Add puts a document type into the definitions. A kind that is not empty
// becomes a required field, with the version.
func (s *Schema) Add(t reflect.Type, kind, version string) (ref map[string]any) {
	ref = s.structure(t)
	if kind == "" {
		return ref
	}

	def := s.Defs[t.Name()].(map[string]any)
	properties := def["properties"].(map[string]any)
	properties["apiVersion"] = map[string]any{"enum": []string{version}, "title": "apiVersion"}
	properties["kind"] = map[string]any{"enum": []string{kind}, "title": "kind"}

	required, _ := def["required"].([]string)
	def["required"] = slices.Sorted(slices.Values(append(required, "apiVersion", "kind")))

	return ref
}

// structure defines a struct type and refers to it.
func (s *Schema) structure(t reflect.Type) map[string]any {
	ref := map[string]any{"$ref": "#/$defs/" + t.Name()}

	if _, ok := s.Defs[t.Name()]; ok {
		return ref
	}

	properties := make(map[string]any)
	def := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	s.Defs[t.Name()] = def // before the fields: types may refer to themselves

	var required []string

	for _, f := range fieldsOf(t) {
		if f.deprecated != "" {
			continue
		}

		property := maps.Clone(s.of(f.typ, f))
		property["title"] = f.name
		properties[f.name] = property

		if f.required {
			required = append(required, f.name)
		}
	}

	if len(required) > 0 {
		def["required"] = slices.Sorted(slices.Values(required))
	}

	return ref
}

// of is the schema of a type within a field.
func (s *Schema) of(t reflect.Type, f field) map[string]any {
	switch {
	case t.Kind() == reflect.Pointer:
		return s.of(t.Elem(), f)
	case t.Name() == "Args":
		values := []any{
			map[string]any{"type": "string"},
			map[string]any{"type": "array", "items": map[string]any{"type": "string"}},
		}

		return map[string]any{"type": "object", "additionalProperties": map[string]any{"oneOf": values}}
	case t.Name() == "PortRange":
		return map[string]any{"oneOf": []any{map[string]any{"type": "integer"}, map[string]any{"type": "string"}}}
	case isText(t), t == reflect.TypeFor[time.Duration]():
		return text(t, f)
	case t.Kind() == reflect.Struct:
		return s.structure(t)
	case t.Kind() == reflect.Map && t.Elem().Kind() == reflect.Interface:
		return map[string]any{"type": "object"}
	case t.Kind() == reflect.Map:
		return map[string]any{"type": "object", "patternProperties": map[string]any{".*": s.of(t.Elem(), f)}}
	case t.Kind() == reflect.Slice:
		return map[string]any{"type": "array", "items": s.of(t.Elem(), f)}
	default:
		return scalar(t, f)
	}
}

// text is the schema of a type that is written as a string.
func text(t reflect.Type, f field) map[string]any {
	schema := map[string]any{"type": "string"}

	patterns := map[reflect.Type]string{
		reflect.TypeFor[time.Duration]():  patternDuration,
		reflect.TypeFor[netip.Addr]():     patternAddr,
		reflect.TypeFor[netip.Prefix]():   patternPrefix,
		reflect.TypeFor[netip.AddrPort](): patternAddrPort,
	}

	switch {
	case f.pattern != "":
		schema["pattern"] = f.pattern
	case patterns[t] != "":
		schema["pattern"] = patterns[t]
	case t.Name() == "HardwareAddr":
		schema["pattern"] = patternHardware
	case len(f.schemes) == 1:
		schema["pattern"] = "^" + f.schemes[0] + "://"
	case len(f.schemes) > 1:
		schema["pattern"] = "^(" + strings.Join(f.schemes, "|") + ")://"
	}

	return schema
}

func scalar(t reflect.Type, f field) map[string]any {
	schema := make(map[string]any)

	switch {
	case len(f.enum) > 0:
		schema["enum"] = f.enum
	case t.Kind() == reflect.String:
		schema["type"] = "string"
	case t.Kind() == reflect.Bool:
		schema["type"] = "boolean"
	default:
		schema["type"] = "integer"

		for name, limit := range map[string]string{"minimum": f.min, "maximum": f.max} {
			if n, err := strconv.Atoi(limit); err == nil {
				schema[name] = n
			}
		}
	}

	return schema
}
