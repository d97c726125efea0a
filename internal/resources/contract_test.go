package resources_test

import (
	"encoding"
	"encoding/json"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources"
)

// The types below are the form of testdata/resources.json, the contract.
type (
	contract struct {
		Builtin    []contractResource        `json:"builtin_meta_types"`
		Resources  []contractResource        `json:"resources"`
		Namespaces []string                  `json:"namespaces"`
		Structs    map[string]contractStruct `json:"structs"`
		Enums      map[string]contractEnum   `json:"enums"`
	}
	contractResource struct {
		Type             string
		ID               string
		DisplayType      string   `json:"display_type"`
		DefaultNamespace string   `json:"default_namespace"`
		Aliases          []string `json:"aliases"`
		AllAliases       []string `json:"all_aliases"`
		DeclaredAliases  []string `json:"declared_aliases"`
		PrintColumns     []struct {
			Name     string `json:"name"`
			JSONPath string `json:"jsonpath"`
		} `json:"print_columns"`
		Sensitivity string         `json:"sensitivity"`
		Registered  *bool          `json:"registered"`
		Spec        contractStruct `json:"spec"`
	}
	contractStruct struct {
		Fields       []contractField `json:"fields"`
		Methods      []string        `json:"methods"`
		ProtoMessage string          `json:"proto_message"`
		Untyped      bool            `json:"untyped"`
	}
	contractField struct {
		Name     string `json:"name"`
		GoType   string `json:"go_type"`
		ElemKind string `json:"elem_kind"`
		ElemType string `json:"elem_type"`
		YAML     string `json:"yaml"`
		Protobuf string `json:"protobuf"`
		Redact   string `json:"redact"`
	}
	contractEnum struct {
		Kind   string `json:"kind"`
		Values []struct {
			String string `json:"string"`
			Value  int64  `json:"value"`
		} `json:"values"`
	}
)

func readContract(t testing.TB) contract {
	t.Helper()

	data, err := os.ReadFile("testdata/resources.json")
	if err != nil {
		t.Fatal(err)
	}

	var c contract
	if err := json.Unmarshal(data, &c); err != nil {
		t.Fatal(err)
	}

	return c
}

func newTable(t testing.TB) *resources.Table {
	t.Helper()

	table, err := resources.NewTable()
	if err != nil {
		t.Fatal(err)
	}

	return table
}

func (r contractResource) entry(t *testing.T, table *resources.Table) *resources.Entry {
	t.Helper()

	entry, ok := table.Get(r.Type)
	if !ok {
		t.Fatalf("the table has no %s", r.Type)
	}

	return entry
}

func specType(entry *resources.Entry) reflect.Type {
	return reflect.TypeOf(entry.New(resource.Metadata{}).SpecValue()).Elem()
}

func TestTableHasExactlyTheTypesOfTheContract(t *testing.T) {
	c := readContract(t)

	var want, got []string
	for _, r := range slices.Concat(c.Builtin, c.Resources) {
		want = append(want, r.Type)
	}

	for _, entry := range newTable(t).Entries() {
		got = append(got, entry.Definition.Type)
	}

	sorted := cmpopts.SortSlices(strings.Compare)
	if diff := cmp.Diff(want, got, sorted); diff != "" {
		t.Errorf("types (-contract +table):\n%s", diff)
	}

	if len(c.Resources) != 198 {
		t.Errorf("the contract has %d types, want 198", len(c.Resources))
	}
}

func TestNamespacesAreThoseOfTheContract(t *testing.T) {
	got := slices.Collect(maps.Keys(resources.Namespaces()))
	if diff := cmp.Diff(readContract(t).Namespaces, got, cmpopts.SortSlices(strings.Compare)); diff != "" {
		t.Errorf("namespaces (-contract +ours):\n%s", diff)
	}
}

func TestDefinitionsMatchTheContract(t *testing.T) {
	c, table := readContract(t), newTable(t)

	for _, r := range slices.Concat(c.Builtin, c.Resources) {
		t.Run(r.Type, func(t *testing.T) {
			entry := r.entry(t, table)

			want := resource.Definition{
				Type:        r.Type,
				Namespace:   r.DefaultNamespace,
				DisplayType: r.DisplayType,
				Aliases:     r.DeclaredAliases,
				Sensitive:   r.Sensitivity == "sensitive",
			}
			for _, column := range r.PrintColumns {
				want.Columns = append(want.Columns, resource.Column{Name: column.Name, JSONPath: column.JSONPath})
			}

			if diff := cmp.Diff(want, entry.Definition, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("definition (-contract +table):\n%s", diff)
			}

			if diff := cmp.Diff(r.Aliases, entry.Aliases, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("aliases (-contract +table):\n%s", diff)
			}

			if diff := cmp.Diff(r.AllAliases, entry.AllAliases, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("all aliases (-contract +table):\n%s", diff)
			}

			if entry.ID != r.ID {
				t.Errorf("ID = %q, want %q", entry.ID, r.ID)
			}

			if served := r.Registered == nil || *r.Registered; entry.Served != served {
				t.Errorf("served = %t, want %t", entry.Served, served)
			}

			if got := entry.ResourceDefinition().Sensitivity.String(); got != r.Sensitivity {
				t.Errorf("sensitivity = %q, want %q", got, r.Sensitivity)
			}
		})
	}
}

