package codec

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// yamlNode returns the YAML form of v. It follows the yaml package, to which it
// leaves all but structs and lists, in everything except what omitempty means:
// an address, whose fields are all unexported, is not always empty.
func yamlNode(v reflect.Value) (*yaml.Node, error) {
	for v.IsValid() && v.Kind() == reflect.Interface {
		v = v.Elem()
	}

	if !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return encodeNode(nil)
	}

	switch value := v.Interface().(type) {
	case *yaml.Node:
		return value, nil
	case yaml.Marshaler:
		inner, err := value.MarshalYAML()
		if err != nil {
			return nil, err //nolint:wrapcheck // ours
		}

		return yamlNode(reflect.ValueOf(inner))
	case encoding.TextMarshaler, time.Duration, []byte:
		return encodeNode(value)
	}

	switch v.Kind() {
	case reflect.Pointer:
		return yamlNode(v.Elem())
	case reflect.Struct:
		if !hasTags(v.Type()) {
			return encodeNode(v.Interface())
		}

		node := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}

		return node, appendYAMLFields(node, v)
	case reflect.Slice:
		node := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}

		for i := range v.Len() {
			item, err := yamlNode(v.Index(i))
			if err != nil {
				return nil, err
			}

			node.Content = append(node.Content, item)
		}

		return node, nil
	case reflect.Map:
		return yamlMapping(v)
	default:
		return encodeNode(v.Interface())
	}
}

// yamlMapping leaves the order of keys to the yaml package.
func yamlMapping(v reflect.Value) (*yaml.Node, error) {
	nodes := make(map[string]*yaml.Node, v.Len())

	for iter := v.MapRange(); iter.Next(); {
		item, err := yamlNode(iter.Value())
		if err != nil {
			return nil, err
		}

		nodes[iter.Key().String()] = item
	}

	return encodeNode(nodes)
}

func appendYAMLFields(node *yaml.Node, v reflect.Value) error {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if !field.IsExported() {
			continue
		}

		options := strings.Split(field.Tag.Get("yaml"), ",")
		name, options := options[0], options[1:]

		if name == "-" || slices.Contains(options, "omitempty") && isEmpty(v.Field(i)) {
			continue
		}

		value, err := yamlNode(v.Field(i))
		if err != nil {
			return fmt.Errorf("field %s: %w", field.Name, err)
		}

		if slices.Contains(options, "inline") {
			node.Content = append(node.Content, value.Content...)

			continue
		}

		if name == "" {
			name = strings.ToLower(field.Name)
		}

		key, err := encodeNode(name)
		if err != nil {
			return err
		}

		node.Content = append(node.Content, key, value)
	}

	return nil
}

// isEmpty says whether omitempty leaves v out.
func isEmpty(v reflect.Value) bool {
	if zeroer, ok := v.Interface().(yaml.IsZeroer); ok && v.Kind() != reflect.Pointer {
		return zeroer.IsZero()
	}

	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	case reflect.Struct:
		if !hasTags(v.Type()) {
			return v.IsZero()
		}

		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() && !isEmpty(v.Field(i)) {
				return false
			}
		}

		return true
	default:
		return v.IsZero()
	}
}

// hasTags says whether a struct type is made for this package rather than one
// of somebody else's.
func hasTags(typ reflect.Type) bool {
	for i := range typ.NumField() {
		if typ.Field(i).Tag.Get("yaml") != "" {
			return true
		}
	}

	return typ.NumField() == 0
}

func encodeNode(value any) (*yaml.Node, error) {
	node := &yaml.Node{}
	if err := node.Encode(value); err != nil {
		return nil, err //nolint:wrapcheck // the caller says of what
	}

	return node, nil
}
