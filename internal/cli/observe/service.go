package observe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/cli/connect"
	"github.com/basalt-os/basalt/internal/cli/table"
	"github.com/basalt-os/basalt/pkg/client"
)

func newService() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "service [<id> [start|stop|restart|status]]",
		Aliases: []string{"services"},
		Short:   "Show the services of nodes, and start, stop or restart one",
		Example: `  basaltctl service
  basaltctl service etcd
  basaltctl service kubelet restart --nodes 10.5.0.3`,
		Args: cobra.MaximumNArgs(2),
	}

	reach := connect.Add(cmd)
	reach.AddInsecure(cmd)

	cmd.RunE = reach.Run(func(cmd *cobra.Command, target *connect.Target, args []string) error {
		switch {
		case len(args) == 0:
			return listServices(cmd, target)
		case len(args) == 1 || args[1] == "status":
			return showService(cmd, target, args[0])
		default:
			return operateService(cmd, target, args[0], args[1])
		}
	})

	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		switch len(args) {
		case 0:
			return reach.Ask(cmd, serviceIDs), cobra.ShellCompDirectiveNoFileComp
		case 1:
			return []string{"status", "start", "stop", "restart"}, cobra.ShellCompDirectiveNoFileComp
		default:
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
	}

	return cmd
}

// serviceIDs lists the services of a node.
func serviceIDs(ctx context.Context, n connect.Node) ([]string, error) {
	list, err := client.Check(n.Machine.ServiceList(ctx, &emptypb.Empty{}))

	var ids []string
	for _, message := range list.GetMessages() {
		for _, service := range message.GetServices() {
			ids = append(ids, service.GetId())
		}
	}

	return ids, err
}

func askServices(cmd *cobra.Command, target *connect.Target) ([]connect.Answer[*machine.ServiceListResponse], error) {
	return connect.Call(cmd.Context(), target, &emptypb.Empty{},
		func(n connect.Node) connect.Unary[*emptypb.Empty, *machine.ServiceListResponse] {
			return n.Machine.ServiceList
		})
}

func listServices(cmd *cobra.Command, target *connect.Target) error {
	answers, err := askServices(cmd, target)
	t := table.New(cmd.OutOrStdout(), "NODE", "SERVICE", "STATE", "HEALTH", "LAST CHANGE", "LAST EVENT")

	for _, answer := range answers {
		for _, message := range answer.Value.GetMessages() {
			for _, service := range message.GetServices() {
				change, event := "-", "-"

				if events := service.GetEvents().GetEvents(); len(events) > 0 {
					last := events[len(events)-1]
					change, event = ago(last.GetTs()), last.GetMsg()
				}

				t.Row(answer.Node, service.GetId(), service.GetState(), health(service.GetHealth()), change, event)
			}
		}
	}

	return errors.Join(t.Flush(), err)
}

// health says in a word or two whether a service is healthy.
func health(h *machine.ServiceHealth) string {
	switch {
	case h == nil || h.GetUnknown():
		return "?"
	case h.GetHealthy():
		return "OK"
	default:
		return "Fail"
	}
}

func showService(cmd *cobra.Command, target *connect.Target, id string) error {
	answers, err := askServices(cmd, target)
	out := cmd.OutOrStdout()

	var missing client.Errors

	for _, answer := range answers {
		found := false

		for _, message := range answer.Value.GetMessages() {
			for _, service := range message.GetServices() {
				if service.GetId() == id {
					found = true

					printService(out, answer.Node, service)
				}
			}
		}

		if !found {
			missing = append(missing, &client.NodeError{Node: answer.Node, Err: fmt.Errorf("there is no service %q", id)})
		}
	}

	if len(missing) > 0 {
		err = errors.Join(err, missing)
	}

	return err
}

func printService(out io.Writer, node string, service *machine.ServiceInfo) {
	fmt.Fprintf(out, "%-10s %s\n%-10s %s\n%-10s %s\n%-10s %s\n",
		"NODE", node, "ID", service.GetId(), "STATE", service.GetState(), "HEALTH", health(service.GetHealth()))

	if message := service.GetHealth().GetLastMessage(); message != "" {
		fmt.Fprintf(out, "%-10s %s\n", "REASON", message)
	}

	label := "EVENTS"

	events := service.GetEvents().GetEvents()
	for i := len(events) - 1; i >= 0; i-- {
		event := events[i]
		fmt.Fprintf(out, "%-10s [%s]: %s (%s)\n", label, event.GetState(), event.GetMsg(), ago(event.GetTs()))

		label = ""
	}

	fmt.Fprintln(out)
}

// operateTimeout bounds the start or stop of a service.
const operateTimeout = 5 * time.Minute

func operateService(cmd *cobra.Command, target *connect.Target, id, action string) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), operateTimeout)
	defer cancel()

	answers, err := connect.Each(ctx, target, func(ctx context.Context, n connect.Node) (string, error) {
		switch action {
		case "start":
			reply, err := client.Check(n.Machine.ServiceStart(ctx, &machine.ServiceStartRequest{Id: id}))

			return first(reply.GetMessages()).GetResp(), err
		case "stop":
			reply, err := client.Check(n.Machine.ServiceStop(ctx, &machine.ServiceStopRequest{Id: id}))

			return first(reply.GetMessages()).GetResp(), err
		case "restart":
			reply, err := client.Check(n.Machine.ServiceRestart(ctx, &machine.ServiceRestartRequest{Id: id}))

			return first(reply.GetMessages()).GetResp(), err
		default:
			return "", fmt.Errorf("there is no action %q; say start, stop, restart or status", action)
		}
	})

	t := table.New(cmd.OutOrStdout(), "NODE", "RESPONSE")
	for _, answer := range answers {
		t.Row(answer.Node, answer.Value)
	}

	return errors.Join(t.Flush(), err)
}

// first returns the first message of a list, and the zero message when there
// is none.
func first[M any](messages []M) M {
	if len(messages) == 0 {
		var none M

		return none
	}

	return messages[0]
}
