// Package objects is how a client sees the resources of a node: metadata and a
// spec that is plain YAML, so that types of other versions than the client's
// are no problem.
package objects

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	cosiresource "github.com/basalt-os/basalt/api/cosi/resource"
	"github.com/basalt-os/basalt/internal/cli/connect"
)

// Object is a resource. It is not changed after it was made.
type Object struct {
	Meta *cosiresource.Metadata
	// Spec is what the YAML of the spec says: maps, lists and scalars. Times
	// are text.
	Spec any

	text yaml.Node
}

// New returns the object of a resource on the wire.
func New(wire *cosiresource.Resource) (*Object, error) {
	object := &Object{Meta: wire.GetMetadata()}

	text := wire.GetSpec().GetYamlSpec()
	if strings.TrimSpace(text) == "" {
		return object, nil
	}

	var document yaml.Node

	err := yaml.Load([]byte(text), &document)
	if err == nil && len(document.Content) > 0 {
		object.text = *document.Content[0]
		err = object.text.Decode(&object.Spec)
	}

	if err != nil {
		return nil, fmt.Errorf("reading %s %q: %w", object.Meta.GetType(), object.Meta.GetId(), err)
	}

	object.Spec = plain(object.Spec)

	return object, nil
}

// plain makes text of times.
func plain(value any) any {
	switch value := value.(type) {
	case time.Time:
		return value.Format(time.RFC3339Nano)
	case map[string]any:
		for key := range value {
			value[key] = plain(value[key])
		}
	case []any:
		for i := range value {
			value[i] = plain(value[i])
		}
	}

	return value
}

// Decode sets a struct with YAML tags to the spec.
func (o *Object) Decode(spec any) error {
	if o.text.IsZero() {
		return nil
	}

	if err := o.text.Decode(spec); err != nil {
		return fmt.Errorf("reading %s %q: %w", o.Meta.GetType(), o.Meta.GetId(), err)
	}

	return nil
}

// printed is an object as YAML and JSON show it.
type printed struct {
	Node     string          `yaml:"node,omitempty" json:"node,omitempty"`
	Event    string          `yaml:"event,omitempty" json:"event,omitempty"`
	Metadata printedMetadata `yaml:"metadata" json:"metadata"`
	Spec     any             `yaml:"spec" json:"spec"`
}

type printedMetadata struct {
	Namespace   string            `yaml:"namespace" json:"namespace"`
	Type        string            `yaml:"type" json:"type"`
	ID          string            `yaml:"id" json:"id"`
	Version     string            `yaml:"version" json:"version"`
	Owner       string            `yaml:"owner" json:"owner"`
	Phase       string            `yaml:"phase" json:"phase"`
	Created     string            `yaml:"created,omitempty" json:"created,omitempty"`
	Updated     string            `yaml:"updated,omitempty" json:"updated,omitempty"`
	Labels      map[string]string `yaml:"labels,omitempty" json:"labels,omitempty"`
	Annotations map[string]string `yaml:"annotations,omitempty" json:"annotations,omitempty"`
	Finalizers  []string          `yaml:"finalizers,omitempty" json:"finalizers,omitempty"`
}

func (o *Object) printed(node, event string) printed {
	meta := o.Meta
	stamp := func(present bool, t time.Time) string {
		if !present {
			return ""
		}

		return t.Format(time.RFC3339)
	}

	return printed{
		Node: node, Event: event, Spec: o.Spec,
		Metadata: printedMetadata{
			Namespace: meta.GetNamespace(), Type: meta.GetType(), ID: meta.GetId(), Version: meta.GetVersion(),
			Owner: meta.GetOwner(), Phase: meta.GetPhase(),
			Created: stamp(meta.GetCreated() != nil, meta.GetCreated().AsTime()),
			Updated: stamp(meta.GetUpdated() != nil, meta.GetUpdated().AsTime()),
			Labels:  meta.GetLabels(), Annotations: meta.GetAnnotations(), Finalizers: meta.GetFinalizers(),
		},
	}
}

// YAML returns the object as a YAML document, its spec in the node's order. An
// event is left out when it is empty.
func (o *Object) YAML(node, event string) ([]byte, error) {
	p := o.printed(node, event)
	if !o.text.IsZero() {
		p.Spec = &o.text
	}

	text, err := yaml.Dump(p, yaml.WithIndent(4))
	if err != nil {
		return nil, fmt.Errorf("printing %s %q: %w", o.Meta.GetType(), o.Meta.GetId(), err)
	}

	return text, nil
}

// JSON returns the object as JSON.
func (o *Object) JSON(node, event string) ([]byte, error) {
	text, err := json.MarshalIndent(o.printed(node, event), "", "    ")
	if err != nil {
		return nil, fmt.Errorf("printing %s %q: %w", o.Meta.GetType(), o.Meta.GetId(), err)
	}

	return text, nil
}

// Value returns the object as maps, lists and scalars.
func (o *Object) Value(node string) (any, error) {
	text, err := o.JSON(node, "")
	if err != nil {
		return nil, err
	}

	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return nil, fmt.Errorf("printing %s %q: %w", o.Meta.GetType(), o.Meta.GetId(), err)
	}

	return value, nil
}

// Get returns one resource of a node. The context is one that the node answers
// to, as everywhere in this package.
func Get(ctx context.Context, n connect.Node, namespace, kind, id string) (*Object, error) {
	reply, err := n.State.Get(ctx, &cosiresource.GetRequest{Namespace: namespace, Type: kind, Id: id})
	if err != nil {
		return nil, err
	}

	return New(reply.GetResource())
}

// List returns all resources of a type in a namespace of a node.
func List(ctx context.Context, n connect.Node, namespace, kind string) ([]*Object, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	stream, err := n.State.List(ctx, &cosiresource.ListRequest{Namespace: namespace, Type: kind})
	if err != nil {
		return nil, err
	}

	var list []*Object

	for {
		reply, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return list, nil
		}

		if err != nil {
			return nil, err
		}

		object, err := New(reply.GetResource())
		if err != nil {
			return nil, err
		}

		list = append(list, object)
	}
}

// Event is a change of a resource, or its being there when the watch began.
type Event struct {
	Type   cosiresource.EventType
	Object *Object
}

// Watch calls f with everything that there is and with each change, until ctx
// ends. An empty id means all resources of the type.
func Watch(ctx context.Context, n connect.Node, namespace, kind, id string, f func(Event) error) error {
	request := &cosiresource.WatchRequest{
		Namespace: namespace, Type: kind, ApiVersion: 1,
		Options: &cosiresource.WatchOptions{BootstrapContents: id == ""},
	}
	if id != "" {
		request.Id = &id
	}

	stream, err := n.State.Watch(ctx, request)
	if err != nil {
		return err
	}

	for {
		reply, err := stream.Recv()
		if err != nil {
			return err
		}

		for _, event := range reply.GetEvent() {
			switch event.GetEventType() {
			case cosiresource.EventType_ERRORED:
				return status.Error(codes.Aborted, event.GetError())
			case cosiresource.EventType_BOOTSTRAPPED, cosiresource.EventType_NOOP:
				continue
			}

			object, err := New(event.GetResource())
			if err != nil {
				return err
			}

			if err := f(Event{event.GetEventType(), object}); err != nil {
				return err
			}
		}
	}
}
