package codec_test

import (
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/basalt-os/basalt/internal/resource/codec"
)

type colour uint8

func (c colour) MarshalText() ([]byte, error) { return []byte{'c', '0' + byte(c)}, nil }

type inner struct {
	Text string  `yaml:"text,omitempty" protobuf:"1"`
	Self *inner  `yaml:"self,omitempty" protobuf:"2"`
	Many []inner `yaml:"many,omitempty" protobuf:"3"`
}

type outer struct {
	Flag     bool              `yaml:"flag" protobuf:"1"`
	Number   int               `yaml:"number" protobuf:"2"`
	Small    uint8             `yaml:"small,omitempty" protobuf:"3"`
	Ratio    float64           `yaml:"ratio" protobuf:"4"`
	Text     string            `yaml:"text" protobuf:"5"`
	Raw      string            `yaml:"raw,omitempty" protobuf:"6,bytes"`
	Bytes    []byte            `yaml:"bytes,omitempty" protobuf:"7"`
	Colours  []colour          `yaml:"colours,omitempty" protobuf:"8"`
	Numbers  []int             `yaml:"numbers,omitempty" protobuf:"9"`
	Labels   map[string]string `yaml:"labels,omitempty" protobuf:"10"`
	Inner    inner             `yaml:"inner,omitempty" protobuf:"11"`
	Pointer  *bool             `yaml:"pointer,omitempty" protobuf:"12"`
	Addr     netip.Addr        `yaml:"addr" protobuf:"13"`
	Prefix   netip.Prefix      `yaml:"prefix" protobuf:"14"`
	Endpoint netip.AddrPort    `yaml:"endpoint" protobuf:"15"`
	Wait     time.Duration     `yaml:"wait" protobuf:"16"`
	At       time.Time         `yaml:"at,omitempty" protobuf:"17"`
	URL      *url.URL          `yaml:"-" protobuf:"18"`
	Object   map[string]any    `yaml:"object,omitempty" protobuf:"19"`
	Local    string            `yaml:"local,omitempty"`
}

func newCodec(t testing.TB, spec any) *codec.Codec {
	t.Helper()

	c, err := codec.New(spec)
	if err != nil {
		t.Fatal(err)
	}

	return c
}

func example() outer {
	yes := false

	return outer{
		Flag: true, Number: -5, Small: 200, Ratio: 1.5, Text: "text", Raw: "\xff\xfe", Bytes: []byte{0, 1},
		Colours: []colour{1, 0, 2}, Numbers: []int{0, -1, 1 << 40}, Labels: map[string]string{"b": "2", "a": "1"},
		Inner:    inner{Text: "in", Self: &inner{}, Many: []inner{{}, {Text: "many"}}},
		Pointer:  &yes,
		Addr:     netip.MustParseAddr("fe80::1%eth0"),
		Prefix:   netip.MustParsePrefix("0.0.0.0/0"),
		Endpoint: netip.MustParseAddrPort("[::1]:0"),
		Wait:     -90*time.Minute - time.Nanosecond,
		At:       time.Date(2024, 2, 29, 12, 0, 0, 5, time.UTC),
		URL:      &url.URL{Scheme: "https", Host: "a.example", Path: "/x"},
		Object:   map[string]any{"list": []any{"a", 1.0, nil, true}, "map": map[string]any{}},
	}
}

var exact = cmp.Options{
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
	cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }),
}

func TestWireRoundTrip(t *testing.T) {
	c := newCodec(t, outer{})

	for name, want := range map[string]outer{"zero": {}, "full": example(), "empty object": {Object: map[string]any{}}} {
		t.Run(name, func(t *testing.T) {
			data, err := c.EncodeWire(&want)
			if err != nil {
				t.Fatal(err)
			}

			got := outer{Text: "to be overwritten"}
			if err := c.DecodeWire(data, &got); err != nil {
				t.Fatal(err)
			}

			if diff := cmp.Diff(want, got, exact); diff != "" {
				t.Errorf("spec (-want +got):\n%s", diff)
			}
		})
	}
}

func TestZeroIsNotSent(t *testing.T) {
	data, err := newCodec(t, outer{}).EncodeWire(outer{Numbers: []int{}, Labels: map[string]string{}, Bytes: []byte{}})
	if err != nil {
		t.Fatal(err)
	}

	if len(data) != 0 {
		t.Errorf("bytes = %x, want none", data)
	}
}

