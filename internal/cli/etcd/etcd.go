// Package etcd has the commands that look after the members of etcd.
package etcd

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/cli/connect"
	"github.com/basalt-os/basalt/internal/cli/table"
)

// New returns the command "etcd" with its subcommands.
func New() *cobra.Command {
	cmd := &cobra.Command{Use: "etcd", Short: "Look after etcd, the database of Kubernetes"}
	reach := connect.Add(cmd)

	cmd.AddCommand(newMembers(reach), newStatus(reach), newSnapshot(reach), newLeave(reach), newForfeit(reach), newRemove(reach),
		newDefragment(reach), newAlarm(reach), newDowngrade(reach))

	return cmd
}

// memberID prints the id of a member as etcd does.
func memberID(id uint64) string { return strconv.FormatUint(id, 16) }

func newMembers(reach *connect.Flags) *cobra.Command {
	return &cobra.Command{
		Use:   "members",
		Short: "List the members of etcd, as each node sees them",
		Example: `  basaltctl etcd members
  basaltctl etcd members --nodes 10.5.0.2,10.5.0.4`,
		Args: cobra.NoArgs,
		RunE: reach.Run(func(cmd *cobra.Command, target *connect.Target, _ []string) error {
			answers, err := connect.Call(cmd.Context(), target, &machine.EtcdMemberListRequest{},
				func(n connect.Node) connect.Unary[*machine.EtcdMemberListRequest, *machine.EtcdMemberListResponse] {
					return n.Machine.EtcdMemberList
				})
			t := table.New(cmd.OutOrStdout(), "NODE", "ID", "HOSTNAME", "PEER URLS", "CLIENT URLS", "LEARNER")

			for _, answer := range answers {
				for _, message := range answer.Value.GetMessages() {
					for _, member := range message.GetMembers() {
						t.Row(answer.Node, memberID(member.GetId()), member.GetHostname(),
							strings.Join(member.GetPeerUrls(), ","), strings.Join(member.GetClientUrls(), ","), member.GetIsLearner())
					}
				}
			}

			return errors.Join(t.Flush(), err)
		}),
	}
}

func newStatus(reach *connect.Flags) *cobra.Command {
	return &cobra.Command{
		Use:     "status",
		Short:   "Show the state of members: size, leader and how far the log is",
		Example: "  basaltctl etcd status --nodes 10.5.0.2,10.5.0.4,10.5.0.5",
		Args:    cobra.NoArgs,
		RunE: reach.Run(func(cmd *cobra.Command, target *connect.Target, _ []string) error {
			answers, err := connect.Call(cmd.Context(), target, &emptypb.Empty{},
				func(n connect.Node) connect.Unary[*emptypb.Empty, *machine.EtcdStatusResponse] {
					return n.Machine.EtcdStatus
				})
			t := table.New(cmd.OutOrStdout(), "NODE", "MEMBER", "DB SIZE", "IN USE", "LEADER", "RAFT INDEX", "RAFT TERM",
				"RAFT APPLIED INDEX", "LEARNER", "PROTOCOL", "STORAGE", "ERRORS")

			for _, answer := range answers {
				for _, message := range answer.Value.GetMessages() {
					s := message.GetMemberStatus()
					t.Row(answer.Node, memberID(s.GetMemberId()), size(s.GetDbSize()), inUse(s), memberID(s.GetLeader()),
						s.GetRaftIndex(), s.GetRaftTerm(), s.GetRaftAppliedIndex(), s.GetIsLearner(), s.GetProtocolVersion(),
						s.GetStorageVersion(), strings.Join(s.GetErrors(), ", "))
				}
			}

			return errors.Join(t.Flush(), err)
		}),
	}
}

func size(bytes int64) string { return humanize.Bytes(uint64(max(bytes, 0))) }

// inUse says how much of the database is data.
func inUse(s *machine.EtcdMemberStatus) string {
	percent := 0.0
	if s.GetDbSize() > 0 {
		percent = 100 * float64(s.GetDbSizeInUse()) / float64(s.GetDbSize())
	}

	return fmt.Sprintf("%s (%.2f%%)", size(s.GetDbSizeInUse()), percent)
}

func newLeave(reach *connect.Flags) *cobra.Command {
	return &cobra.Command{
		Use:     "leave",
		Short:   "Take the members on nodes out of etcd",
		Example: "  basaltctl etcd leave --nodes 10.5.0.4",
		Args:    cobra.NoArgs,
		RunE: reach.Run(func(cmd *cobra.Command, target *connect.Target, _ []string) error {
			_, err := connect.Call(cmd.Context(), target, &machine.EtcdLeaveClusterRequest{},
				func(n connect.Node) connect.Unary[*machine.EtcdLeaveClusterRequest, *machine.EtcdLeaveClusterResponse] {
					return n.Machine.EtcdLeaveCluster
				})

			return err
		}),
	}
}

