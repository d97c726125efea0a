package reconcile

import (
	"fmt"
	"slices"
	"strings"
)

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

// GraphOf is the graph that the statuses of controllers tell, by name. Clients
// of the API build it so; it does not have the modes of inputs, nor which
// outputs are shared.
func GraphOf(statuses map[string]Status) Graph {
	var graph Graph

	for name, status := range statuses {
		node := Node{Controller: name}

		for _, text := range status.Inputs {
			node.Inputs = append(node.Inputs, parseInput(text))
		}

		for _, text := range status.Outputs {
			node.Outputs = append(node.Outputs, Output{Type: text})
		}

		graph = append(graph, node)
	}

	slices.SortFunc(graph, func(a, b Node) int { return strings.Compare(a.Controller, b.Controller) })

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

// String lists the controllers with what they read and write, a line each.
func (g Graph) String() string {
	var text strings.Builder

	for _, node := range g {
		fmt.Fprintln(&text, node.Controller)

		for _, input := range node.Inputs {
			fmt.Fprintf(&text, "  reads %s%s\n", input, [...]string{"", ", keeping it", ", when it is ready to go"}[input.Mode])
		}

		for _, output := range node.Outputs {
			fmt.Fprintf(&text, "  writes %s%s\n", output.Type, map[bool]string{true: ", as others do"}[output.Shared])
		}
	}

	return text.String()
}
