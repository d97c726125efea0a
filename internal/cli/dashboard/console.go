package dashboard

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/cli/connect"
	"github.com/basalt-os/basalt/internal/cli/objects"
	"github.com/basalt-os/basalt/internal/cli/why"
	"github.com/basalt-os/basalt/internal/diagnose"
	"github.com/basalt-os/basalt/internal/metapart"
	"github.com/basalt-os/basalt/internal/resources/network"
	"github.com/basalt-os/basalt/pkg/client"
	"github.com/basalt-os/basalt/pkg/secrets"
)

// consoleInterval is the time between two looks on a machine's own console.
const consoleInterval = 3 * time.Second

// Console shows the machine that it runs on, on the machine's own console, with
// forms for its network and for how it gets its configuration. It asks the node
// by its socket and ends with ctx.
func Console(ctx context.Context, socket string, terminal *os.File) error {
	c, err := client.New(client.WithUnixSocket(socket))
	if err != nil {
		return fmt.Errorf("showing the machine: %w", err)
	}
	defer c.Close() //nolint:errcheck // nothing is left to do

	local := &local{source: source{ctx: ctx, target: &connect.Target{Nodes: []connect.Node{{Client: c}}}}}

	screen := newModel(1, consoleInterval, local)
	screen.ctx, screen.meta, screen.kernel = ctx, local, true

	_, err = tea.NewProgram(screen, tea.WithContext(ctx), tea.WithInput(terminal), tea.WithOutput(terminal)).Run()
	if ctx.Err() != nil {
		return nil
	}

	return err
}

// local asks the machine that this program runs on.
type local struct{ source }

// look implements [looker]: it adds what a person before the machine wants to
// know.
func (s *local) look(i int) look {
	l := s.source.look(i)
	if l.err != nil {
		return l
	}

	node := s.target.Nodes[i]

	ctx, cancel := context.WithTimeout(s.ctx, lookTimeout)
	defer cancel()

	l.node = hostname(ctx, node)
	l.facts = facts(ctx, node)

	if moment, err := why.Look(ctx, node); err == nil && !moment.Ready {
		l.unmet = nil // the causes say it better

		for _, cause := range moment.Node().Because {
			l.facts = append(l.facts, styleBad.Render(explain(cause)))
		}
	}

	return l
}

// explain is a cause with the one that is behind all.
func explain(cause diagnose.Cause) string {
	root := cause
	for len(root.Because) > 0 {
		root = root.Because[0]
	}

	if root.Text == cause.Text {
		return cause.Text
	}

	return cause.Text + " (" + root.Text + ")"
}

// hostname is what the machine is called.
func hostname(ctx context.Context, node connect.Node) string {
	var spec struct {
		Hostname string `yaml:"hostname"`
	}

	object, err := objects.Get(ctx, node, network.NamespaceName, network.HostnameStatus{}.Definition().Type, network.HostnameID)
	if err != nil || object.Decode(&spec) != nil || spec.Hostname == "" {
		return "this machine"
	}

	return spec.Hostname
}

// facts are lines about the machine: addresses, and how its certificate
// is recognized.
func facts(ctx context.Context, node connect.Node) []string {
	var lines []string

	var address struct {
		Addresses []string `yaml:"addresses"`
	}

	object, err := objects.Get(ctx, node, network.NamespaceName, network.NodeAddress{}.Definition().Type, network.NodeAddressCurrentID)
	if err == nil && object.Decode(&address) == nil && len(address.Addresses) > 0 {
		lines = append(lines, fmt.Sprintf("addresses   %s", joined(address.Addresses)))
	} else {
		lines = append(lines, styleBad.Render("addresses   none: press F2 to configure the network"))
	}

	if print, err := fingerprint(ctx); err == nil {
		lines = append(lines, "fingerprint "+print)
	}

	return lines
}

func joined(words []string) string {
	const most = 6

	text := ""

	for i, word := range words {
		if i == most {
			return text + " ..."
		}

		if i > 0 {
			text += "  "
		}

		text += word
	}

	return text
}

// fingerprint is that of the certificate that the machine's API shows now.
func fingerprint(ctx context.Context) (string, error) {
	dialer := tls.Dialer{Config: &tls.Config{
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true, //nolint:gosec // the certificate is looked at, nothing is said
	}}

	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(client.DefaultPort)))
	if err != nil {
		return "", err
	}
	defer conn.Close() //nolint:errcheck // nothing was said

	secure, ok := conn.(*tls.Conn)
	if !ok || len(secure.ConnectionState().PeerCertificates) == 0 {
		return "", fmt.Errorf("looking at the certificate of the API: there is none")
	}

	return secrets.Fingerprint(secure.ConnectionState().PeerCertificates[0]), nil
}

// writeMeta implements [metaWriter].
func (s *local) writeMeta(ctx context.Context, key metapart.Key, value []byte) error {
	_, err := client.Check(s.target.Nodes[0].Machine.MetaWrite(ctx, &machine.MetaWriteRequest{Key: uint32(key), Value: value}))
	if err != nil {
		return fmt.Errorf("writing META: %s", client.Message(err))
	}

	return nil
}