// notAsFields are the types whose spec in the contract is not a struct with a
// field list that could be compared, or whose field has no name there because
// a method prints the spec.
var notAsFields = map[string]string{
	"DNSUpstreams.net.talos.dev":             "a handle that never leaves the node; ours has the fields that its columns show",
	"StaticPods.kubernetes.talos.dev":        "prints as the pod",
	"StaticPodStatuses.kubernetes.talos.dev": "prints as the pod's status",
	"MachineConfigs.config.talos.dev":        "untyped: prints as the configuration's text",
	"MachineTypes.config.talos.dev":          "untyped: prints as the type's name",
}

// fieldWalk compares the fields of Go types with those of the contract's, and
// all that they refer to.
type fieldWalk struct {
	contract contract
	structs  map[string]reflect.Type
	enums    map[string]reflect.Type
}

func TestFieldsMatchTheContract(t *testing.T) {
	c, table := readContract(t), newTable(t)
	walk := fieldWalk{contract: c, structs: map[string]reflect.Type{}, enums: map[string]reflect.Type{}}

	for _, r := range c.Resources {
		t.Run(r.Type, func(t *testing.T) {
			typ := specType(r.entry(t, table))

			if _, ok := notAsFields[r.Type]; ok {
				return
			}

			walk.compare(t, typ, r.Spec.Fields)
		})
	}

	for name := range c.Enums {
		if _, ok := walk.enums[name]; !ok {
			t.Errorf("enumeration %s is used by no field", name)
		}
	}
}

func (w *fieldWalk) compare(t *testing.T, typ reflect.Type, fields []contractField) {
	t.Helper()

	type tags struct{ Name, YAML, Protobuf, Redact string }

	var want, got []tags

	for _, f := range fields {
		tag := tags{Name: f.Name, YAML: f.YAML, Protobuf: f.Protobuf, Redact: f.Redact}
		if tag.YAML == "" {
			tag.YAML = strings.ToLower(f.Name) // what the YAML package takes
		}

		want = append(want, tag)
	}

	for i := range typ.NumField() {
		f := typ.Field(i)
		number, _, _ := strings.Cut(f.Tag.Get("protobuf"), ",")
		got = append(got, tags{f.Name, f.Tag.Get("yaml"), number, f.Tag.Get("redact")})
	}

	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("fields of %s (-contract +ours):\n%s", typ, diff)
	}

	for i, f := range fields {
		w.compareElem(t, typ.Field(i), f)
	}
}

func (w *fieldWalk) compareElem(t *testing.T, field reflect.StructField, want contractField) {
	t.Helper()

	typ := field.Type
	for strings.HasPrefix(want.GoType, "[]") || strings.HasPrefix(want.GoType, "*") || strings.HasPrefix(want.GoType, "map[string]") {
		if typ.Kind() != reflect.Slice && typ.Kind() != reflect.Pointer && typ.Kind() != reflect.Map {
			t.Errorf("field %s is a %s, want %s", field.Name, field.Type, want.GoType)

			return
		}

		typ = typ.Elem()
		want.GoType = want.GoType[strings.IndexAny(want.GoType, "]*")+1:]
	}

	if want.ElemKind == "struct" && typ.Kind() == reflect.Slice {
		typ = typ.Elem() // a named list
	}

	if want.ElemType == "" {
		w.compareBasic(t, field, typ, want)

		return
	}

	if enum, ok := w.contract.Enums[want.ElemType]; ok {
		if seen, ok := w.enums[want.ElemType]; ok && seen != typ {
			t.Errorf("field %s has the enumeration %s, others have %s", field.Name, typ, seen)
		}

		w.enums[want.ElemType] = typ
		compareEnum(t, typ, enum)

		return
	}

	if s, ok := w.contract.Structs[want.ElemType]; ok && len(s.Fields) > 0 && typ.PkgPath() != "github.com/basalt-os/basalt/internal/resources/pki" {
		if seen, ok := w.structs[want.ElemType]; ok {
			if seen != typ {
				t.Errorf("field %s has the struct %s, others have %s", field.Name, typ, seen)
			}

			return
		}

		w.structs[want.ElemType] = typ
		w.compare(t, typ, s.Fields)
	}
}

// compareBasic compares the kind of a field that is a plain Go type in the
// contract.
func (w *fieldWalk) compareBasic(t *testing.T, field reflect.StructField, typ reflect.Type, want contractField) {
	t.Helper()

	if strings.Contains(want.GoType, ".") || want.GoType == "interface {}" {
		return
	}

	if got := typ.Kind().String(); got != want.GoType {
		t.Errorf("field %s is made of %s, want %s", field.Name, got, want.GoType)
	}
}

func compareEnum(t *testing.T, typ reflect.Type, enum contractEnum) {
	t.Helper()

	if got := typ.Kind().String(); got != enum.Kind {
		t.Errorf("enumeration %s is a %s, want %s", typ, got, enum.Kind)
	}

	for _, value := range enum.Values {
		v := reflect.New(typ)
		if v.Elem().CanInt() {
			v.Elem().SetInt(value.Value)
		} else {
			v.Elem().SetUint(uint64(value.Value))
		}

		text, err := v.Interface().(encoding.TextMarshaler).MarshalText()
		if err != nil || string(text) != value.String {
			t.Errorf("text of %s %d = %q, %v, want %q", typ, value.Value, text, err, value.String)
		}

		parsed := reflect.New(typ)
		if err := parsed.Interface().(encoding.TextUnmarshaler).UnmarshalText(text); err != nil {
			t.Errorf("parsing %s %q: %v", typ, text, err)
		}

		if parsed.Elem().Interface() != v.Elem().Interface() {
			t.Errorf("parsing %s %q gives %v", typ, text, parsed.Elem())
		}
	}
}