func TestFieldsWithoutNumberStayOffTheWire(t *testing.T) {
	data, err := newCodec(t, outer{}).EncodeWire(outer{Local: "here"})
	if err != nil {
		t.Fatal(err)
	}

	if len(data) != 0 {
		t.Errorf("bytes = %x, want none", data)
	}
}

func TestStringsAreMadeValid(t *testing.T) {
	c := newCodec(t, outer{})

	data, err := c.EncodeWire(outer{Text: "a\xffb"})
	if err != nil {
		t.Fatal(err)
	}

	var got outer
	if err := c.DecodeWire(data, &got); err != nil {
		t.Fatal(err)
	}

	if got.Text != "a�b" {
		t.Errorf("text = %q", got.Text)
	}
}

func TestListsAreReadUnpackedToo(t *testing.T) {
	var data []byte
	for _, n := range []uint64{3, 4} {
		data = protowire.AppendTag(data, 9, protowire.VarintType)
		data = protowire.AppendVarint(data, n)
	}

	var got outer
	if err := newCodec(t, got).DecodeWire(data, &got); err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff([]int{3, 4}, got.Numbers); diff != "" {
		t.Errorf("numbers (-want +got):\n%s", diff)
	}
}

func TestDecodeRefuses(t *testing.T) {
	field := func(number protowire.Number, wire protowire.Type, value ...byte) []byte {
		return append(protowire.AppendTag(nil, number, wire), value...)
	}

	tests := map[string]struct {
		data []byte
		want string
	}{
		"cut off":         {field(5, protowire.BytesType, 9, 'a'), "reading field 5"},
		"wire type":       {field(5, protowire.VarintType, 1), "field Text: wire type 0 does not fit"},
		"range":           {field(3, protowire.VarintType, 0xac, 2), "field Small: number 300 does not fit uint8"},
		"address length":  {field(13, protowire.BytesType, 4, 0x0a, 2, 1, 2), "field Addr: decoding address"},
		"prefix length":   {field(14, protowire.BytesType, 8, 0x0a, 4, 1, 2, 3, 4, 0x10, 33), "field Prefix: no such prefix"},
		"port":            {field(15, protowire.BytesType, 4, 0x10, 0x80, 0x80, 4), "field Endpoint: no such port: 65536"},
		"item":            {field(8, protowire.BytesType, 3, 1, 0xac, 2), "field Colours: item 1: number 300"},
		"group":           {field(1, protowire.EndGroupType), "reading"},
		"nested":          {field(11, protowire.BytesType, 2, 0x08, 1), "field Inner: field Text: wire type"},
		"object":          {field(19, protowire.BytesType, 2, 0x0a, 9), "field Object: decoding message"},
		"duration bounds": {field(16, protowire.BytesType, 6, 0x10, 0x80, 0x94, 0xeb, 0xdc, 0x03), "field Wait: decoding duration"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := outer{Text: "kept"}

			err := newCodec(t, got).DecodeWire(test.data, &got)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error = %v, want one with %q", err, test.want)
			}

			if got.Text != "kept" {
				t.Error("the spec has changed")
			}
		})
	}
}

func TestYAMLAndJSON(t *testing.T) {
	c := newCodec(t, outer{})
	spec := example()
	spec.Inner.Self, spec.Raw, spec.Bytes = nil, "", nil

	data, err := c.EncodeYAML(spec)
	if err != nil {
		t.Fatal(err)
	}

	want := `flag: true
number: -5
small: 200
ratio: 1.5
text: text
colours:
    - c1
    - c0
    - c2
numbers:
    - 0
    - -1
    - 1099511627776
labels:
    a: "1"
    b: "2"
inner:
    text: in
    many:
        - {}
        - text: many
pointer: false
addr: fe80::1%eth0
prefix: 0.0.0.0/0
endpoint: '[::1]:0'
wait: -1h30m0.000000001s
at: 2024-02-29T12:00:00.000000005Z
object:
    list:
        - a
        - 1
        - null
        - true
    map: {}
`
	if diff := cmp.Diff(want, string(data)); diff != "" {
		t.Errorf("YAML (-want +got):\n%s", diff)
	}

	data, err = c.EncodeJSON(spec)
	if err != nil {
		t.Fatal(err)
	}

	want = `{"flag":true,"number":-5,"small":200,"ratio":1.5,"text":"text","colours":["c1","c0","c2"],` +
		`"numbers":[0,-1,1099511627776],"labels":{"a":"1","b":"2"},"inner":{"text":"in","many":[{},{"text":"many"}]},` +
		`"pointer":false,"addr":"fe80::1%eth0","prefix":"0.0.0.0/0","endpoint":"[::1]:0","wait":"-1h30m0.000000001s",` +
		`"at":"2024-02-29T12:00:00.000000005Z","object":{"list":["a",1,null,true],"map":{}}}`
	if diff := cmp.Diff(want, string(data)); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
}

