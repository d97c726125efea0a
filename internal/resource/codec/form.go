package codec

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

func errWireType(wire protowire.Type) error {
	return fmt.Errorf("wire type %d does not fit", wire)
}

// appendTagged adds v with a tag, zero or not.
func (f *form) appendTagged(b []byte, number protowire.Number, v reflect.Value) ([]byte, error) {
	b = protowire.AppendTag(b, number, f.wire)
	if f.wire != protowire.BytesType {
		return f.appendNumber(b, f.get(v)), nil
	}

	data, err := f.append(nil, v)
	if err != nil {
		return nil, err
	}

	return protowire.AppendBytes(b, data), nil
}

func (f *form) appendNumber(b []byte, n uint64) []byte {
	if f.wire == protowire.Fixed64Type {
		return protowire.AppendFixed64(b, n)
	}

	return protowire.AppendVarint(b, n)
}

// parseTagged reads one value, as eachField hands it over, into v.
func (f *form) parseTagged(wire protowire.Type, value []byte, v reflect.Value) error {
	switch {
	case wire != f.wire:
		return errWireType(wire)
	case wire == protowire.BytesType:
		return f.parse(value, v)
	case wire == protowire.Fixed64Type:
		n, _ := protowire.ConsumeFixed64(value)

		return f.set(v, n)
	default:
		n, _ := protowire.ConsumeVarint(value)

		return f.set(v, n)
	}
}

// numberForm returns the form of a kind of number.
func numberForm(kind reflect.Kind) (form, bool) {
	switch kind {
	case reflect.Bool:
		return form{wire: protowire.VarintType, get: getBool, set: setBool}, true
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return form{wire: protowire.VarintType, get: getInt, set: setInt}, true
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return form{wire: protowire.VarintType, get: getUint, set: setUint}, true
	case reflect.Float64:
		return form{wire: protowire.Fixed64Type, get: getFloat, set: setFloat}, true
	default:
		return form{}, false
	}
}

func getBool(v reflect.Value) uint64  { return protowire.EncodeBool(v.Bool()) }
func getInt(v reflect.Value) uint64   { return uint64(v.Int()) } //nolint:gosec // two's complement, as the wire has it
func getUint(v reflect.Value) uint64  { return v.Uint() }
func getFloat(v reflect.Value) uint64 { return math.Float64bits(v.Float()) }

func setBool(v reflect.Value, n uint64) error {
	v.SetBool(n != 0)

	return nil
}

func setFloat(v reflect.Value, n uint64) error {
	v.SetFloat(math.Float64frombits(n))

	return nil
}

func setInt(v reflect.Value, n uint64) error {
	i := int64(n) //nolint:gosec // two's complement, as the wire has it
	if v.OverflowInt(i) {
		return fmt.Errorf("number %d does not fit %s", i, v.Type())
	}

	v.SetInt(i)

	return nil
}

// setUint accepts numbers that do not fit 32 bits where 32 bits are wanted when
// they are negative ones: that is how large values of an enumeration are sent.
func setUint(v reflect.Value, n uint64) error {
	if v.Kind() == reflect.Uint32 && n >= 1<<63 {
		n &= math.MaxUint32
	}

	if v.OverflowUint(n) {
		return fmt.Errorf("number %d does not fit %s", n, v.Type())
	}

	v.SetUint(n)

	return nil
}

// validText replaces what is not UTF-8, which other implementations refuse in
// strings.
func validText(s string) string {
	return strings.ToValidUTF8(s, string(utf8.RuneError))
}

func stringForm() form {
	f := rawStringForm()
	f.append = func(b []byte, v reflect.Value) ([]byte, error) {
		return append(b, validText(v.String())...), nil
	}

	return f
}

func rawStringForm() form {
	return form{
		wire: protowire.BytesType,
		append: func(b []byte, v reflect.Value) ([]byte, error) {
			return append(b, v.String()...), nil
		},
		parse: func(data []byte, v reflect.Value) error {
			v.SetString(string(data))

			return nil
		},
	}
}

func bytesForm() form {
	return form{
		wire: protowire.BytesType,
		append: func(b []byte, v reflect.Value) ([]byte, error) {
			return append(b, v.Bytes()...), nil
		},
		parse: func(data []byte, v reflect.Value) error {
			v.SetBytes(append([]byte(nil), data...))

			return nil
		},
	}
}

// messageForm makes a form of two functions over a type that is not ours.
func messageForm[T any](appendTo func([]byte, T) ([]byte, error), parse func([]byte, *T) error) form {
	return form{
		wire: protowire.BytesType,
		append: func(b []byte, v reflect.Value) ([]byte, error) {
			value, ok := v.Interface().(T)
			if !ok {
				return nil, errors.New("encoding a value of another type")
			}

			return appendTo(b, value)
		},
		parse: func(data []byte, v reflect.Value) error {
			value, ok := v.Addr().Interface().(*T)
			if !ok {
				return errors.New("decoding into another type")
			}

			return parse(data, value)
		},
	}
}

func customForm() form {
	return form{
		wire: protowire.BytesType,
		append: func(b []byte, v reflect.Value) ([]byte, error) {
			marshaler, ok := v.Interface().(WireMarshaler)
			if !ok {
				return nil, fmt.Errorf("type %s has UnmarshalWire but no MarshalWire", v.Type())
			}

			data, err := marshaler.MarshalWire()

			return append(b, data...), err
		},
		parse: func(data []byte, v reflect.Value) error {
			unmarshaler, ok := v.Addr().Interface().(WireUnmarshaler)
			if !ok {
				return fmt.Errorf("type %s has no UnmarshalWire", v.Type())
			}

			return unmarshaler.UnmarshalWire(data)
		},
	}
}
