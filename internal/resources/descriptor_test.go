package resources_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	exprpb "google.golang.org/genproto/googleapis/api/expr/v1alpha1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// The types below are the form of the wire contract, as far as it describes
// messages of specs.
type (
	wireFile struct {
		Package  string        `json:"package"`
		Messages []wireMessage `json:"messages"`
		Enums    []wireEnum    `json:"enums"`
	}
	wireMessage struct {
		Name   string      `json:"name"`
		Fields []wireField `json:"fields"`
	}
	wireField struct {
		Name   string `json:"name"`
		Number int32  `json:"number"`
		Kind   string `json:"kind"`
		Label  string `json:"label"`
		Type   string `json:"type"`
		Map    *struct {
			Key   string `json:"key"`
			Value string `json:"value"`
		} `json:"map"`
	}
	wireEnum struct {
		Name   string `json:"name"`
		Values []struct {
			Name   string `json:"name"`
			Number int32  `json:"number"`
		} `json:"values"`
	}
)

// published are files that the protobuf runtime brings along.
func published() []protoreflect.FileDescriptor {
	return []protoreflect.FileDescriptor{
		durationpb.File_google_protobuf_duration_proto,
		emptypb.File_google_protobuf_empty_proto,
		timestamppb.File_google_protobuf_timestamp_proto,
		structpb.File_google_protobuf_struct_proto,
		exprpb.File_google_api_expr_v1alpha1_syntax_proto,
		exprpb.File_google_api_expr_v1alpha1_checked_proto,
	}
}

// readMessages makes descriptors of the contract's messages for specs.
func readMessages(t testing.TB) *protoregistry.Files {
	t.Helper()

	data, err := os.ReadFile("../../api/testdata/wire.json")
	if err != nil {
		t.Fatal(err)
	}

	var wire struct{ Files []wireFile }
	if err := json.Unmarshal(data, &wire); err != nil {
		t.Fatal(err)
	}

	set := &descriptorpb.FileDescriptorSet{}
	for _, file := range published() {
		set.File = append(set.File, protodesc.ToFileDescriptorProto(file))
	}

	for _, file := range wire.Files {
		isSpec := strings.HasPrefix(file.Package, "talos.resource.definitions") ||
			slices.Contains([]string{"common", "resource.config", "resource.network", "cosi.resource.meta"}, file.Package)
		if isSpec {
			set.File = append(set.File, file.descriptor())
		}
	}

	registry, err := protodesc.NewFiles(set)
	if err != nil {
		t.Fatalf("building descriptors: %v", err)
	}

	return registry
}

// descriptor is one file per package, that imports every package it refers to.
func (f wireFile) descriptor() *descriptorpb.FileDescriptorProto {
	file := &descriptorpb.FileDescriptorProto{
		Name: proto.String(f.Package), Package: proto.String(f.Package), Syntax: proto.String("proto3"),
	}

	for _, message := range f.Messages {
		if message.refersTo("google.rpc.Status", "google.protobuf.Any", "common.Metadata", "common.Data", "common.Empty") {
			continue // of calls, not of specs
		}

		descriptor := message.descriptor()

		if parent := f.parent(message.Name); parent == "" {
			file.MessageType = append(file.MessageType, descriptor)
		} else {
			outer := messageNamed(file, parent)
			outer.NestedType = append(outer.NestedType, descriptor)
		}

		for _, field := range message.Fields {
			f.importFor(file, field)
		}
	}

	for _, enum := range f.Enums {
		descriptor := enum.descriptor()

		if parent := f.parent(enum.Name); parent == "" {
			file.EnumType = append(file.EnumType, descriptor)
		} else {
			outer := messageNamed(file, parent)
			outer.EnumType = append(outer.EnumType, descriptor)
		}
	}

	return file
}

// parent is the message in which a full name is nested, if it is.
func (f wireFile) parent(fullName string) string {
	rest := strings.TrimPrefix(fullName, f.Package+".")
	parent, _, nested := strings.Cut(rest, ".")

	if !nested {
		return ""
	}

	return parent
}

