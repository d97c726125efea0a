package resources_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resource/codec"
	"github.com/basalt-os/basalt/internal/resources"
)

// messageOf returns the published message of each type that has one.
func messageOf(c contract) map[string]protoreflect.FullName {
	messages := map[string]protoreflect.FullName{
		"Namespaces.meta.cosi.dev":          "cosi.resource.meta.NamespaceSpec",
		"ResourceDefinitions.meta.cosi.dev": "cosi.resource.meta.ResourceDefinitionSpec",
	}

	for _, r := range c.Resources {
		if r.Spec.ProtoMessage != "" {
			messages[r.Type] = protoreflect.FullName(r.Spec.ProtoMessage)
		}
	}

	return messages
}

// TestSpecsOnTheWire fills every spec with random values and checks, against
// messages that the protobuf runtime makes from the contract, that the bytes
// say field by field the same, in both directions.
func TestSpecsOnTheWire(t *testing.T) {
	files := readMessages(t)
	messages := messageOf(readContract(t))

	if len(messages) < 190 {
		t.Errorf("only %d types have a message", len(messages))
	}

	for _, entry := range newTable(t).Entries() {
		name, ok := messages[entry.Definition.Type]
		if !ok {
			continue
		}

		t.Run(entry.Definition.Type, func(t *testing.T) {
			descriptor, err := files.FindDescriptorByName(name)
			if err != nil {
				t.Fatal(err)
			}

			message := descriptor.(protoreflect.MessageDescriptor)
			typ := specType(entry)

			compareNumbers(t, typ, message, map[reflect.Type]bool{})

			random := filler{rand.New(rand.NewPCG(7, 11))}

			checkWire(t, entry, reflect.New(typ).Elem(), message)

			for range 20 {
				spec := reflect.New(typ).Elem()
				random.fill(spec)
				checkWire(t, entry, spec, message)
			}
		})
	}
}

func checkWire(t *testing.T, entry *resources.Entry, spec reflect.Value, descriptor protoreflect.MessageDescriptor) {
	t.Helper()

	data, err := entry.Codec.EncodeWire(spec.Interface())
	if err != nil {
		t.Fatal(err)
	}

	got := dynamicpb.NewMessage(descriptor)
	if err := proto.Unmarshal(data, got); err != nil {
		t.Fatalf("the runtime refuses our bytes: %v", err)
	}

	want := dynamicpb.NewMessage(descriptor)
	fillMessage(t, want, spec)

	if diff := cmp.Diff(proto.Message(want), proto.Message(got), protocmp.Transform()); diff != "" {
		t.Fatalf("message (-spec +wire):\n%s", diff)
	}

	// The runtime writes fields in an order of its own; unknown fields are
	// there as a newer peer would send them.
	data, err = proto.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}

	data = append(data, 0xfa, 0xff, 0x07, 0x01, 'x')

	decoded := entry.New(resource.Metadata{}).SpecValue()
	if err := entry.Codec.DecodeWire(data, decoded); err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(spec.Interface(), reflect.ValueOf(decoded).Elem().Interface(), compareValues); diff != "" {
		t.Fatalf("spec (-sent +decoded):\n%s", diff)
	}
}

// compareNumbers checks that the struct has all field numbers of the message
// and no other.
func compareNumbers(t *testing.T, typ reflect.Type, message protoreflect.MessageDescriptor, seen map[reflect.Type]bool) {
	t.Helper()

	if seen[typ] {
		return
	}

	seen[typ] = true

	var want, got []int
	for i := range message.Fields().Len() {
		want = append(want, int(message.Fields().Get(i).Number()))
	}

	for i := range typ.NumField() {
		number := fieldNumber(typ.Field(i))
		got = append(got, int(number))

		field := message.Fields().ByNumber(number)
		if field == nil {
			continue
		}

		if field.IsMap() {
			field = field.MapValue()
		}

		elem := typ.Field(i).Type
		for elem.Kind() == reflect.Pointer || elem.Kind() == reflect.Slice || elem.Kind() == reflect.Map {
			elem = elem.Elem()
		}

		ours := strings.HasPrefix(elem.PkgPath(), "github.com/basalt-os/")
		if field.Kind() == protoreflect.MessageKind && elem.Kind() == reflect.Struct && ours {
			compareNumbers(t, elem, field.Message(), seen)
		}
	}

	slices.Sort(want)
	slices.Sort(got)

	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("field numbers of %s (-contract +ours):\n%s", typ, diff)
	}
}

