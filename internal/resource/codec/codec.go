// Package codec turns resource specs into their wire, YAML and JSON forms and
// back.
//
// A spec is a plain Go struct whose fields carry two tags: yaml is its name in
// YAML and JSON, protobuf its number on the wire. No other description of the
// type exists. The YAML form is what the yaml package makes of the struct. The
// wire form is the protobuf encoding of the message that the field numbers
// describe:
//
//   - bool, integers and enumerations are varints, float64 is a double;
//     in slices they are packed;
//   - string, []byte and types made of them are strings or bytes; the option
//     "bytes" after the number marks a string that need not be UTF-8;
//   - structs are messages, maps with string keys are protobuf maps;
//   - netip.Addr, netip.Prefix and netip.AddrPort are common.NetIP,
//     common.NetIPPrefix and common.NetIPPort, *url.URL is common.URL,
//     time.Duration, time.Time and map[string]any are google.protobuf.Duration,
//     Timestamp and Struct;
//   - a type with MarshalWire and UnmarshalWire is the message it makes;
//   - a pointer is its element, sent whenever it is not nil.
//
// Zero values are not sent, as proto3 has it. Fields without a number stay off
// the wire, and numbers without a field are skipped when read.
package codec

import (
	"bytes"
	"fmt"
	"reflect"

	"go.yaml.in/yaml/v4"
)

// WireMarshaler is a type with a wire form of its own: the bytes of a message.
type WireMarshaler interface {
	MarshalWire() ([]byte, error)
}

// WireUnmarshaler is the counterpart of WireMarshaler.
type WireUnmarshaler interface {
	UnmarshalWire(data []byte) error
}

// Codec encodes and decodes values of one struct type. It is made once per
// type and is safe for concurrent use.
type Codec struct {
	typ     reflect.Type
	plan    *message
	secrets bool
}

// New returns the codec for the type of spec, which is a struct or a pointer to
// one. It is an error when the type has a field that has no wire form.
func New(spec any) (*Codec, error) {
	typ := reflect.TypeOf(spec)
	if typ != nil && typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}

	if typ == nil || typ.Kind() != reflect.Struct {
		return nil, fmt.Errorf("planning codec: %T is not a struct", spec)
	}

	plan, err := (&planner{plans: map[reflect.Type]*message{}}).message(typ)
	if err != nil {
		return nil, fmt.Errorf("planning codec of %s: %w", typ, err)
	}

	return &Codec{typ: typ, plan: plan, secrets: hasSecrets(typ, map[reflect.Type]bool{})}, nil
}

// EncodeWire returns the wire form of spec, a value of the codec's type or a
// pointer to one. Equal specs have equal bytes.
func (c *Codec) EncodeWire(spec any) ([]byte, error) {
	v := reflect.ValueOf(spec)
	for v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}

	if !v.IsValid() || v.Type() != c.typ {
		return nil, fmt.Errorf("encoding %T: want %s", spec, c.typ)
	}

	data, err := c.plan.append(nil, v)
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", c.typ, err)
	}

	return data, nil
}

// DecodeWire sets spec, a pointer to a value of the codec's type, to what
// data says. Fields that data does not have become zero. When there is an
// error, spec is left as it was.
func (c *Codec) DecodeWire(data []byte, spec any) error {
	v, err := c.target(spec)
	if err != nil {
		return err
	}

	fresh := reflect.New(c.typ).Elem()
	if err := c.plan.parse(data, fresh); err != nil {
		return fmt.Errorf("decoding %s: %w", c.typ, err)
	}

	v.Set(fresh)

	return nil
}

// EncodeYAML returns the YAML form of spec.
func (c *Codec) EncodeYAML(spec any) ([]byte, error) {
	node, err := yamlNode(reflect.ValueOf(spec))
	if err != nil {
		return nil, fmt.Errorf("encoding %s as YAML: %w", c.typ, err)
	}

	data, err := yaml.Marshal(node)
	if err != nil {
		return nil, fmt.Errorf("encoding %s as YAML: %w", c.typ, err)
	}

	return data, nil
}

// DecodeYAML sets spec, a pointer to a value of the codec's type, from its
// YAML or JSON form. A field that the type does not have is an error. When
// there is an error, spec is left as it was.
func (c *Codec) DecodeYAML(data []byte, spec any) error {
	v, err := c.target(spec)
	if err != nil {
		return err
	}

	fresh := reflect.New(c.typ)

	if len(bytes.TrimSpace(data)) > 0 {
		if err := yaml.Load(data, fresh.Interface(), yaml.WithKnownFields()); err != nil {
			return fmt.Errorf("decoding %s from YAML: %w", c.typ, err)
		}
	}

	v.Set(fresh.Elem())

	return nil
}

// EncodeJSON returns the JSON form of spec: the same names, order and texts
// as its YAML form.
func (c *Codec) EncodeJSON(spec any) ([]byte, error) {
	node, err := yamlNode(reflect.ValueOf(spec))
	if err != nil {
		return nil, fmt.Errorf("encoding %s as JSON: %w", c.typ, err)
	}

	data, err := appendJSON(nil, node)
	if err != nil {
		return nil, fmt.Errorf("encoding %s as JSON: %w", c.typ, err)
	}

	return data, nil
}

func (c *Codec) target(spec any) (reflect.Value, error) {
	v := reflect.ValueOf(spec)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Type().Elem() != c.typ {
		return reflect.Value{}, fmt.Errorf("decoding into %T: want *%s", spec, c.typ)
	}

	return v.Elem(), nil
}