func messageNamed(file *descriptorpb.FileDescriptorProto, name string) *descriptorpb.DescriptorProto {
	for _, message := range file.MessageType {
		if message.GetName() == name {
			return message
		}
	}

	message := &descriptorpb.DescriptorProto{Name: proto.String(name)}
	file.MessageType = append(file.MessageType, message)

	return message
}

func (f wireFile) importFor(file *descriptorpb.FileDescriptorProto, field wireField) {
	typ := field.Type
	if field.Map != nil {
		typ = field.Map.Value
	}

	if !strings.Contains(typ, ".") || strings.HasPrefix(typ, f.Package+".") {
		return
	}

	path := typ[:strings.LastIndex(typ, ".")]

	for _, known := range published() {
		message := known.Messages().ByName(protoreflect.FullName(typ).Name())
		if message != nil && string(message.FullName()) == typ {
			path = known.Path()
		}
	}

	if !slices.Contains(file.Dependency, path) {
		file.Dependency = append(file.Dependency, path)
	}
}

func (m wireMessage) refersTo(types ...string) bool {
	return slices.ContainsFunc(m.Fields, func(f wireField) bool { return slices.Contains(types, f.Type) })
}

func (m wireMessage) descriptor() *descriptorpb.DescriptorProto {
	message := &descriptorpb.DescriptorProto{Name: proto.String(lastName(m.Name))}

	for _, field := range m.Fields {
		descriptor := fieldDescriptor(field.Name, field.Number, field.Kind, field.Type)
		if field.Label == "repeated" {
			descriptor.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
		}

		if field.Map != nil {
			entry := mapEntry(field)
			message.NestedType = append(message.NestedType, entry)
			descriptor.TypeName = proto.String("." + m.Name + "." + entry.GetName())
		}

		message.Field = append(message.Field, descriptor)
	}

	return message
}

func mapEntry(field wireField) *descriptorpb.DescriptorProto {
	// The name that the protobuf compiler gives.
	var name strings.Builder
	for word := range strings.SplitSeq(field.Name, "_") {
		name.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}

	kind := field.Map.Value
	if strings.Contains(kind, ".") {
		kind = "message"
	}

	return &descriptorpb.DescriptorProto{
		Name: proto.String(name.String() + "Entry"),
		Field: []*descriptorpb.FieldDescriptorProto{
			fieldDescriptor("key", 1, field.Map.Key, field.Map.Key),
			fieldDescriptor("value", 2, kind, field.Map.Value),
		},
		Options: &descriptorpb.MessageOptions{MapEntry: proto.Bool(true)},
	}
}

func fieldDescriptor(name string, number int32, kind, typ string) *descriptorpb.FieldDescriptorProto {
	value := descriptorpb.FieldDescriptorProto_Type_value["TYPE_"+strings.ToUpper(kind)]
	field := &descriptorpb.FieldDescriptorProto{
		Name:   proto.String(name),
		Number: proto.Int32(number),
		Label:  descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		Type:   descriptorpb.FieldDescriptorProto_Type(value).Enum(),
	}

	if kind == "message" || kind == "enum" {
		field.TypeName = proto.String("." + typ)
	}

	return field
}

func (e wireEnum) descriptor() *descriptorpb.EnumDescriptorProto {
	enum := &descriptorpb.EnumDescriptorProto{Name: proto.String(lastName(e.Name))}
	numbers := map[int32]bool{}

	for _, value := range e.Values {
		enum.Value = append(enum.Value, &descriptorpb.EnumValueDescriptorProto{
			Name: proto.String(value.Name), Number: proto.Int32(value.Number),
		})

		if numbers[value.Number] {
			enum.Options = &descriptorpb.EnumOptions{AllowAlias: proto.Bool(true)}
		}

		numbers[value.Number] = true
	}

	return enum
}

func lastName(fullName string) string { return fullName[strings.LastIndex(fullName, ".")+1:] }
