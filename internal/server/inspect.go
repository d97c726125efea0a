package server

import (
	"context"

	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/basalt-os/basalt/api/inspect"
	"github.com/basalt-os/basalt/internal/reconcile"
)

// Controllers is the engine of the node's controllers.
type Controllers interface {
	Graph() reconcile.Graph
}

// ControllerRuntimeDependencies lists which controller reads and writes which
// resources.
func (s inspectService) ControllerRuntimeDependencies(context.Context, *emptypb.Empty) (*inspect.ControllerRuntimeDependenciesResponse, error) {
	reply := &inspect.ControllerRuntimeDependency{}
	for _, node := range s.Controllers.Graph() {
		for _, output := range node.Outputs {
			kind := inspect.DependencyEdgeType_OUTPUT_EXCLUSIVE
			if output.Shared {
				kind = inspect.DependencyEdgeType_OUTPUT_SHARED
			}
			reply.Edges = append(reply.Edges, &inspect.ControllerDependencyEdge{
				ControllerName: node.Controller,
				EdgeType:       kind,
				ResourceType:   output.Type,
			})
		}
		for _, input := range node.Inputs {
			reply.Edges = append(reply.Edges, &inspect.ControllerDependencyEdge{
				ControllerName:    node.Controller,
				EdgeType:          inputEdge(input.Mode),
				ResourceNamespace: input.Namespace,
				ResourceType:      input.Type,
				ResourceId:        input.ID,
			})
		}
	}
	return &inspect.ControllerRuntimeDependenciesResponse{Messages: []*inspect.ControllerRuntimeDependency{reply}}, nil
}

func inputEdge(mode reconcile.InputKind) inspect.DependencyEdgeType {
	switch mode {
	case reconcile.Strong:
		return inspect.DependencyEdgeType_INPUT_STRONG
	case reconcile.DestroyReady:
		return inspect.DependencyEdgeType_INPUT_DESTROY_READY
	default:
		return inspect.DependencyEdgeType_INPUT_WEAK
	}
}