func TestDecodeYAML(t *testing.T) {
	c := newCodec(t, outer{})

	var got outer
	if err := c.DecodeYAML([]byte(`{"number": 3, "addr": "10.0.0.1", "wait": "1h0m0s"}`), &got); err != nil {
		t.Fatal(err)
	}

	want := outer{Number: 3, Addr: netip.MustParseAddr("10.0.0.1"), Wait: time.Hour}
	if diff := cmp.Diff(want, got, exact); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}

	if err := c.DecodeYAML([]byte("nosuch: 1\n"), &got); err == nil {
		t.Error("no error for an unknown field")
	}
}

func TestNewRefuses(t *testing.T) {
	tests := map[string]struct {
		spec any
		want string
	}{
		"no struct": {5, "not a struct"},
		"nil":       {nil, "not a struct"},
		"no form": {struct {
			F complex64 `protobuf:"1"`
		}{}, "no wire form"},
		"no number": {struct {
			F int `protobuf:"x"`
		}{}, "no valid field number"},
		"number twice": {struct {
			F int `protobuf:"1"`
			G int `protobuf:"1"`
		}{}, "both have number 1"},
		"map key": {struct {
			F map[int]string `protobuf:"1"`
		}{}, "only strings"},
		"option": {struct {
			F int `protobuf:"1,bytes"`
		}{}, "no such option"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := codec.New(test.spec)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error = %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestValuesOfAnotherType(t *testing.T) {
	c := newCodec(t, outer{})

	if _, err := c.EncodeWire(inner{}); err == nil {
		t.Error("encoded another type")
	}

	if err := c.DecodeWire(nil, outer{}); err == nil {
		t.Error("decoded into a value")
	}

	if err := c.DecodeYAML(nil, &inner{}); err == nil {
		t.Error("decoded into another type")
	}
}

// FuzzDecodeWire checks that whatever decodes also encodes, and then decodes
// to the same bytes.
func FuzzDecodeWire(f *testing.F) {
	c := newCodec(f, outer{})

	seed, err := c.EncodeWire(example())
	if err != nil {
		f.Fatal(err)
	}

	f.Add(seed)
	f.Add([]byte{})

	f.Fuzz(func(t *testing.T, data []byte) {
		var first, second outer
		if c.DecodeWire(data, &first) != nil {
			return
		}

		encoded, err := c.EncodeWire(first)
		if err != nil {
			t.Fatalf("encoding what was decoded: %v", err)
		}

		if err := c.DecodeWire(encoded, &second); err != nil {
			t.Fatalf("decoding what was encoded: %v", err)
		}

		again, err := c.EncodeWire(second)
		if err != nil {
			t.Fatal(err)
		}

		if string(again) != string(encoded) {
			t.Errorf("second encoding differs:\n%x\n%x", encoded, again)
		}
	})
}

func FuzzDecodeYAML(f *testing.F) {
	c := newCodec(f, outer{})

	f.Add([]byte("flag: true\nlabels: {a: b}\nwait: 3s\n"))

	f.Fuzz(func(t *testing.T, data []byte) {
		var spec outer
		if c.DecodeYAML(data, &spec) != nil {
			return
		}

		if _, err := c.EncodeJSON(spec); err != nil {
			t.Errorf("encoding what was decoded: %v", err)
		}
	})
}

func BenchmarkWire(b *testing.B) {
	c := newCodec(b, outer{})
	spec := example()

	b.ReportAllocs()

	for b.Loop() {
		data, err := c.EncodeWire(&spec)
		if err != nil {
			b.Fatal(err)
		}

		var got outer
		if err := c.DecodeWire(data, &got); err != nil {
			b.Fatal(err)
		}
	}
}
