package api_test

import (
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// describe brings a compiled file into the form of the contract's test data.
func describe(file protoreflect.FileDescriptor) wireFile {
	described := wireFile{
		File:    file.Path(),
		Package: string(file.Package()),
		Syntax:  file.Syntax().String(),
	}
	for i := range file.Imports().Len() {
		described.Imports = append(described.Imports, file.Imports().Get(i).Path())
	}
	described.addTypes(file)
	extensions := file.Extensions()
	for i := range extensions.Len() {
		field := describeField(extensions.Get(i))
		field.JSON = "[" + string(extensions.Get(i).FullName()) + "]"
		field.Extends = string(extensions.Get(i).ContainingMessage().FullName())
		described.Extensions = append(described.Extensions, field)
	}
	for i := range file.Services().Len() {
		described.Services = append(described.Services, describeService(file.Services().Get(i)))
	}
	return described
}

// scope is a file or a message: both hold messages and enums.
type scope interface {
	Messages() protoreflect.MessageDescriptors
	Enums() protoreflect.EnumDescriptors
}

func (f *wireFile) addTypes(in scope) {
	for i := range in.Enums().Len() {
		f.Enums = append(f.Enums, describeEnum(in.Enums().Get(i)))
	}
	for i := range in.Messages().Len() {
		message := in.Messages().Get(i)
		if message.IsMapEntry() {
			continue
		}
		f.Messages = append(f.Messages, describeMessage(message))
		f.addTypes(message)
	}
}

func describeMessage(message protoreflect.MessageDescriptor) wireMessage {
	described := wireMessage{
		Name:       string(message.FullName()),
		Deprecated: message.Options().(*descriptorpb.MessageOptions).GetDeprecated(),
	}
	for i := range message.Fields().Len() {
		described.Fields = append(described.Fields, describeField(message.Fields().Get(i)))
	}
	for i := range message.Oneofs().Len() {
		if oneof := message.Oneofs().Get(i); !oneof.IsSynthetic() {
			described.Oneofs = append(described.Oneofs, string(oneof.Name()))
		}
	}
	reserved := protodesc.ToDescriptorProto(message)
	described.ReservedNames = reserved.GetReservedName()
	for _, numbers := range reserved.GetReservedRange() {
		// The descriptor's end is exclusive, the contract's is not.
		described.ReservedNumbers = append(described.ReservedNumbers, [2]int32{numbers.GetStart(), numbers.GetEnd() - 1})
	}
	return described
}

func describeField(field protoreflect.FieldDescriptor) wireField {
	described := wireField{
		Name:       string(field.Name()),
		JSON:       field.JSONName(),
		Number:     int32(field.Number()),
		Kind:       field.Kind().String(),
		Label:      field.Cardinality().String(),
		Type:       typeName(field),
		Explicit:   field.HasOptionalKeyword(),
		Packed:     field.IsPacked(),
		Deprecated: field.Options().(*descriptorpb.FieldOptions).GetDeprecated(),
	}
	if oneof := field.ContainingOneof(); oneof != nil && !oneof.IsSynthetic() {
		described.Oneof = string(oneof.Name())
	}
	if field.IsMap() {
		described.Map = &wireMap{Key: typeName(field.MapKey()), Value: typeName(field.MapValue())}
	}
	return described
}

func typeName(field protoreflect.FieldDescriptor) string {
	switch {
	case field.IsMap():
		return "map<" + typeName(field.MapKey()) + ", " + typeName(field.MapValue()) + ">"
	case field.Message() != nil:
		return string(field.Message().FullName())
	case field.Enum() != nil:
		return string(field.Enum().FullName())
	default:
		return field.Kind().String()
	}
}

func describeEnum(enum protoreflect.EnumDescriptor) wireEnum {
	described := wireEnum{
		Name:       string(enum.FullName()),
		AllowAlias: enum.Options().(*descriptorpb.EnumOptions).GetAllowAlias(),
	}
	for i := range enum.Values().Len() {
		value := enum.Values().Get(i)
		described.Values = append(described.Values, wireEnumValue{
			Name:       string(value.Name()),
			Number:     int32(value.Number()),
			Deprecated: value.Options().(*descriptorpb.EnumValueOptions).GetDeprecated(),
		})
	}
	return described
}

func describeService(service protoreflect.ServiceDescriptor) wireService {
	described := wireService{Name: string(service.FullName()), Methods: []wireMethod{}}
	for i := range service.Methods().Len() {
		method := service.Methods().Get(i)
		described.Methods = append(described.Methods, wireMethod{
			Name:            string(method.Name()),
			Path:            "/" + string(service.FullName()) + "/" + string(method.Name()),
			Input:           string(method.Input().FullName()),
			Output:          string(method.Output().FullName()),
			ClientStreaming: method.IsStreamingClient(),
			ServerStreaming: method.IsStreamingServer(),
			Deprecated:      method.Options().(*descriptorpb.MethodOptions).GetDeprecated(),
		})
	}
	return described
}
