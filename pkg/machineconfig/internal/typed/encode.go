package typed

import (
	"bytes"
	"encoding"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// Encode is the tree of the struct that from points to.
func Encode(from any) *yaml.Node { return encode(reflect.ValueOf(from).Elem()) }

// Text is a tree as YAML text, in the form that the wire's tools write.
func Text(root *yaml.Node) ([]byte, error) {
	var buf bytes.Buffer

	dumper, err := yaml.NewDumper(&buf, yaml.WithV3Defaults(), yaml.WithIndent(4), yaml.WithLineWidth(-1))
	if err != nil {
		return nil, err
	}

	if err := dumper.Dump(root); err != nil {
		return nil, fmt.Errorf("encoding YAML: %w", err)
	}

	if err := dumper.Close(); err != nil {
		return nil, fmt.Errorf("encoding YAML: %w", err)
	}

	return buf.Bytes(), nil
}

// String is a node of a string.
func String(s string) *yaml.Node {
	var n yaml.Node

	n.SetString(s)

	// What would be read as something else must be quoted.
	if n.Style == 0 && resolvesElsewhere(s) {
		n.Style = yaml.DoubleQuotedStyle
	}

	if strings.ContainsAny(s, "\n") && !strings.ContainsAny(s, "\r\t") && strings.TrimSpace(s) != "" {
		n.Style = yaml.LiteralStyle
	}

	return &n
}

// resolvesElsewhere reports whether a plain scalar is not read as a string.
func resolvesElsewhere(s string) bool {
	plain := yaml.Node{Kind: yaml.ScalarNode, Value: s}

	if plain.ShortTag() != "!!str" {
		return true
	}

	switch strings.ToLower(s) {
	case "y", "n", "yes", "no", "on", "off": // booleans to readers of YAML 1.1
		return true
	default:
		return false
	}
}

func scalarNode(tag, value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value}
}

func encode(v reflect.Value) *yaml.Node {
	t := v.Type()

	switch {
	case t.Kind() == reflect.Pointer:
		if v.IsNil() {
			return scalarNode("!!null", "null")
		}

		return encode(v.Elem())
	case t.Implements(textMarshaler) && t.Kind() != reflect.Interface:
		text, err := v.Interface().(encoding.TextMarshaler).MarshalText()
		if err != nil {
			panic(fmt.Sprintf("typed: encoding %s: %v", t, err)) // our own types do not fail
		}

		if t.Name() == "PortRange" && !bytes.ContainsRune(text, '-') {
			return scalarNode("!!int", string(text))
		}

		return String(string(text))
	case t.Kind() == reflect.Struct:
		return encodeStruct(v)
	case t.Kind() == reflect.Map:
		return encodeMap(v)
	case t.Kind() == reflect.Slice:
		if t.Name() == "Arg" && v.Len() == 1 {
			return encode(v.Index(0))
		}

		n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for i := range v.Len() {
			n.Content = append(n.Content, encode(v.Index(i)))
		}

		if v.Len() == 0 {
			n.Style = yaml.FlowStyle
		}

		return n
	case t.Kind() == reflect.Interface:
		if v.IsNil() {
			return scalarNode("!!null", "null")
		}

		return encode(v.Elem())
	default:
		return encodeScalar(v)
	}
}

func encodeStruct(v reflect.Value) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}

	for _, f := range fieldsOf(v.Type()) {
		value := v.FieldByIndex(f.index)

		if f.omitEmpty && isEmpty(value) || value.Kind() == reflect.Pointer && value.IsNil() {
			continue
		}

		n.Content = append(n.Content, String(f.name), encode(value))
	}

	return n
}

// isEmpty is emptiness as omitempty means it.
func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Map, reflect.Slice:
		return v.Len() == 0
	default:
		return v.IsZero()
	}
}

func encodeMap(v reflect.Value) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}

	byName := make(map[string]reflect.Value, v.Len())
	for iter := v.MapRange(); iter.Next(); {
		byName[iter.Key().String()] = iter.Value()
	}

	for _, name := range slices.Sorted(maps.Keys(byName)) {
		n.Content = append(n.Content, String(name), encode(byName[name]))
	}

	return n
}

func encodeScalar(v reflect.Value) *yaml.Node {
	switch {
	case v.Type() == reflect.TypeFor[time.Duration]():
		return String(time.Duration(v.Int()).String())
	case v.Kind() == reflect.String:
		return String(v.String())
	case v.Kind() == reflect.Bool:
		return scalarNode("!!bool", strconv.FormatBool(v.Bool()))
	case v.CanInt():
		return scalarNode("!!int", strconv.FormatInt(v.Int(), 10))
	case v.CanUint() && v.Type().Name() == "FileMode":
		return scalarNode("!!int", fmt.Sprintf("0o%o", v.Uint()))
	case v.CanUint():
		return scalarNode("!!int", strconv.FormatUint(v.Uint(), 10))
	default: // numbers with a fraction, within free-form content
		n := new(yaml.Node)
		if err := n.Encode(v.Interface()); err != nil {
			panic(fmt.Sprintf("typed: encoding %s: %v", v.Type(), err))
		}

		return n
	}
}
