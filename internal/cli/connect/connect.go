// Package connect is how commands reach nodes: the flags that say where they
// are, the connection, and asking several nodes at once.
package connect

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/spf13/cobra"

	"github.com/basalt-os/basalt/pkg/client"
	"github.com/basalt-os/basalt/pkg/client/clientconfig"
)

// Flags are the flags of every command that talks to nodes.
type Flags struct {
	config, context, cluster string
	nodes, endpoints         []string

	insecure     bool
	fingerprints []string
}

// Add returns the flags of a command and its subcommands.
func Add(cmd *cobra.Command) *Flags {
	f := &Flags{}
	flags := cmd.PersistentFlags()

	flags.StringVar(&f.config, "talosconfig", "",
		"client configuration file (default: $BASALTCONFIG, $TALOSCONFIG, ~/.basalt/config or ~/.talos/config)")
	flags.StringVar(&f.context, "context", "", "context of the client configuration (default: the current one)")
	flags.StringVarP(&f.cluster, "cluster", "c", "", "cluster to reach through an endpoint that stands before several")
	flags.StringSliceVarP(&f.nodes, "nodes", "n", nil, "nodes that shall answer (default: those of the context)")
	flags.StringSliceVarP(&f.endpoints, "endpoints", "e", nil, "addresses to connect to (default: those of the context)")

	for name, complete := range map[string]cobra.CompletionFunc{
		"context": f.CompleteContexts, "nodes": f.completeNodes, "endpoints": f.completeNodes,
	} {
		// The only errors are about flags that do not exist.
		_ = cmd.RegisterFlagCompletionFunc(name, complete)
	}

	return f
}

// AddInsecure adds the flags by which a command reaches machines that have no
// configuration yet.
func (f *Flags) AddInsecure(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&f.insecure, "insecure", "i", false,
		"connect straight to machines in maintenance mode, which cannot prove who they are")
	cmd.Flags().StringSliceVar(&f.fingerprints, "cert-fingerprint", nil,
		"with --insecure: accept only certificates with these fingerprints, which machines show on their consoles")
}

// ConfigPath returns the path of the client configuration, or "" for the
// usual places.
func (f *Flags) ConfigPath() string { return f.config }

// ContextName returns the name of the context that was asked for, or "".
func (f *Flags) ContextName() string { return f.context }

// Config reads the client configuration.
func (f *Flags) Config() (*clientconfig.Config, error) { return clientconfig.Load(f.config) }

// Target is the nodes that a command is about, and the way to them. It is safe
// for concurrent use.
type Target struct {
	Nodes   []Node
	clients []*client.Client
}

// Node is one node of a target.
type Node struct {
	*client.Client
	// Name is the node as the user named it.
	Name string

	routed bool
}

// Context returns a context whose calls this node answers.
func (n Node) Context(ctx context.Context) context.Context {
	if n.routed {
		return client.WithNode(ctx, n.Name)
	}

	return ctx
}

// errNoNodes asks for what only the user can know.
var errNoNodes = errors.New("which node? There are several endpoints: name nodes with --nodes, or set them with \"basaltctl config node\"")

// Open finds the nodes that a command is about. Close must be called at the
// end. Nothing is connected to yet.
func (f *Flags) Open() (*Target, error) {
	if f.insecure {
		return f.openInsecure()
	}

	options := []client.Option{client.WithConfigFile(f.config), client.WithContextName(f.context)}
	if len(f.endpoints) > 0 {
		options = append(options, client.WithEndpoints(f.endpoints...))
	}

	if f.cluster != "" {
		options = append(options, client.WithDialOptions(clusterOptions(f.cluster)...))
	}

	c, err := client.New(options...)
	if err != nil {
		return nil, err
	}

	if cluster := c.Context().Cluster; f.cluster == "" && cluster != "" {
		// The context names the cluster: the connection is made again with it.
		if err := c.Close(); err != nil {
			return nil, err
		}

		if c, err = client.New(append(options, client.WithDialOptions(clusterOptions(cluster)...))...); err != nil {
			return nil, err
		}
	}

	names := f.nodes
	if len(names) == 0 {
		names = c.Context().Nodes
	}

	target := &Target{clients: []*client.Client{c}}

	for _, name := range names {
		target.Nodes = append(target.Nodes, Node{c, name, true})
	}

	if len(names) > 0 {
		return target, nil
	}

	if len(c.Endpoints()) > 1 {
		return nil, errors.Join(errNoNodes, target.Close())
	}

	// The only endpoint answers by itself.
	target.Nodes = []Node{{c, hostOf(c.Endpoints()[0]), false}}

	return target, nil
}

// openInsecure connects to each node without another in between.
func (f *Flags) openInsecure() (*Target, error) {
	names := f.nodes
	if len(names) == 0 {
		names = f.endpoints
	}

	if len(names) == 0 {
		return nil, errors.New("which machine? Name its address with --nodes")
	}

	target := &Target{}

	for _, name := range names {
		c, err := client.New(client.WithMaintenance(f.fingerprints...), client.WithEndpoints(name))
		if err != nil {
			return nil, errors.Join(err, target.Close())
		}

		target.clients = append(target.clients, c)
		target.Nodes = append(target.Nodes, Node{c, hostOf(name), false})
	}

	return target, nil
}

// hostOf takes the port off an endpoint.
func hostOf(endpoint string) string {
	if host, _, err := net.SplitHostPort(endpoint); err == nil {
		return host
	}

	return endpoint
}

// Close ends all connections.
func (t *Target) Close() error {
	var errs []error
	for _, c := range t.clients {
		errs = append(errs, c.Close())
	}

	return errors.Join(errs...)
}

// Only calls f with the only node, for what cannot be asked of several. Errors
// are as those of Each.
func (t *Target) Only(ctx context.Context, f func(ctx context.Context, n Node) error) error {
	if len(t.Nodes) != 1 {
		return fmt.Errorf("which node? This works with one node, and %d are named", len(t.Nodes))
	}

	return Do(ctx, t, f)
}

// Run returns the function of a command that asks nodes.
func (f *Flags) Run(run func(cmd *cobra.Command, target *Target, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		target, err := f.Open()
		if err != nil {
			return err
		}

		err = run(cmd, target, args)
		if closeErr := target.Close(); err == nil {
			err = closeErr
		}

		return err
	}
}
