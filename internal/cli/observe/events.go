package observe

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/cli/connect"
	"github.com/basalt-os/basalt/pkg/client"
)

func newEvents() *cobra.Command {
	var (
		actor, since string
		duration     time.Duration
		tail         int32
	)

	cmd := &cobra.Command{
		Use:   "events",
		Short: "Print what happens on nodes, as it happens",
		Example: `  basaltctl events
  basaltctl events --tail -1 --nodes 10.5.0.2
  basaltctl events --duration 10s
  basaltctl events --since c8nq4k0m0h3c73d0abcg`,
		Args: cobra.NoArgs,
	}

	reach := connect.Add(cmd)
	cmd.Flags().StringVar(&actor, "actor-id", "", "only what the API call with this id caused")
	cmd.Flags().DurationVar(&duration, "duration", 0, "begin with what happened in the time before now")
	cmd.Flags().StringVar(&since, "since", "", "begin after the event with this id")
	cmd.Flags().Int32Var(&tail, "tail", 0, "begin with this many past events (-1: all that there are)")
	cmd.MarkFlagsMutuallyExclusive("duration", "since", "tail")

	cmd.RunE = reach.Run(func(cmd *cobra.Command, target *connect.Target, _ []string) error {
		request := &machine.EventsRequest{TailEvents: tail, TailId: since, WithActorId: actor}

		if duration > 0 {
			request.TailSeconds = int32((duration + time.Second - 1) / time.Second)
		}

		return printEvents(cmd, target, request)
	})

	return cmd
}

// printEvents prints events until the user has seen enough.
func printEvents(cmd *cobra.Command, target *connect.Target, request *machine.EventsRequest) error {
	var mu sync.Mutex

	out := cmd.OutOrStdout()
	format := "%-16s %-22s %-28s %-38s %-24s %s\n"
	fmt.Fprintf(out, format, "NODE", "ID", "EVENT", "ACTOR", "SOURCE", "MESSAGE")

	err := connect.Do(cmd.Context(), target, func(ctx context.Context, n connect.Node) error {
		for event, err := range client.Events(n.Machine.Events(ctx, request)) {
			if err != nil {
				return err
			}

			kind, source, message := describe(event.Payload)

			mu.Lock()
			fmt.Fprintf(out, format, n.Name, event.ID, kind, orDash(event.ActorID), source, message)
			mu.Unlock()
		}

		return nil
	})
	if cmd.Context().Err() != nil {
		return nil
	}

	return err
}

// describe says what an event is about and what happened.
func describe(payload proto.Message) (kind, source, message string) {
	kind = string(payload.ProtoReflect().Descriptor().FullName())

	switch event := payload.(type) {
	case *machine.SequenceEvent:
		message = event.GetAction().String()
		if event.GetError() != nil {
			message = "error: " + event.GetError().GetMessage()
		}

		return kind, event.GetSequence(), message
	case *machine.PhaseEvent:
		return kind, event.GetPhase(), event.GetAction().String()
	case *machine.TaskEvent:
		return kind, event.GetTask(), event.GetAction().String()
	case *machine.ServiceStateEvent:
		return kind, event.GetService(), fmt.Sprintf("%s: %s", event.GetAction(), event.GetMessage())
	case *machine.ConfigLoadErrorEvent:
		return kind, "config", event.GetError()
	case *machine.ConfigValidationErrorEvent:
		return kind, "config", event.GetError()
	case *machine.AddressEvent:
		return kind, event.GetHostname(), fmt.Sprintf("addresses: %v", event.GetAddresses())
	case *machine.MachineStatusEvent:
		message = fmt.Sprintf("ready: %t", event.GetStatus().GetReady())
		for _, unmet := range event.GetStatus().GetUnmetConditions() {
			message += fmt.Sprintf(", %s: %s", unmet.GetName(), unmet.GetReason())
		}

		return kind, event.GetStage().String(), message
	default:
		return kind, "-", fmt.Sprint(payload)
	}
}