func fieldNumber(field reflect.StructField) protoreflect.FieldNumber {
	tag, _, _ := strings.Cut(field.Tag.Get("protobuf"), ",")
	n, _ := strconv.Atoi(tag)

	return protoreflect.FieldNumber(n)
}

// fillMessage sets the fields of message from those of spec by number. It says
// what the wire form of each type is a second time, independently of the codec.
func fillMessage(t *testing.T, message protoreflect.Message, spec reflect.Value) {
	t.Helper()

	for i := range spec.NumField() {
		number := fieldNumber(spec.Type().Field(i))

		field := message.Descriptor().Fields().ByNumber(number)
		if field == nil {
			t.Fatalf("%s has no field %d", message.Descriptor().FullName(), number)
		}

		value := spec.Field(i)
		if value.IsZero() {
			continue
		}

		switch {
		case field.IsList():
			list := message.Mutable(field).List()
			for j := range value.Len() {
				list.Append(messageValue(t, field, list.NewElement, value.Index(j)))
			}
		case field.IsMap():
			entries := message.Mutable(field).Map()
			for iter := value.MapRange(); iter.Next(); {
				key := protoreflect.ValueOfString(iter.Key().String()).MapKey()
				entries.Set(key, messageValue(t, field.MapValue(), entries.NewValue, iter.Value()))
			}
		default:
			newField := func() protoreflect.Value { return message.NewField(field) }
			message.Set(field, messageValue(t, field, newField, value))
		}
	}
}

func messageValue(t *testing.T, field protoreflect.FieldDescriptor, empty func() protoreflect.Value, v reflect.Value) protoreflect.Value {
	t.Helper()

	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}

	switch field.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(v.Bool())
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(integer(v)))
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(int32(integer(v)))
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(integer(v))
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(uint32(v.Uint()))
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(v.Uint())
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(v.Float())
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(v.String())
	case protoreflect.BytesKind:
		if v.Kind() == reflect.String {
			return protoreflect.ValueOfBytes([]byte(v.String()))
		}

		return protoreflect.ValueOfBytes(v.Bytes())
	case protoreflect.MessageKind:
		value := empty()
		fillKnownMessage(t, value.Message(), v)

		return value
	default:
		t.Fatalf("field %s: unexpected kind %s", field.FullName(), field.Kind())

		return protoreflect.Value{}
	}
}

func integer(v reflect.Value) int64 {
	if v.CanInt() {
		return v.Int()
	}

	return int64(v.Uint())
}

func fillKnownMessage(t *testing.T, message protoreflect.Message, v reflect.Value) {
	t.Helper()

	set := func(name protoreflect.Name, value any) {
		message.Set(message.Descriptor().Fields().ByName(name), protoreflect.ValueOf(value))
	}
	parse := func(data []byte, err error) {
		if err != nil {
			t.Fatal(err)
		}

		if err := proto.Unmarshal(data, message.Interface()); err != nil {
			t.Fatal(err)
		}
	}

	switch value := v.Interface().(type) {
	case netip.Addr:
		set("ip", value.AsSlice())
	case netip.Prefix:
		set("ip", value.Addr().AsSlice())
		set("prefix_length", int32(value.Bits()))
	case netip.AddrPort:
		set("ip", value.Addr().AsSlice())
		set("port", int32(value.Port()))
	case url.URL:
		set("full_path", value.String())
	case time.Duration:
		set("seconds", int64(value/time.Second))
		set("nanos", int32(value%time.Second))
	case time.Time:
		set("seconds", value.Unix())
		set("nanos", int32(value.Nanosecond()))
	case map[string]any:
		object, err := structpb.NewStruct(value)
		if err != nil {
			t.Fatal(err)
		}

		parse(proto.Marshal(object))
	case codec.WireMarshaler:
		parse(value.MarshalWire())
	default:
		fillMessage(t, message, v)
	}
}

