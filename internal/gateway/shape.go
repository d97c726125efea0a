package gateway

import (
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/basalt-os/basalt/api/cluster"
	"github.com/basalt-os/basalt/api/common"
	cosiresource "github.com/basalt-os/basalt/api/cosi/resource"
	"github.com/basalt-os/basalt/api/inspect"
	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/api/storage"
	timeapi "github.com/basalt-os/basalt/api/time"
)

// shape is what the gateway must know about a method.
type shape struct {
	// clientStreams is also true for methods that are not known: then either
	// side may send at any time.
	clientStreams bool
	serverStreams bool
	// mergeable responses have room for the metadata of the node they come
	// from, so that the method can go to many nodes at once.
	mergeable bool
}

// shapes maps full method names to shapes. It is read from the contract's
// descriptors, so that there is no list to be kept up to date.
type shapes map[string]shape

func newShapes() shapes {
	known := shapes{}

	for _, file := range []protoreflect.FileDescriptor{
		cluster.File_cluster_cluster_proto,
		cosiresource.File_v1alpha1_state_proto,
		inspect.File_inspect_inspect_proto,
		machine.File_machine_debug_proto,
		machine.File_machine_image_proto,
		machine.File_machine_lifecycle_proto,
		machine.File_machine_lvm_proto,
		machine.File_machine_machine_proto,
		machine.File_machine_md_proto,
		machine.File_machine_storage_proto,
		storage.File_storage_storage_proto,
		timeapi.File_time_time_proto,
	} {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)

			for j := range service.Methods().Len() {
				method := service.Methods().Get(j)

				known["/"+string(service.FullName())+"/"+string(method.Name())] = shape{
					clientStreams: method.IsStreamingClient(),
					serverStreams: method.IsStreamingServer(),
					mergeable:     mergeable(method),
				}
			}
		}
	}

	return known
}

// of returns the shape of a method; one that this version does not know can
// still be passed to one node.
func (s shapes) of(fullMethod string) shape {
	if known, ok := s[fullMethod]; ok {
		return known
	}

	return shape{clientStreams: true, serverStreams: true}
}

// mergeable says whether a response can carry node metadata: in field 1 of the
// message itself where messages are streamed, else in field 1 of each element
// of its repeated field 1.
func mergeable(method protoreflect.MethodDescriptor) bool {
	output := method.Output()

	if !method.IsStreamingServer() {
		messages := output.Fields().ByNumber(responseMessages)
		if messages == nil || !messages.IsList() || messages.Message() == nil {
			return false
		}

		output = messages.Message()
	}

	field := output.Fields().ByNumber(messageMetadata)

	return field != nil && field.Message() != nil &&
		field.Message().FullName() == (&common.Metadata{}).ProtoReflect().Descriptor().FullName()
}
