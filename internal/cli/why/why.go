// Package why has the command that says what a node is waiting for.
package why

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/basalt-os/basalt/internal/cli/connect"
	"github.com/basalt-os/basalt/internal/cli/objects"
	"github.com/basalt-os/basalt/internal/diagnose"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/runtime"
	"github.com/basalt-os/basalt/pkg/client"
)

// New returns the command.
func New() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "why [what]",
		Short: "Say what a node, a service or a condition is waiting for, down to the root cause",
		Long: `Say what a node, a service or a condition is waiting for, down to the root cause.

Without an argument the answer is about the node as a whole. Otherwise it is about a
service, an unmet condition, a controller, or a resource: its type, or its type and id.`,
		Example: `  basaltctl why
  basaltctl why etcd
  basaltctl why staticPods --nodes 10.5.0.2
  basaltctl why kubeletspec kubelet`,
		Args: cobra.MaximumNArgs(2),
	}

	reach := connect.Add(cmd)
	cmd.RunE = reach.Run(func(cmd *cobra.Command, target *connect.Target, args []string) error {
		answers, err := connect.Each(cmd.Context(), target, func(ctx context.Context, n connect.Node) (diagnose.Cause, error) {
			return explain(ctx, n, args)
		})

		for _, answer := range answers {
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %s", answer.Node, answer.Value)
		}

		return err
	})
	cmd.ValidArgsFunction = reach.Complete(subjects)

	return cmd
}

// explain answers for one node.
func explain(ctx context.Context, n connect.Node, args []string) (diagnose.Cause, error) {
	moment, err := Look(ctx, n)
	if err != nil {
		return diagnose.Cause{}, err
	}

	switch len(args) {
	case 0:
		return moment.Node(), nil
	case 1:
		cause, err := moment.About(args[0])
		if !errors.Is(err, diagnose.ErrUnknown) {
			return cause, err
		}
	}

	definitions, err := objects.Definitions(ctx, n)
	if err != nil {
		return diagnose.Cause{}, err
	}

	definition, err := objects.Resolve(definitions, args[0])
	if err != nil {
		return diagnose.Cause{}, fmt.Errorf("%q: %w, and no such resource type", args[0], diagnose.ErrUnknown)
	}

	pointer := resource.Pointer{Namespace: definition.DefaultNamespace, Type: definition.Type}
	if len(args) == 2 {
		pointer.ID = args[1]
	}

	return moment.Resource(pointer), nil
}

// Look collects what a node is like now. What is asked of the result later is
// asked of the node then, within ctx.
func Look(ctx context.Context, n connect.Node) (diagnose.Moment, error) {
	var moment diagnose.Moment

	machine, err := objects.Get(ctx, n, runtime.NamespaceName, runtime.MachineStatus{}.Definition().Type, runtime.MachineStatusID)
	if err != nil {
		return moment, err
	}

	var spec struct {
		Stage  string `yaml:"stage"`
		Status struct {
			Ready bool `yaml:"ready"`
			Unmet []struct {
				Name   string `yaml:"name"`
				Reason string `yaml:"reason"`
			} `yaml:"unmetConditions"`
		} `yaml:"status"`
	}

	if err := machine.Decode(&spec); err != nil {
		return moment, err
	}

	moment.Stage, moment.Ready = spec.Stage, spec.Status.Ready
	for _, unmet := range spec.Status.Unmet {
		moment.Unmet = append(moment.Unmet, diagnose.Unmet(unmet))
	}

	if moment.Services, err = services(ctx, n); err != nil {
		return moment, err
	}

	statuses, err := controllers(ctx, n)
	if err != nil {
		return moment, err
	}

	moment.Situation = reconcile.Situation{
		Graph: reconcile.GraphOf(statuses), Statuses: statuses,
		Present: func(input reconcile.Input) bool { return present(ctx, n, input) },
	}

	return moment, nil
}

func services(ctx context.Context, n connect.Node) ([]diagnose.Service, error) {
	reply, err := client.Check(n.Machine.ServiceList(ctx, &emptypb.Empty{}))
	if err != nil {
		return nil, err
	}

	var list []diagnose.Service

	for _, message := range reply.GetMessages() {
		for _, info := range message.GetServices() {
			service := diagnose.Service{
				ID: info.GetId(), State: info.GetState(),
				Unknown: info.GetHealth().GetUnknown(), Healthy: info.GetHealth().GetHealthy(), Health: info.GetHealth().GetLastMessage(),
			}

			if events := info.GetEvents().GetEvents(); len(events) > 0 {
				service.Event = events[len(events)-1].GetMsg()
			}

			list = append(list, service)
		}
	}

	return list, nil
}

func controllers(ctx context.Context, n connect.Node) (map[string]reconcile.Status, error) {
	definition := reconcile.Status{}.Definition()

	list, err := objects.List(ctx, n, definition.Namespace, definition.Type)
	if err != nil {
		return nil, err
	}

	statuses := map[string]reconcile.Status{}

	for _, object := range list {
		var status reconcile.Status
		if err := object.Decode(&status); err != nil {
			return nil, err
		}

		statuses[object.Meta.GetId()] = status
	}

	return statuses, nil
}

// present says whether anything of an input exists. What may not be read counts
// as there, so that nobody is blamed for it.
func present(ctx context.Context, n connect.Node, input reconcile.Input) bool {
	if input.ID != "" {
		_, err := objects.Get(ctx, n, input.Namespace, input.Type, input.ID)

		return status.Code(err) != codes.NotFound
	}

	list, err := objects.List(ctx, n, input.Namespace, input.Type)

	return err != nil || len(list) > 0
}

// subjects lists what can be asked about.
func subjects(ctx context.Context, n connect.Node) ([]string, error) {
	moment, err := Look(ctx, n)

	var names []string
	for _, service := range moment.Services {
		names = append(names, service.ID)
	}

	for _, unmet := range moment.Unmet {
		names = append(names, unmet.Name)
	}

	for name := range moment.Situation.Statuses {
		names = append(names, name)
	}

	return names, err
}
