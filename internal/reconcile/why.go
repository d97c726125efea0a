package reconcile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/basalt-os/basalt/internal/resource"
)

// Situation is what Why reasons about: a moment of a node, as its engine or a
// client of its API sees it.
type Situation struct {
	Graph    Graph
	Statuses map[string]Status // by controller
	// Present says whether anything of an input exists: the one resource, or
	// any of the kind when the ID is empty.
	Present func(Input) bool
}

// Why explains what keeps a resource from being there, or from saying what is
// waited for, as a chain of sentences from the resource down to the root
// cause. Of several controllers that might write a resource the chain follows
// the one that has most to say: a failing one before a waiting one, that
// before one that has not run yet, and that before one that is content.
func (s Situation) Why(pointer resource.Pointer) []string {
	return s.missing(Input{Namespace: pointer.Namespace, Type: pointer.Type, ID: pointer.ID}, "exists", map[string]bool{})
}

// WhyController explains in the same way what a controller is waiting for.
func (s Situation) WhyController(name string) []string {
	return s.controller(name, map[string]bool{})
}

// missing explains why something does not exist, or does not say enough: that
// is what present says of it.
func (s Situation) missing(input Input, present string, seen map[string]bool) []string {
	state := "does not exist"
	if s.Present(input) {
		state = present
	}

	chain := []string{fmt.Sprintf("%s %s", input, state)}

	writers := s.Graph.Writers(input.Type)
	if len(writers) == 0 {
		return append(chain, fmt.Sprintf("no controller writes %s: it comes from outside", input.Type))
	}

	telling := slices.MinFunc(writers, func(a, b string) int {
		return s.telling(a) - s.telling(b)
	})

	return append(chain, s.controller(telling, seen)...)
}

// telling orders controllers by how much their state says, most first.
func (s Situation) telling(name string) int {
	status, ok := s.Statuses[name]
	if !ok {
		return len(states())
	}

	return slices.Index(states(), status.State)
}

// states are all states, the most telling first.
func states() []State { return []State{StateFailing, StateWaiting, StateStarting, StateIdle} }

// controller explains what a controller is doing.
func (s Situation) controller(name string, seen map[string]bool) []string {
	if seen[name] {
		return []string{fmt.Sprintf("%s waits for itself: the chain is a circle", name)}
	}

	seen[name] = true

	status, ok := s.Statuses[name]
	if !ok {
		return []string{fmt.Sprintf("%s does not run", name)}
	}

	switch status.State {
	case StateFailing:
		return []string{fmt.Sprintf("%s is failing (%d times in a row): %s", name, status.Failures, status.Error)}
	case StateWaiting:
		sentence := fmt.Sprintf("%s is waiting for %s", name, status.WaitingFor)
		if status.Reason != "" {
			sentence += ": " + status.Reason
		}

		return append([]string{sentence}, s.missing(parseInput(status.WaitingFor), "exists, but does not say what is waited for", seen)...)
	case StateStarting:
		return []string{fmt.Sprintf("%s has not finished its first run", name)}
	}

	return s.content(name, seen)
}

// content explains why a controller that is content has not written what is
// missed: one of its inputs is missing, or is not all there yet, or it has
// decided so.
func (s Situation) content(name string, seen map[string]bool) []string {
	i := slices.IndexFunc(s.Graph, func(n Node) bool { return n.Controller == name })
	if i < 0 || len(s.Graph[i].Inputs) == 0 {
		return []string{fmt.Sprintf("%s has run, and has found nothing to write", name)}
	}

	for _, input := range s.Graph[i].Inputs {
		if !s.Present(input) {
			sentence := fmt.Sprintf("%s has run, and there is no %s for it to read", name, input)

			return append([]string{sentence}, s.missing(input, "", seen)...)
		}
	}

	for _, input := range s.Graph[i].Inputs {
		for _, writer := range s.Graph.Writers(input.Type) {
			if state := s.Statuses[writer].State; state == StateFailing || state == StateWaiting {
				sentence := fmt.Sprintf("%s has run, but %s, from which it has %s, is %s", name, writer, input, state)

				return append([]string{sentence}, s.controller(writer, seen)...)
			}
		}
	}

	return []string{fmt.Sprintf("%s has run, with all its inputs there, and wants nothing more", name)}
}

// parseInput is the counterpart of Input.String.
func parseInput(text string) Input {
	parts := strings.SplitN(text, "/", 3)
	parts = append(parts, make([]string, 3-len(parts))...)

	return Input{Namespace: parts[0], Type: parts[1], ID: parts[2]}
}