// compareValues compares specs; addresses and times have unexported fields.
var compareValues = cmp.Options{
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
	cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }),
	cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) }),
	cmp.Comparer(func(a, b url.URL) bool { return a.String() == b.String() }),
}

// filler fills values at random. Lists, maps and pointers are nil or have
// something in them that is not zero: the wire does not know the difference
// between a nil list and an empty one, nor between zero and absent.
type filler struct{ *rand.Rand }

func (r filler) fill(v reflect.Value) {
	switch v.Interface().(type) {
	case netip.Addr:
		v.Set(reflect.ValueOf(r.addr()))

		return
	case netip.Prefix:
		addr := r.addr()
		v.Set(reflect.ValueOf(netip.PrefixFrom(addr, r.IntN(addr.BitLen()+1))))

		return
	case netip.AddrPort:
		v.Set(reflect.ValueOf(netip.AddrPortFrom(r.addr(), uint16(r.IntN(1<<16)))))

		return
	case time.Duration:
		v.SetInt(r.Int64N(1<<60) - 1<<59)

		return
	case time.Time:
		v.Set(reflect.ValueOf(time.Unix(r.Int64N(1<<33), r.Int64N(1e9)).UTC()))

		return
	case url.URL:
		v.Set(reflect.ValueOf(url.URL{Scheme: "https", Host: fmt.Sprintf("host-%d.example:6443", r.IntN(100)), Path: "/" + r.text()}))

		return
	case map[string]any:
		v.Set(reflect.ValueOf(r.object(2)))

		return
	case codec.WireMarshaler:
		v.SetString([]string{`disk.size > 10u`, `volume.name == "data"`, `!system_disk && disk.transport in ["nvme", "sata"]`}[r.IntN(3)])

		return
	}

	r.fillKind(v)
}

func (r filler) fillKind(v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.String:
		v.SetString(r.text())
	case reflect.Float64:
		v.SetFloat(r.NormFloat64() * 1e6)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(r.Int64N(1<<31) + 1)
	case reflect.Uint, reflect.Uint32, reflect.Uint64:
		v.SetUint(r.Uint64N(1<<31) + 1)
	case reflect.Uint8, reflect.Uint16:
		v.SetUint(r.Uint64N(255) + 1)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		r.fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1+r.IntN(3), 3))

		for i := range v.Len() {
			r.fill(v.Index(i))
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))

		for range 1 + r.IntN(3) {
			item := reflect.New(v.Type().Elem()).Elem()
			r.fill(item)
			v.SetMapIndex(reflect.ValueOf(r.text()), item)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if r.IntN(5) > 0 {
				r.fill(v.Field(i))
			}
		}
	default:
		panic("cannot fill " + v.Type().String())
	}
}

func (r filler) addr() netip.Addr {
	var b [16]byte
	for i := range b {
		b[i] = byte(r.UintN(256))
	}

	if r.IntN(2) == 0 {
		return netip.AddrFrom4([4]byte(b[:4]))
	}

	return netip.AddrFrom16(b)
}

func (r filler) text() string {
	return []string{"a", "grüße", "multi\nline", "true", "0x10", " leading"}[r.IntN(6)] + strconv.Itoa(r.IntN(1000))
}

func (r filler) object(depth int) map[string]any {
	object := map[string]any{
		"text": r.text(), "number": float64(r.IntN(1000)), "flag": true, "nothing": nil,
		"list": []any{r.text(), 1.5, false},
	}
	if depth > 0 {
		object["inner"] = r.object(depth - 1)
	}

	return object
}
