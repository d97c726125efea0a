package state

import (
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	cosiresource "github.com/basalt-os/basalt/api/cosi/resource"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources"
)

// undefined is the version of a resource that is not stored.
const undefined = "undefined"

// encode returns the wire form of a resource. Secrets in a type that is not
// sensitive as a whole are hidden.
func encode(entry *resources.Entry, object resource.Object) (*cosiresource.Resource, error) {
	meta := object.Metadata()

	if !entry.Definition.Sensitive && entry.Codec.HasSecrets() {
		object = object.Clone()
		if err := entry.Codec.Redact(object.SpecValue()); err != nil {
			return nil, wrapEncoding(meta.Pointer(), err)
		}
	}

	wire, err := entry.Codec.EncodeWire(object.SpecValue())
	if err != nil {
		return nil, wrapEncoding(meta.Pointer(), err)
	}

	text, err := entry.Codec.EncodeYAML(object.SpecValue())
	if err != nil {
		return nil, wrapEncoding(meta.Pointer(), err)
	}

	return &cosiresource.Resource{
		Metadata: encodeMetadata(meta),
		Spec:     &cosiresource.Spec{ProtoSpec: wire, YamlSpec: string(text)},
	}, nil
}

// encodeMetadata returns the wire form of metadata; it shares the maps.
func encodeMetadata(meta *resource.Metadata) *cosiresource.Metadata {
	version := undefined
	if meta.Version > 0 {
		version = strconv.FormatUint(meta.Version, 10)
	}

	return &cosiresource.Metadata{
		Namespace:   meta.Namespace,
		Type:        meta.Type,
		Id:          meta.ID,
		Version:     version,
		Owner:       meta.Owner,
		Phase:       meta.Phase.String(),
		Created:     timestamp(meta.Created),
		Updated:     timestamp(meta.Updated),
		Finalizers:  meta.Finalizers,
		Annotations: meta.Annotations,
		Labels:      meta.Labels,
	}
}

func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}

	return timestamppb.New(t)
}
