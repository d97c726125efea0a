package codec

import (
	"fmt"
	"reflect"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// fieldKind is how often a field occurs.
type fieldKind uint8

const (
	// singleField is sent unless it is zero.
	singleField fieldKind = iota
	// pointerField is sent unless it is nil.
	pointerField
	repeatedField
	mapField
)

// field is one field of a struct with a number.
type field struct {
	name   string
	index  int
	number protowire.Number
	kind   fieldKind
	elem   reflect.Type
	form   form
}

// message is the plan of a struct type.
type message struct {
	fields   []field // by number
	byNumber map[protowire.Number]*field
}

func (m *message) append(b []byte, v reflect.Value) ([]byte, error) {
	for i := range m.fields {
		f := &m.fields[i]

		var err error
		if b, err = f.append(b, v.Field(f.index)); err != nil {
			return nil, fmt.Errorf("field %s: %w", f.name, err)
		}
	}

	return b, nil
}

func (m *message) parse(data []byte, v reflect.Value) error {
	return eachField(data, func(number protowire.Number, wire protowire.Type, value []byte) error {
		f, ok := m.byNumber[number]
		if !ok {
			return nil
		}

		if err := f.parse(wire, value, v.Field(f.index)); err != nil {
			return fmt.Errorf("field %s: %w", f.name, err)
		}

		return nil
	})
}

// eachField calls f for every field of a message. For fields of bytes, value is
// the bytes without their length; for all others it is as sent.
func eachField(data []byte, f func(protowire.Number, protowire.Type, []byte) error) error {
	for len(data) > 0 {
		number, wire, n := protowire.ConsumeTag(data)
		if n < 0 {
			return fmt.Errorf("reading tag: %w", protowire.ParseError(n))
		}

		data = data[n:]

		n = protowire.ConsumeFieldValue(number, wire, data)
		if n < 0 {
			return fmt.Errorf("reading field %d: %w", number, protowire.ParseError(n))
		}

		value := data[:n]
		data = data[n:]

		if wire == protowire.BytesType {
			value, _ = protowire.ConsumeBytes(value)
		}

		if err := f(number, wire, value); err != nil {
			return err
		}
	}

	return nil
}

// append adds the field with its tag.
func (f *field) append(b []byte, v reflect.Value) ([]byte, error) {
	switch f.kind {
	case pointerField:
		if v.IsNil() {
			return b, nil
		}

		return f.form.appendTagged(b, f.number, v)
	case repeatedField:
		return f.appendList(b, v)
	case mapField:
		return f.appendMap(b, v)
	case singleField:
		if f.form.wire != protowire.BytesType {
			if f.form.get(v) == 0 {
				return b, nil
			}

			return f.form.appendTagged(b, f.number, v)
		}

		if v.IsZero() {
			return b, nil
		}
	}

	tagged, err := f.form.appendTagged(b, f.number, v)
	if err != nil {
		return nil, err
	}

	// An empty map is an empty message, which differs from none; all else that
	// is empty is not sent.
	empty := len(tagged) == len(b)+protowire.SizeTag(f.number)+1 && tagged[len(tagged)-1] == 0
	if empty && v.Kind() != reflect.Map {
		return b, nil
	}

	return tagged, nil
}

func (f *field) appendList(b []byte, v reflect.Value) ([]byte, error) {
	if f.form.wire == protowire.BytesType {
		for i := range v.Len() {
			var err error
			if b, err = f.form.appendTagged(b, f.number, v.Index(i)); err != nil {
				return nil, fmt.Errorf("item %d: %w", i, err)
			}
		}

		return b, nil
	}

	if v.Len() == 0 {
		return b, nil
	}

	var packed []byte
	for i := range v.Len() {
		packed = f.form.appendNumber(packed, f.form.get(v.Index(i)))
	}

	b = protowire.AppendTag(b, f.number, protowire.BytesType)

	return protowire.AppendBytes(b, packed), nil
}

func (f *field) appendMap(b []byte, v reflect.Value) ([]byte, error) {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int {
		switch {
		case a.String() < b.String():
			return -1
		case a.String() > b.String():
			return 1
		default:
			return 0
		}
	})

	for _, key := range keys {
		entry := protowire.AppendTag(nil, 1, protowire.BytesType)
		entry = protowire.AppendString(entry, validText(key.String()))

		entry, err := f.form.appendTagged(entry, 2, v.MapIndex(key))
		if err != nil {
			return nil, fmt.Errorf("entry %q: %w", key.String(), err)
		}

		b = protowire.AppendTag(b, f.number, protowire.BytesType)
		b = protowire.AppendBytes(b, entry)
	}

	return b, nil
}

// parse reads one occurrence of the field into v.
func (f *field) parse(wire protowire.Type, value []byte, v reflect.Value) error {
	switch f.kind {
	case repeatedField:
		return f.parseItem(wire, value, v)
	case mapField:
		return f.parseEntry(wire, value, v)
	case singleField, pointerField:
	}

	return f.form.parseTagged(wire, value, v)
}

func (f *field) parseItem(wire protowire.Type, value []byte, v reflect.Value) error {
	if wire != protowire.BytesType || f.form.wire == protowire.BytesType {
		return f.parseOneItem(wire, value, v)
	}

	for len(value) > 0 {
		n := protowire.ConsumeFieldValue(f.number, f.form.wire, value)
		if n < 0 {
			return fmt.Errorf("reading packed item: %w", protowire.ParseError(n))
		}

		if err := f.parseOneItem(f.form.wire, value[:n], v); err != nil {
			return err
		}

		value = value[n:]
	}

	return nil
}

func (f *field) parseOneItem(wire protowire.Type, value []byte, v reflect.Value) error {
	item := reflect.New(f.elem).Elem()
	if err := f.form.parseTagged(wire, value, item); err != nil {
		return fmt.Errorf("item %d: %w", v.Len(), err)
	}

	v.Set(reflect.Append(v, item))

	return nil
}

func (f *field) parseEntry(wire protowire.Type, value []byte, v reflect.Value) error {
	if wire != protowire.BytesType {
		return errWireType(wire)
	}

	var key string

	item := reflect.New(f.elem).Elem()
	if f.elem.Kind() == reflect.Pointer {
		item.Set(reflect.New(f.elem.Elem()))
	}

	err := eachField(value, func(number protowire.Number, wire protowire.Type, value []byte) error {
		switch {
		case number == 1 && wire == protowire.BytesType:
			key = string(value)

			return nil
		case number == 2: //nolint:mnd // the value of a map entry
			return f.form.parseTagged(wire, value, item)
		default:
			return nil
		}
	})
	if err != nil {
		return fmt.Errorf("entry %q: %w", key, err)
	}

	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}

	v.SetMapIndex(reflect.ValueOf(key).Convert(v.Type().Key()), item)

	return nil
}
