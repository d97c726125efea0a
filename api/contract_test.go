package api_test

import (
	"cmp"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/basalt-os/basalt/api"

	_ "github.com/basalt-os/basalt/api/cluster"
	_ "github.com/basalt-os/basalt/api/common"
	_ "github.com/basalt-os/basalt/api/cosi/resource"
	_ "github.com/basalt-os/basalt/api/discovery"
	_ "github.com/basalt-os/basalt/api/discovery/affiliate"
	_ "github.com/basalt-os/basalt/api/events"
	_ "github.com/basalt-os/basalt/api/inspect"
	_ "github.com/basalt-os/basalt/api/kms"
	_ "github.com/basalt-os/basalt/api/machine"
	_ "github.com/basalt-os/basalt/api/security"
	_ "github.com/basalt-os/basalt/api/siderolink"
	_ "github.com/basalt-os/basalt/api/signer"
	_ "github.com/basalt-os/basalt/api/storage"
	_ "github.com/basalt-os/basalt/api/time"
)

// The types below are the form of the contract's test data. Lists are sorted
// by name or number before they are compared: order is not part of the wire.
type (
	wireContract struct {
		Files  []wireFile     `json:"files"`
		Totals map[string]int `json:"totals"`
	}
	wireFile struct {
		File       string        `json:"file"`
		Package    string        `json:"package"`
		Syntax     string        `json:"syntax"`
		Imports    []string      `json:"imports"`
		Messages   []wireMessage `json:"messages"`
		Enums      []wireEnum    `json:"enums"`
		Extensions []wireField   `json:"extensions"`
		Services   []wireService `json:"services"`
	}
	wireMessage struct {
		Name            string      `json:"name"`
		Fields          []wireField `json:"fields"`
		Oneofs          []string    `json:"oneofs"`
		ReservedNames   []string    `json:"reserved_names"`
		ReservedNumbers [][2]int32  `json:"reserved_numbers"`
		Deprecated      bool        `json:"deprecated"`
	}
	wireField struct {
		Name       string   `json:"name"`
		JSON       string   `json:"json"`
		Number     int32    `json:"number"`
		Kind       string   `json:"kind"`
		Label      string   `json:"label"`
		Type       string   `json:"type"`
		Extends    string   `json:"extends"`
		Map        *wireMap `json:"map"`
		Oneof      string   `json:"oneof"`
		Explicit   bool     `json:"explicit_optional"`
		Packed     bool     `json:"packed"`
		Deprecated bool     `json:"deprecated"`
	}
	wireMap struct {
		Key   string `json:"key"`
		Value string `json:"value"`
	}
	wireEnum struct {
		Name       string          `json:"name"`
		AllowAlias bool            `json:"allow_alias"`
		Values     []wireEnumValue `json:"values"`
	}
	wireEnumValue struct {
		Name       string `json:"name"`
		Number     int32  `json:"number"`
		Deprecated bool   `json:"deprecated"`
	}
	wireService struct {
		Name    string       `json:"name"`
		Methods []wireMethod `json:"methods"`
	}
	wireMethod struct {
		Name            string `json:"name"`
		Path            string `json:"path"`
		Input           string `json:"input"`
		Output          string `json:"output"`
		ClientStreaming bool   `json:"client_streaming"`
		ServerStreaming bool   `json:"server_streaming"`
		Deprecated      bool   `json:"deprecated"`
	}
)

// TestContract compares the compiled .proto files with the contract: nothing
// may be missing, added or different.
func TestContract(t *testing.T) {
	var contract wireContract
	readJSON(t, "testdata/wire.json", &contract)
	compiled := compile(t)
	totals := map[string]int{}
	for _, want := range contract.Files {
		t.Run(want.File, func(t *testing.T) {
			descriptor, ok := compiled[want.File]
			if !ok {
				t.Fatalf("there is no %s", want.File)
			}
			got := describe(descriptor)
			count(totals, got)
			want.sort()
			got.sort()
			if diff := gocmp.Diff(want, got); diff != "" {
				t.Errorf("difference to the contract (-contract +ours):\n%s", diff)
			}
		})
	}
	if diff := gocmp.Diff(contract.Totals, totals); diff != "" {
		t.Errorf("totals (-contract +ours):\n%s", diff)
	}
}

// TestEcosystemContract compares the protocols of the systems around a node.
// Their data has neither JSON names nor kinds, and its deprecation marks are
// left out.
func TestEcosystemContract(t *testing.T) {
	type method struct {
		Name         string `json:"name"`
		Input        string `json:"input"`
		Output       string `json:"output"`
		ClientStream bool   `json:"client_stream"`
		ServerStream bool   `json:"server_stream"`
	}
	var contract struct {
		Files []struct {
			wireFile
			Services []struct {
				Name    string   `json:"name"`
				Methods []method `json:"methods"`
			} `json:"services"`
		} `json:"files"`
	}
	readJSON(t, "testdata/ecosystem-wire.json", &contract)
	compiled := compile(t)
	for _, file := range contract.Files {
		t.Run(file.File, func(t *testing.T) {
			descriptor, ok := compiled[file.File]
			if !ok {
				t.Fatalf("there is no %s", file.File)
			}
			want := file.wireFile
			for _, service := range file.Services {
				methods := []wireMethod{}
				for _, m := range service.Methods {
					methods = append(methods, wireMethod{
						Name: m.Name, Input: m.Input, Output: m.Output,
						ClientStreaming: m.ClientStream, ServerStreaming: m.ServerStream,
					})
				}
				want.Services = append(want.Services, wireService{Name: service.Name, Methods: methods})
			}
			got := describe(descriptor)
			got.Syntax, got.Imports, want.Imports = "", nil, nil
			for i := range got.Messages {
				for j := range got.Messages[i].Fields {
					got.Messages[i].Fields[j].JSON, got.Messages[i].Fields[j].Kind = "", ""
				}
			}
			for i := range got.Services {
				for j := range got.Services[i].Methods {
					got.Services[i].Methods[j].Path = ""
				}
			}
			want.sort()
			got.sort()
			if diff := gocmp.Diff(want, got); diff != "" {
				t.Errorf("difference to the contract (-contract +ours):\n%s", diff)
			}
		})
	}
}

