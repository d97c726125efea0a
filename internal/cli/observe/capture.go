package observe

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/cli/connect"
	"github.com/basalt-os/basalt/pkg/client"
)

// captureOptions are the flags of "pcap".
type captureOptions struct {
	link, filter, output string
	duration             time.Duration
	promiscuous          bool
	length               int
}

func newCapture() *cobra.Command {
	var o captureOptions

	cmd := &cobra.Command{
		Use:     "pcap",
		Aliases: []string{"tcpdump"},
		Short:   "Capture the packets of a node's link",
		Long: `Capture the packets of a node's link, as a file that tcpdump and wireshark read.

The file goes to the standard output, or with --output to a file. A filter is a
program of the Berkeley packet filter as "tcpdump -dd" prints it.`,
		Example: `  basaltctl pcap -i eth0 | tcpdump -r - -n
  basaltctl pcap -i eth0 --duration 10s -o node.pcap
  basaltctl pcap -i lo --bpf-filter "$(tcpdump -dd -y EN10MB port 6443)" -o api.pcap`,
		Args: cobra.NoArgs,
	}

	reach := connect.Add(cmd)
	flags := cmd.Flags()
	flags.StringVarP(&o.link, "interface", "i", "eth0", "link to listen on")
	flags.StringVar(&o.filter, "bpf-filter", "", "packets to capture, as a program that tcpdump -dd prints")
	flags.StringVarP(&o.output, "output", "o", "", "file to write (default: the standard output)")
	flags.DurationVar(&o.duration, "duration", 0, "how long to capture (default: until interrupted)")
	flags.BoolVar(&o.promiscuous, "promiscuous", false, "capture packets for other machines too")
	flags.IntVarP(&o.length, "snaplen", "s", 4096, "how many bytes of each packet to capture")
	_ = flags.MarkDeprecated("snaplen", "packets are captured as far as they matter") // the flag exists

	cmd.RunE = reach.Run(func(cmd *cobra.Command, target *connect.Target, _ []string) error {
		return target.Only(cmd.Context(), func(ctx context.Context, n connect.Node) error {
			return o.run(ctx, n, cmd.OutOrStdout())
		})
	})

	return cmd
}

func (o *captureOptions) run(ctx context.Context, node connect.Node, out io.Writer) (err error) {
	filter, err := parseFilter(o.filter)
	if err != nil {
		return err
	}

	if o.output != "" && o.output != "-" {
		file, err := os.Create(o.output)
		if err != nil {
			return fmt.Errorf("writing packets: %w", err)
		}

		defer func() { err = errors.Join(err, file.Close()) }()

		out = file
	}

	if o.duration > 0 {
		var cancel context.CancelFunc

		ctx, cancel = context.WithTimeout(ctx, o.duration)
		defer cancel()
	}

	reader, err := client.NewReader(node.Machine.PacketCapture(ctx, &machine.PacketCaptureRequest{
		Interface: o.link, Promiscuous: o.promiscuous, SnapLen: uint32(o.length), BpfFilter: filter,
	}))
	if err != nil {
		return err
	}

	_, err = reader.WriteTo(out)

	// Only the end of the time, or the user, ends a capture.
	if code := status.Code(err); code == codes.DeadlineExceeded || code == codes.Canceled {
		return nil
	}

	return err
}

// parseFilter reads a program in the form of C initializers, an instruction
// per line: { 0x28, 0, 0, 0x0000000c },
func parseFilter(text string) ([]*machine.BPFInstruction, error) {
	var program []*machine.BPFInstruction

	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" {
			continue
		}

		instruction := &machine.BPFInstruction{}
		fields := strings.NewReplacer("{", " ", "}", " ", ",", " ").Replace(line)

		if n, err := fmt.Sscan(fields, &instruction.Op, &instruction.Jt, &instruction.Jf, &instruction.K); n != 4 || err != nil {
			return nil, fmt.Errorf("--bpf-filter: %q is no instruction as tcpdump -dd prints it", line)
		}

		program = append(program, instruction)
	}

	return program, lines.Err()
}
