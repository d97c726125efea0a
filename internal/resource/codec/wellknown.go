package codec

import (
	"fmt"
	"net/netip"
	"net/url"
	"reflect"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// addressMessage is common.NetIP, and with a number common.NetIPPrefix (the
// length) and common.NetIPPort (the port).
type addressMessage struct {
	addr   netip.Addr
	number int64
}

func (m addressMessage) append(b []byte) ([]byte, error) {
	addr, err := m.addr.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("encoding address: %w", err)
	}

	if len(addr) > 0 {
		b = protowire.AppendTag(b, 1, protowire.BytesType)
		b = protowire.AppendBytes(b, addr)
	}

	if m.number != 0 {
		b = protowire.AppendTag(b, 2, protowire.VarintType) //nolint:mnd // the field's number
		b = protowire.AppendVarint(b, uint64(m.number))     //nolint:gosec // never negative
	}

	return b, nil
}

func (m *addressMessage) parse(data []byte) error {
	return eachField(data, func(number protowire.Number, wire protowire.Type, value []byte) error {
		switch {
		case number == 1 && wire == protowire.BytesType:
			if err := m.addr.UnmarshalBinary(value); err != nil {
				return fmt.Errorf("decoding address: %w", err)
			}
		case number == 2 && wire == protowire.VarintType: //nolint:mnd // the field's number
			n, _ := protowire.ConsumeVarint(value)
			m.number = int64(n) //nolint:gosec // two's complement, as the wire has it
		}

		return nil
	})
}

func appendAddr(b []byte, addr netip.Addr) ([]byte, error) {
	return addressMessage{addr: addr}.append(b)
}

func parseAddr(data []byte, addr *netip.Addr) error {
	var m addressMessage

	err := m.parse(data)
	*addr = m.addr

	return err
}

func appendPrefix(b []byte, prefix netip.Prefix) ([]byte, error) {
	if !prefix.IsValid() {
		return b, nil
	}

	return addressMessage{addr: prefix.Addr(), number: int64(prefix.Bits())}.append(b)
}

func parsePrefix(data []byte, prefix *netip.Prefix) error {
	var m addressMessage
	if err := m.parse(data); err != nil {
		return err
	}

	if !m.addr.IsValid() {
		*prefix = netip.Prefix{}

		return nil
	}

	if m.number < 0 || m.number > int64(m.addr.BitLen()) || m.addr.Zone() != "" {
		return fmt.Errorf("no such prefix: %s/%d", m.addr, m.number)
	}

	*prefix = netip.PrefixFrom(m.addr, int(m.number))

	return nil
}

func appendAddrPort(b []byte, endpoint netip.AddrPort) ([]byte, error) {
	return addressMessage{addr: endpoint.Addr(), number: int64(endpoint.Port())}.append(b)
}

func parseAddrPort(data []byte, endpoint *netip.AddrPort) error {
	var m addressMessage
	if err := m.parse(data); err != nil {
		return err
	}

	port := uint16(m.number) //nolint:gosec // checked below
	if int64(port) != m.number {
		return fmt.Errorf("no such port: %d", m.number)
	}

	*endpoint = netip.AddrPortFrom(m.addr, port)

	return nil
}

func appendDuration(b []byte, d time.Duration) ([]byte, error) {
	return appendProto(b, durationpb.New(d))
}

func parseDuration(data []byte, d *time.Duration) error {
	var m durationpb.Duration
	if err := parseProto(data, &m); err != nil {
		return err
	}

	if err := m.CheckValid(); err != nil {
		return fmt.Errorf("decoding duration: %w", err)
	}

	*d = m.AsDuration()

	return nil
}

func appendTime(b []byte, t time.Time) ([]byte, error) {
	if t.IsZero() {
		return b, nil
	}

	return appendProto(b, timestamppb.New(t))
}