// TestNothingBesideContract holds our own additions out of the contract's
// files: they belong into packages that begin with "basalt.".
func TestNothingBesideContract(t *testing.T) {
	var contract, ecosystem wireContract
	readJSON(t, "testdata/wire.json", &contract)
	readJSON(t, "testdata/ecosystem-wire.json", &ecosystem)
	known := map[string]bool{}
	for _, file := range slices.Concat(contract.Files, ecosystem.Files) {
		known[file.File] = true
	}
	for path, descriptor := range compile(t) {
		if !known[path] && !strings.HasPrefix(string(descriptor.Package()), "basalt.") {
			t.Errorf("%s (package %s) is not in the contract", path, descriptor.Package())
		}
	}
}

// TestGeneratedCodeIsFresh compares the descriptors in the generated Go with
// the .proto files.
func TestGeneratedCodeIsFresh(t *testing.T) {
	generated := 0
	for path, descriptor := range compile(t) {
		linked, err := protoregistry.GlobalFiles.FindFileByPath(path)
		if err != nil {
			if descriptor.Services().Len() > 0 {
				t.Errorf("%s declares a service and has no generated code", path)
			}
			continue
		}
		generated++
		if diff := gocmp.Diff(plain(descriptor), plain(linked), protocmp.Transform()); diff != "" {
			t.Errorf("generated code of %s is stale, run go generate ./api (-proto +go):\n%s", path, diff)
		}
	}
	if generated == 0 {
		t.Error("no generated code was compared")
	}
}

func plain(file protoreflect.FileDescriptor) *descriptorpb.FileDescriptorProto {
	descriptor := protodesc.ToFileDescriptorProto(file)
	descriptor.SourceCodeInfo = nil
	encoded, err := proto.Marshal(descriptor)
	if err != nil {
		panic(err)
	}
	normal := new(descriptorpb.FileDescriptorProto)
	if err := proto.Unmarshal(encoded, normal); err != nil {
		panic(err)
	}
	return normal
}

func compile(t *testing.T) map[string]protoreflect.FileDescriptor {
	t.Helper()
	files, err := api.Compile(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	byPath := map[string]protoreflect.FileDescriptor{}
	for _, file := range files {
		byPath[file.Path()] = file
	}
	return byPath
}

func readJSON(t *testing.T, path string, into any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
}

func count(totals map[string]int, file wireFile) {
	totals["files"]++
	totals["messages"] += len(file.Messages)
	totals["enums"] += len(file.Enums)
	totals["services"] += len(file.Services)
	for _, message := range file.Messages {
		totals["fields"] += len(message.Fields)
	}
	for _, service := range file.Services {
		totals["methods"] += len(service.Methods)
	}
}

// sort puts all lists in one order and makes absent ones empty.
func (f *wireFile) sort() {
	f.Imports = sorted(f.Imports, strings.Compare)
	f.Messages = sorted(f.Messages, func(a, b wireMessage) int { return cmp.Compare(a.Name, b.Name) })
	f.Enums = sorted(f.Enums, func(a, b wireEnum) int { return cmp.Compare(a.Name, b.Name) })
	f.Extensions = sorted(f.Extensions, func(a, b wireField) int { return cmp.Compare(a.Name, b.Name) })
	f.Services = sorted(f.Services, func(a, b wireService) int { return cmp.Compare(a.Name, b.Name) })
	for i := range f.Messages {
		message := &f.Messages[i]
		message.Fields = sorted(message.Fields, func(a, b wireField) int { return cmp.Compare(a.Number, b.Number) })
		message.Oneofs = sorted(message.Oneofs, strings.Compare)
		message.ReservedNames = sorted(message.ReservedNames, strings.Compare)
		message.ReservedNumbers = sorted(message.ReservedNumbers, func(a, b [2]int32) int { return cmp.Compare(a[0], b[0]) })
	}
	for i := range f.Enums {
		f.Enums[i].Values = sorted(f.Enums[i].Values, func(a, b wireEnumValue) int { return cmp.Compare(a.Name, b.Name) })
	}
	for i := range f.Services {
		f.Services[i].Methods = sorted(f.Services[i].Methods, func(a, b wireMethod) int { return cmp.Compare(a.Name, b.Name) })
	}
}

func sorted[T any](list []T, compare func(a, b T) int) []T {
	return slices.SortedFunc(slices.Values(append([]T{}, list...)), compare)
}
