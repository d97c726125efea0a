package codec

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// form is the wire form of a type: a number or a run of bytes.
//
// Numbers (varint, fixed64) have get and set. Bytes have append, which adds the
// bytes without their length, and parse, which reads all of data into v; parse
// of a message adds to what is in v.
type form struct {
	wire protowire.Type

	get func(v reflect.Value) uint64
	set func(v reflect.Value, n uint64) error

	append func(b []byte, v reflect.Value) ([]byte, error)
	parse  func(data []byte, v reflect.Value) error
}

// planner makes the forms of all types that a spec refers to.
type planner struct {
	plans map[reflect.Type]*message
}

// message returns the plan of a struct type.
func (p *planner) message(typ reflect.Type) (*message, error) {
	if m, ok := p.plans[typ]; ok {
		return m, nil
	}

	m := &message{}
	p.plans[typ] = m

	for i := range typ.NumField() {
		structField := typ.Field(i)

		tag, ok := structField.Tag.Lookup("protobuf")
		if !ok {
			continue
		}

		f, err := p.field(structField.Type, tag)
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", structField.Name, err)
		}

		f.index, f.name = i, structField.Name
		m.fields = append(m.fields, f)
	}

	slices.SortFunc(m.fields, func(a, b field) int { return int(a.number) - int(b.number) })

	m.byNumber = make(map[protowire.Number]*field, len(m.fields))

	for i := range m.fields {
		f := &m.fields[i]
		if other, ok := m.byNumber[f.number]; ok {
			return nil, fmt.Errorf("fields %s and %s: both have number %d", other.name, f.name, f.number)
		}

		m.byNumber[f.number] = f
	}

	return m, nil
}

func (p *planner) field(typ reflect.Type, tag string) (field, error) {
	number, option, _ := strings.Cut(tag, ",")

	n, err := strconv.ParseInt(number, 10, 32)
	if err != nil || !protowire.Number(n).IsValid() {
		return field{}, fmt.Errorf("tag %q: no valid field number", tag)
	}

	f := field{number: protowire.Number(n)}

	switch {
	case option == "bytes" && typ.Kind() == reflect.String:
		f.form = rawStringForm()

		return f, nil
	case option != "":
		return field{}, fmt.Errorf("tag %q: no such option for %s", tag, typ)
	case typ.Kind() == reflect.Slice && typ.Elem().Kind() != reflect.Uint8:
		f.kind, f.elem = repeatedField, typ.Elem()
	case isByteSizedList(typ):
		f.kind, f.elem = repeatedField, typ.Elem()
	case typ.Kind() == reflect.Map && typ.Elem().Kind() != reflect.Interface:
		if typ.Key().Kind() != reflect.String {
			return field{}, fmt.Errorf("map key %s: only strings are supported", typ.Key())
		}

		f.kind, f.elem = mapField, typ.Elem()
	case typ.Kind() == reflect.Pointer:
		f.kind, f.elem = pointerField, typ
	default:
		f.elem = typ
	}

	f.form, err = p.form(f.elem)

	return f, err
}

// isByteSizedList says whether typ is a list of an enumeration of one byte
// rather than a run of bytes.
func isByteSizedList(typ reflect.Type) bool {
	return typ.Kind() == reflect.Slice && typ.Elem().Kind() == reflect.Uint8 && typ.Elem() != reflect.TypeFor[byte]()
}

var errNoForm = errors.New("no wire form")

// form returns the wire form of one value of typ.
func (p *planner) form(typ reflect.Type) (form, error) {
	if reflect.PointerTo(typ).Implements(reflect.TypeFor[WireUnmarshaler]()) {
		return customForm(), nil
	}

	switch typ {
	case reflect.TypeFor[netip.Addr]():
		return messageForm(appendAddr, parseAddr), nil
	case reflect.TypeFor[netip.Prefix]():
		return messageForm(appendPrefix, parsePrefix), nil
	case reflect.TypeFor[netip.AddrPort]():
		return messageForm(appendAddrPort, parseAddrPort), nil
	case reflect.TypeFor[time.Duration]():
		return messageForm(appendDuration, parseDuration), nil
	case reflect.TypeFor[time.Time]():
		return messageForm(appendTime, parseTime), nil
	case reflect.TypeFor[url.URL]():
		return messageForm(appendURL, parseURL), nil
	case reflect.TypeFor[map[string]any]():
		return messageForm(appendObjectMessage, parseObjectMessage), nil
	}

	switch typ.Kind() {
	case reflect.Pointer:
		return p.pointerForm(typ)
	case reflect.Struct:
		m, err := p.message(typ)
		if err != nil {
			return form{}, err
		}

		return form{wire: protowire.BytesType, append: m.append, parse: m.parse}, nil
	case reflect.String:
		return stringForm(), nil
	case reflect.Slice:
		if typ.Elem() == reflect.TypeFor[byte]() {
			return bytesForm(), nil
		}
	}

	if f, ok := numberForm(typ.Kind()); ok {
		return f, nil
	}

	return form{}, fmt.Errorf("type %s: %w", typ, errNoForm)
}

// pointerForm is the form of what a pointer points to. A nil pointer, which can
// only be an element of a list or map here, is the zero value.
func (p *planner) pointerForm(typ reflect.Type) (form, error) {
	f, err := p.form(typ.Elem())
	if err != nil {
		return form{}, err
	}

	read := func(v reflect.Value) reflect.Value {
		if v.IsNil() {
			return reflect.Zero(typ.Elem())
		}

		return v.Elem()
	}
	write := func(v reflect.Value) reflect.Value {
		if v.IsNil() {
			v.Set(reflect.New(typ.Elem()))
		}

		return v.Elem()
	}

	pointer := form{wire: f.wire}

	if f.wire == protowire.BytesType {
		pointer.append = func(b []byte, v reflect.Value) ([]byte, error) { return f.append(b, read(v)) }
		pointer.parse = func(data []byte, v reflect.Value) error { return f.parse(data, write(v)) }
	} else {
		pointer.get = func(v reflect.Value) uint64 { return f.get(read(v)) }
		pointer.set = func(v reflect.Value, n uint64) error { return f.set(write(v), n) }
	}

	return pointer, nil
}
