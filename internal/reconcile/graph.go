package reconcile

import "slices"

// Graph says who reads and writes what.
type Graph []Node

// Node is one controller with its declarations.
type Node struct {
	Controller string
	Inputs     []Input
	Outputs    []Output
}

// Graph returns the registered controllers in the order of registration.
func (e *Engine) Graph() Graph {
	e.mu.Lock()
	defer e.mu.Unlock()

	graph := make(Graph, len(e.controllers))
	for i, entry := range e.controllers {
		graph[i] = Node{entry.controller.Name(), slices.Clone(entry.inputs), slices.Clone(entry.outputs)}
	}

	return graph
}

// Writers returns the controllers that write a type.
func (g Graph) Writers(resourceType string) []string {
	var names []string

	for _, node := range g {
		if slices.ContainsFunc(node.Outputs, func(o Output) bool { return o.Type == resourceType }) {
			names = append(names, node.Controller)
		}
	}

	return names
}
