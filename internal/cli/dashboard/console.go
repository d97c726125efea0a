package dashboard

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
	"golang.org/x/sys/unix"

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

// consoleInterval is the time between two looks on a machine's own console. They
// go on as long as the machine runs, mostly with nobody before it.
const consoleInterval = 5 * time.Second

// consoleLog is the service whose log is shown first.
const consoleLog = "machined"

// Console shows the machine that it runs on, on the machine's own console, with
// forms for its network and for how it gets its configuration. It asks the node
// by its socket and ends with ctx.
func Console(ctx context.Context, socket string, terminal *os.File) error {
	c, err := client.New(client.WithUnixSocket(socket))
	if err != nil {
		return fmt.Errorf("showing the machine: %w", err)
	}
	defer c.Close() //nolint:errcheck // nothing is left to do

	if err := giveSize(terminal); err != nil {
		return fmt.Errorf("showing the machine: %w", err)
	}

	local := &local{source: source{ctx: ctx, brief: true, target: &connect.Target{Nodes: []connect.Node{{Client: c}}}}}

	screen := newModel(1, consoleInterval, local)
	screen.ctx, screen.meta, screen.first = ctx, local, consoleLog

	_, err = tea.NewProgram(screen, tea.WithContext(ctx), tea.WithInput(terminal), tea.WithOutput(terminal)).Run()
	if ctx.Err() != nil {
		return nil
	}

	return err
}

// giveSize gives a terminal that does not know its size, such as a serial line,
// the usual one.
func giveSize(terminal *os.File) error {
	size, err := unix.IoctlGetWinsize(int(terminal.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return fmt.Errorf("asking for the size of terminal %s: %w", terminal.Name(), err)
	}

	if size.Row > 0 && size.Col > 0 {
		return nil
	}

	size.Row, size.Col = usualRows, usualColumns

	if err := unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, size); err != nil {
		return fmt.Errorf("setting the size of terminal %s: %w", terminal.Name(), err)
	}

	return nil
}

// local asks the machine that this program runs on.
type local struct {
	source

	mu          sync.Mutex
	fingerprint string    // of the API's certificate
	seen        time.Time // when it was looked at
}

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
	l.facts = append([]string{addresses(ctx, node)}, s.fingerprints(ctx)...)

	if l.ready {
		return l
	}

	if moment, err := why.Look(ctx, node); err == nil && !moment.Ready {
		l.unmet = nil // the causes say it better

		for _, cause := range moment.Node().Because {
			l.facts = append(l.facts, styleBad.Render(explain(cause)))
		}
	}

	return l
}

// fingerprintAge is how old what is shown about the certificate may be: looking
// at it takes a handshake.
const fingerprintAge = 30 * time.Second

// fingerprints are lines about how the machine's certificate is recognized.
func (s *local) fingerprints(ctx context.Context) []string {
	s.mu.Lock()
	defer s.mu.Unlock()

	if time.Since(s.seen) > fingerprintAge {
		if print, err := fingerprint(ctx); err == nil {
			s.fingerprint, s.seen = print, time.Now()
		}
	}

	if s.fingerprint == "" {
		return nil
	}

	return []string{"fingerprint " + s.fingerprint}
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

// addresses is a line about the addresses of the machine.
func addresses(ctx context.Context, node connect.Node) string {
	var address struct {
		Addresses []string `yaml:"addresses"`
	}

	object, err := objects.Get(ctx, node, network.NamespaceName, network.NodeAddress{}.Definition().Type, network.NodeAddressCurrentID)
	if err == nil && object.Decode(&address) == nil && len(address.Addresses) > 0 {
		return fmt.Sprintf("addresses   %s", joined(address.Addresses))
	}

	return styleBad.Render("addresses   none: press F2 to configure the network")
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