func newForfeit(reach *connect.Flags) *cobra.Command {
	return &cobra.Command{
		Use:     "forfeit-leadership",
		Short:   "Make the member on a node give the lead to another",
		Example: "  basaltctl etcd forfeit-leadership --nodes 10.5.0.2",
		Args:    cobra.NoArgs,
		RunE: reach.Run(func(cmd *cobra.Command, target *connect.Target, _ []string) error {
			answers, err := connect.Call(cmd.Context(), target, &machine.EtcdForfeitLeadershipRequest{},
				func(n connect.Node) connect.Unary[*machine.EtcdForfeitLeadershipRequest, *machine.EtcdForfeitLeadershipResponse] {
					return n.Machine.EtcdForfeitLeadership
				})

			for _, answer := range answers {
				for _, message := range answer.Value.GetMessages() {
					if message.GetMember() == "" {
						fmt.Fprintf(cmd.OutOrStdout(), "%s: does not lead\n", answer.Node)
					} else {
						fmt.Fprintf(cmd.OutOrStdout(), "%s: the new leader is %s\n", answer.Node, message.GetMember())
					}
				}
			}

			return err
		}),
	}
}

func newRemove(reach *connect.Flags) *cobra.Command {
	return &cobra.Command{
		Use:   "remove-member <member ID>",
		Short: "Take a member whose node is lost out of etcd",
		Long: `Take a member whose node is lost out of etcd.

"basaltctl etcd members" lists the ids. The member of a node that still works
leaves with "basaltctl etcd leave".`,
		Example: "  basaltctl etcd remove-member 8e9e05c52164694d --nodes 10.5.0.2",
		Args:    cobra.ExactArgs(1),
		RunE: reach.Run(func(cmd *cobra.Command, target *connect.Target, args []string) error {
			id, err := strconv.ParseUint(args[0], 16, 64)
			if err != nil {
				return fmt.Errorf("member %q: give the id that \"basaltctl etcd members\" shows", args[0])
			}

			return target.Only(cmd.Context(), func(ctx context.Context, n connect.Node) error {
				_, err := n.Machine.EtcdRemoveMemberByID(ctx, &machine.EtcdRemoveMemberByIDRequest{MemberId: id})

				return err
			})
		}),
	}
}

func newDefragment(reach *connect.Flags) *cobra.Command {
	return &cobra.Command{
		Use:   "defrag",
		Short: "Give the free space in a member's database back to the disk",
		Long: `Give the free space in a member's database back to the disk.

Meanwhile the member answers nobody: do it on one node after the other.`,
		Example: "  basaltctl etcd defrag --nodes 10.5.0.2",
		Args:    cobra.NoArgs,
		RunE: reach.Run(func(cmd *cobra.Command, target *connect.Target, _ []string) error {
			// One after the other, whatever the number of nodes.
			for _, node := range target.Nodes {
				one := &connect.Target{Nodes: []connect.Node{node}}

				err := connect.Do(cmd.Context(), one, func(ctx context.Context, n connect.Node) error {
					_, err := n.Machine.EtcdDefragment(ctx, &emptypb.Empty{})

					return err
				})
				if err != nil {
					return err
				}
			}

			return nil
		}),
	}
}

func newAlarm(reach *connect.Flags) *cobra.Command {
	cmd := &cobra.Command{Use: "alarm", Short: "Show and end the alarms of etcd"}

	cmd.AddCommand(
		&cobra.Command{
			Use:     "list",
			Short:   "List the alarms",
			Example: "  basaltctl etcd alarm list",
			Args:    cobra.NoArgs,
			RunE: reach.Run(func(cmd *cobra.Command, target *connect.Target, _ []string) error {
				answers, err := connect.Call(cmd.Context(), target, &emptypb.Empty{},
					func(n connect.Node) connect.Unary[*emptypb.Empty, *machine.EtcdAlarmListResponse] {
						return n.Machine.EtcdAlarmList
					})
				t := newAlarmTable(cmd)

				for _, answer := range answers {
					for _, message := range answer.Value.GetMessages() {
						addAlarms(t, answer.Node, message.GetMemberAlarms())
					}
				}

				return errors.Join(t.Flush(), err)
			}),
		},
		&cobra.Command{
			Use:     "disarm",
			Short:   "End the alarms, when their cause is gone",
			Example: "  basaltctl etcd alarm disarm --nodes 10.5.0.2",
			Args:    cobra.NoArgs,
			RunE: reach.Run(func(cmd *cobra.Command, target *connect.Target, _ []string) error {
				answers, err := connect.Call(cmd.Context(), target, &emptypb.Empty{},
					func(n connect.Node) connect.Unary[*emptypb.Empty, *machine.EtcdAlarmDisarmResponse] {
						return n.Machine.EtcdAlarmDisarm
					})
				t := newAlarmTable(cmd)

				for _, answer := range answers {
					for _, message := range answer.Value.GetMessages() {
						addAlarms(t, answer.Node, message.GetMemberAlarms())
					}
				}

				return errors.Join(t.Flush(), err)
			}),
		},
	)

	return cmd
}

func newAlarmTable(cmd *cobra.Command) *table.Table {
	return table.New(cmd.OutOrStdout(), "NODE", "MEMBER", "ALARM")
}

func addAlarms(t *table.Table, node string, alarms []*machine.EtcdMemberAlarm) {
	for _, alarm := range alarms {
		t.Row(node, memberID(alarm.GetMemberId()), alarm.GetAlarm())
	}
}
