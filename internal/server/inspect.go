package server

import (
	"context"

	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/basalt-os/basalt/api/inspect"
)

// Controllers knows what the node's controllers read and write.
type Controllers interface {
	Dependencies() []Dependency
}

// Dependency is one input or output of a controller.
type Dependency struct {
	Controller          string
	Kind                DependencyKind
	Namespace, Type, ID string // the resources; an empty ID means all
}

// DependencyKind says how a controller uses resources.
type DependencyKind uint8

// Ways of using resources.
const (
	OutputExclusive DependencyKind = iota
	OutputShared
	InputStrong
	InputWeak
	InputDestroyReady
)

// ControllerRuntimeDependencies lists which controller reads and writes which
// resources.
func (s inspectService) ControllerRuntimeDependencies(context.Context, *emptypb.Empty) (*inspect.ControllerRuntimeDependenciesResponse, error) {
	reply := &inspect.ControllerRuntimeDependency{}
	for _, dependency := range s.Controllers.Dependencies() {
		reply.Edges = append(reply.Edges, &inspect.ControllerDependencyEdge{
			ControllerName:    dependency.Controller,
			EdgeType:          edgeType(dependency.Kind),
			ResourceNamespace: dependency.Namespace,
			ResourceType:      dependency.Type,
			ResourceId:        dependency.ID,
		})
	}
	return &inspect.ControllerRuntimeDependenciesResponse{Messages: []*inspect.ControllerRuntimeDependency{reply}}, nil
}

func edgeType(kind DependencyKind) inspect.DependencyEdgeType {
	switch kind {
	case OutputShared:
		return inspect.DependencyEdgeType_OUTPUT_SHARED
	case InputStrong:
		return inspect.DependencyEdgeType_INPUT_STRONG
	case InputWeak:
		return inspect.DependencyEdgeType_INPUT_WEAK
	case InputDestroyReady:
		return inspect.DependencyEdgeType_INPUT_DESTROY_READY
	default:
		return inspect.DependencyEdgeType_OUTPUT_EXCLUSIVE
	}
}
