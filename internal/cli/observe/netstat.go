package observe

import (
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/cli/connect"
	"github.com/basalt-os/basalt/internal/cli/table"
)

// netstatOptions are the flags of "netstat".
type netstatOptions struct {
	all, listening             bool
	extend, pods, programs     bool
	timers, verbose            bool
	tcp, udp, udplite, raw     bool
	onlyVersion4, onlyVersion6 bool
}

func newNetstat() *cobra.Command {
	var o netstatOptions

	cmd := &cobra.Command{
		Use:     "netstat",
		Aliases: []string{"ss"},
		Short:   "List network connections and sockets",
		Long: `List network connections and sockets.

Without --all and --listening, connected sockets are listed; without a protocol,
those of all protocols. An argument "namespace/pod" lists those of a pod.`,
		Example: `  basaltctl netstat
  basaltctl netstat -l -t -p --nodes 10.5.0.2
  basaltctl netstat -k -a`,
		Args: cobra.MaximumNArgs(1),
	}

	reach := connect.Add(cmd)
	flags := cmd.Flags()
	flags.BoolVarP(&o.all, "all", "a", false, "all sockets, connected or listening")
	flags.BoolVarP(&o.listening, "listening", "l", false, "listening sockets")
	flags.BoolVarP(&o.extend, "extend", "x", false, "print owner and inode too")
	flags.BoolVarP(&o.onlyVersion4, "ipv4", "4", false, "only IPv4")
	flags.BoolVarP(&o.onlyVersion6, "ipv6", "6", false, "only IPv6")
	flags.BoolVarP(&o.pods, "pods", "k", false, "sockets of pods too")
	flags.BoolVarP(&o.programs, "programs", "p", false, "print the process of each socket")
	flags.BoolVarP(&o.raw, "raw", "w", false, "raw sockets")
	flags.BoolVarP(&o.tcp, "tcp", "t", false, "TCP")
	flags.BoolVarP(&o.timers, "timers", "o", false, "print timers")
	flags.BoolVarP(&o.udp, "udp", "u", false, "UDP")
	flags.BoolVarP(&o.udplite, "udplite", "U", false, "UDP-Lite")
	flags.BoolVarP(&o.verbose, "verbose", "v", false, "print everything that is known")

	cmd.RunE = reach.Run(func(cmd *cobra.Command, target *connect.Target, args []string) error {
		request := o.build(args)
		answers, err := connect.Call(cmd.Context(), target, request,
			func(n connect.Node) connect.Unary[*machine.NetstatRequest, *machine.NetstatResponse] {
				return n.Machine.Netstat
			})
		t := table.New(cmd.OutOrStdout(), o.headings()...)

		for _, answer := range answers {
			for _, record := range first(answer.Value.GetMessages()).GetConnectrecord() {
				t.Row(o.row(answer.Node, record)...)
			}
		}

		return errors.Join(t.Flush(), err)
	})

	return cmd
}

// build makes the request that the flags ask for.
func (o *netstatOptions) build(pods []string) *machine.NetstatRequest {
	filter := machine.NetstatRequest_CONNECTED

	switch {
	case o.all:
		filter = machine.NetstatRequest_ALL
	case o.listening:
		filter = machine.NetstatRequest_LISTENING
	}

	every := !o.tcp && !o.udp && !o.udplite && !o.raw
	four := o.onlyVersion4 || !o.onlyVersion6
	six := o.onlyVersion6 || !o.onlyVersion4

	return &machine.NetstatRequest{
		Filter:  filter,
		Feature: &machine.NetstatRequest_Feature{Pid: o.programs || o.verbose},
		L4Proto: &machine.NetstatRequest_L4Proto{
			Tcp: (every || o.tcp) && four, Tcp6: (every || o.tcp) && six,
			Udp: (every || o.udp) && four, Udp6: (every || o.udp) && six,
			Udplite: (every || o.udplite) && four, Udplite6: (every || o.udplite) && six,
			Raw: (every || o.raw) && four, Raw6: (every || o.raw) && six,
		},
		Netns: &machine.NetstatRequest_NetNS{Hostnetwork: len(pods) == 0, Netns: pods, Allnetns: o.pods},
	}
}

func (o *netstatOptions) headings() []string {
	headings := []string{"NODE", "PROTO", "RECV-Q", "SEND-Q", "LOCAL ADDRESS", "FOREIGN ADDRESS", "STATE"}

	if o.extend || o.verbose {
		headings = append(headings, "UID", "INODE")
	}

	if o.programs || o.verbose {
		headings = append(headings, "PID/PROGRAM")
	}

	if o.pods {
		headings = append(headings, "NETNS")
	}

	if o.timers || o.verbose {
		headings = append(headings, "TIMER")
	}

	return headings
}

func (o *netstatOptions) row(node string, r *machine.ConnectRecord) []any {
	state := r.GetState().String()
	if r.GetState() == machine.ConnectRecord_RESERVED {
		state = ""
	}

	row := []any{
		node, r.GetL4Proto(), r.GetRxqueue(), r.GetTxqueue(),
		socketAddress(r.GetLocalip(), r.GetLocalport()), socketAddress(r.GetRemoteip(), r.GetRemoteport()), state,
	}

	if o.extend || o.verbose {
		row = append(row, r.GetUid(), r.GetInode())
	}

	if o.programs || o.verbose {
		program := "-"
		if r.GetProcess().GetPid() != 0 {
			program = fmt.Sprintf("%d/%s", r.GetProcess().GetPid(), r.GetProcess().GetName())
		}

		row = append(row, program)
	}

	if o.pods {
		row = append(row, orDash(r.GetNetns()))
	}

	if o.timers || o.verbose {
		row = append(row, fmt.Sprintf("%s (%d/%d)", r.GetTr(), r.GetTimerwhen(), r.GetRetrnsmt()))
	}

	return row
}

// socketAddress prints an address with its port, "*" for any port.
func socketAddress(host string, port uint32) string {
	if port == 0 {
		return net.JoinHostPort(host, "*")
	}

	return net.JoinHostPort(host, strconv.FormatUint(uint64(port), 10))
}
