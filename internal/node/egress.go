package node

import (
	"context"
	"os"
	"slices"
	"strings"

	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/controllers/files"
	"github.com/basalt-os/basalt/internal/egress"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/runtime"
)

// newEgress is how the clients of this very process reach servers elsewhere:
// as the configuration says, and before there is one, as the environment says
// that the process was started with.
func (n *Node) newEgress() *egress.Way {
	return &egress.Way{
		Variables: func(ctx context.Context) ([]string, error) {
			variables, err := n.variables(ctx)

			return append(os.Environ(), variables...), err
		},
		Bundle: "/etc/" + files.TrustedRootsName,
	}
}

// variables are the environment variables of the configuration.
func (n *Node) variables(ctx context.Context) ([]string, error) {
	found, err := derive.Find[runtime.Environment](ctx, n.store, runtime.EnvironmentID)
	if err != nil {
		return nil, err
	}

	return variablesOf(found), nil
}

func variablesOf(found *resource.Resource[runtime.Environment]) []string {
	if found == nil {
		return nil
	}

	return found.Spec.Variables
}

// serviceEnvironment is what a service gets that may reach servers elsewhere:
// what every process gets, and the variables of the configuration.
func (n *Node) serviceEnvironment(ctx context.Context) ([]string, error) {
	variables, err := n.variables(ctx)
	if err != nil {
		return nil, err
	}

	return overlay(n.environment(), variables), nil
}

// overlay is an environment with other variables laid over it. No name is there
// twice: programs do not agree which of them counts.
func overlay(environment, variables []string) []string {
	name := func(variable string) string {
		name, _, _ := strings.Cut(variable, "=")

		return name
	}

	replaced := func(variable string) bool {
		return slices.ContainsFunc(variables, func(other string) bool { return name(other) == name(variable) })
	}

	return append(slices.DeleteFunc(slices.Clone(environment), replaced), variables...)
}

// staleEnvironment returns when the configuration has other variables than at
// the time of the call.
func (n *Node) staleEnvironment(ctx context.Context) error {
	begin, err := n.variables(ctx)
	if err != nil {
		return err
	}

	_, err = resource.WaitFor(ctx, n.store, runtime.EnvironmentID, otherVariables(begin))

	return err
}

// otherVariables says of an environment whether it differs from what it was.
// One without variables is like none.
func otherVariables(begin []string) func(now *resource.Resource[runtime.Environment]) bool {
	return func(now *resource.Resource[runtime.Environment]) bool { return !slices.Equal(begin, variablesOf(now)) }
}