func parseTime(data []byte, t *time.Time) error {
	if len(data) == 0 {
		*t = time.Time{}

		return nil
	}

	var m timestamppb.Timestamp
	if err := parseProto(data, &m); err != nil {
		return err
	}

	if err := m.CheckValid(); err != nil {
		return fmt.Errorf("decoding time: %w", err)
	}

	*t = m.AsTime()

	return nil
}

func appendURL(b []byte, u url.URL) ([]byte, error) {
	text := u.String()
	if text == "" {
		return b, nil
	}

	b = protowire.AppendTag(b, 1, protowire.BytesType)

	return protowire.AppendString(b, validText(text)), nil
}

func parseURL(data []byte, u *url.URL) error {
	return eachField(data, func(number protowire.Number, wire protowire.Type, value []byte) error {
		if number != 1 || wire != protowire.BytesType {
			return nil
		}

		parsed, err := url.Parse(string(value))
		if err != nil {
			// The error of url.Parse quotes the text, which may hold a password.
			return fmt.Errorf("decoding URL of %d bytes: malformed", len(value))
		}

		*u = *parsed

		return nil
	})
}

func appendObjectMessage(b []byte, object map[string]any) ([]byte, error) {
	value, err := objectValue(reflect.ValueOf(object))
	if err != nil {
		return nil, err
	}

	return appendProto(b, value.GetStructValue())
}

func parseObjectMessage(data []byte, object *map[string]any) error {
	var m structpb.Struct
	if err := parseProto(data, &m); err != nil {
		return err
	}

	*object = m.AsMap()

	return nil
}

// objectValue converts what YAML and JSON decoders produce, and typed maps and
// lists of it, to a protobuf value.
func objectValue(v reflect.Value) (*structpb.Value, error) {
	for v.IsValid() && (v.Kind() == reflect.Interface || v.Kind() == reflect.Pointer) {
		v = v.Elem()
	}

	if !v.IsValid() {
		return structpb.NewNullValue(), nil
	}

	switch v.Kind() {
	case reflect.Bool:
		return structpb.NewBoolValue(v.Bool()), nil
	case reflect.String:
		return structpb.NewStringValue(validText(v.String())), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return structpb.NewNumberValue(float64(v.Int())), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return structpb.NewNumberValue(float64(v.Uint())), nil
	case reflect.Float32, reflect.Float64:
		return structpb.NewNumberValue(v.Float()), nil
	case reflect.Slice, reflect.Array:
		return listValue(v)
	case reflect.Map:
		return mapValue(v)
	default:
		return nil, fmt.Errorf("type %s inside an object: %w", v.Type(), errNoForm)
	}
}

func listValue(v reflect.Value) (*structpb.Value, error) {
	list := &structpb.ListValue{Values: make([]*structpb.Value, 0, v.Len())}

	for i := range v.Len() {
		item, err := objectValue(v.Index(i))
		if err != nil {
			return nil, err
		}

		list.Values = append(list.Values, item)
	}

	return structpb.NewListValue(list), nil
}

func mapValue(v reflect.Value) (*structpb.Value, error) {
	if v.Type().Key().Kind() != reflect.String {
		return nil, fmt.Errorf("map key %s inside an object: %w", v.Type().Key(), errNoForm)
	}

	fields := make(map[string]*structpb.Value, v.Len())

	for iter := v.MapRange(); iter.Next(); {
		item, err := objectValue(iter.Value())
		if err != nil {
			return nil, err
		}

		fields[validText(iter.Key().String())] = item
	}

	return structpb.NewStructValue(&structpb.Struct{Fields: fields}), nil
}

func appendProto(b []byte, m proto.Message) ([]byte, error) {
	data, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend(b, m)
	if err != nil {
		return nil, fmt.Errorf("encoding message: %w", err)
	}

	return data, nil
}

func parseProto(data []byte, m proto.Message) error {
	if err := proto.Unmarshal(data, m); err != nil {
		return fmt.Errorf("decoding message: %w", err)
	}

	return nil
}
