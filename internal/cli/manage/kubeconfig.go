package manage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v4"

	"github.com/basalt-os/basalt/internal/cli/connect"
	"github.com/basalt-os/basalt/internal/cli/filing"
)

// kubeconfigOptions are the flags of "kubeconfig".
type kubeconfigOptions struct {
	force, merge bool
	name         string
}

func newKubeconfig() *cobra.Command {
	var o kubeconfigOptions

	cmd := &cobra.Command{
		Use:   "kubeconfig [local-path]",
		Short: "Fetch an administrator's kubeconfig",
		Long: `Fetch an administrator's kubeconfig and merge it into the one that there is.

The file is the local path, else the first that $KUBECONFIG names, else
~/.kube/config. A cluster, user or context that exists already under the same name
gets a number after its name, or is replaced with --force. With --merge=false, the
file is written to the local path or, when that is a folder, into it; "-" is the
standard output.`,
		Example: `  basaltctl kubeconfig
  basaltctl kubeconfig --merge=false ./kubeconfig
  basaltctl kubeconfig --force --force-context-name prod`,
		Args: cobra.MaximumNArgs(1),
	}

	reach := connect.Add(cmd)
	cmd.Flags().BoolVarP(&o.force, "force", "f", false, "replace what has the same name")
	cmd.Flags().StringVar(&o.name, "force-context-name", "", "name of the context")
	cmd.Flags().BoolVarP(&o.merge, "merge", "m", true, "merge with the file that there is")

	cmd.RunE = reach.Run(func(cmd *cobra.Command, target *connect.Target, args []string) error {
		var fetched []byte

		err := target.Only(cmd.Context(), func(ctx context.Context, n connect.Node) (err error) {
			fetched, err = n.Kubeconfig(ctx)

			return err
		})
		if err != nil {
			return err
		}

		path := ""
		if len(args) == 1 {
			path = args[0]
		}

		return o.store(cmd, fetched, path)
	})

	return cmd
}

// store writes or merges a kubeconfig.
func (o *kubeconfigOptions) store(cmd *cobra.Command, fetched []byte, path string) error {
	added, err := parseKubeconfig(fetched)
	if err != nil {
		return err
	}

	if o.name != "" {
		added.renameContext(o.name)
	}

	if !o.merge || path == "-" {
		return o.write(cmd, added, path)
	}

	if path == "" {
		if path, err = defaultKubeconfig(); err != nil {
			return err
		}
	}

	path = inFolder(path)
	merged := &kubeconfig{}

	switch present, err := os.ReadFile(path); {
	case err == nil:
		if merged, err = parseKubeconfig(present); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("reading kubeconfig: %w", err)
	}

	context := merged.merge(added, o.force)

	data, err := merged.bytes()
	if err != nil {
		return err
	}

	fmt.Fprintf(cmd.ErrOrStderr(), "Context %q is in %s\n", context, path)

	return filing.Write(cmd.OutOrStdout(), path, data, true, true)
}

func (o *kubeconfigOptions) write(cmd *cobra.Command, added *kubeconfig, path string) error {
	data, err := added.bytes()
	if err != nil {
		return err
	}

	if path == "" {
		path = "kubeconfig"
	}

	return filing.Write(cmd.OutOrStdout(), inFolder(path), data, true, o.force)
}

// inFolder puts the file into the path when that is a folder.
func inFolder(path string) string {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return filepath.Join(path, "kubeconfig")
	}

	return path
}

// defaultKubeconfig is the file that kubectl would use.
func defaultKubeconfig() (string, error) {
	for _, path := range filepath.SplitList(os.Getenv("KUBECONFIG")) {
		if path != "" {
			return path, nil
		}
	}

	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("finding kubeconfig: %w", err)
	}

	return filepath.Join(home, ".kube", "config"), nil
}

// kubeconfig is as much of the file as merging must know. Everything else is
// kept.
type kubeconfig struct {
	APIVersion     string         `yaml:"apiVersion"`
	Kind           string         `yaml:"kind"`
	CurrentContext string         `yaml:"current-context"`
	Clusters       []named        `yaml:"clusters"`
	Users          []named        `yaml:"users"`
	Contexts       []namedContext `yaml:"contexts"`
	Extra          map[string]any `yaml:",inline"`
}

type named struct {
	Name  string         `yaml:"name"`
	Extra map[string]any `yaml:",inline"`
}

type namedContext struct {
	Name    string         `yaml:"name"`
	Context contextOf      `yaml:"context"`
	Extra   map[string]any `yaml:",inline"`
}

type contextOf struct {
	Cluster string         `yaml:"cluster"`
	User    string         `yaml:"user"`
	Extra   map[string]any `yaml:",inline"`
}

func parseKubeconfig(data []byte) (*kubeconfig, error) {
	config := &kubeconfig{}
	if err := yaml.Load(data, config); err != nil {
		return nil, fmt.Errorf("parsing kubeconfig: %w", err)
	}

	return config, nil
}

func (k *kubeconfig) bytes() ([]byte, error) {
	if k.APIVersion == "" {
		k.APIVersion, k.Kind = "v1", "Config"
	}

	data, err := yaml.Dump(k, yaml.WithIndent(4))
	if err != nil {
		return nil, fmt.Errorf("encoding kubeconfig: %w", err)
	}

	return data, nil
}

// renameContext gives the current context another name.
func (k *kubeconfig) renameContext(name string) {
	for i := range k.Contexts {
		if k.Contexts[i].Name == k.CurrentContext {
			k.Contexts[i].Name = name
		}
	}

	k.CurrentContext = name
}

// merge adds everything of another file and makes its current context the
// current one. What has a name that is taken by something else gets a number
// after it or, with force, replaces the other. It returns the current context.
func (k *kubeconfig) merge(other *kubeconfig, force bool) string {
	clusters := place(&k.Clusters, other.Clusters, func(n *named) *string { return &n.Name }, force)
	users := place(&k.Users, other.Users, func(n *named) *string { return &n.Name }, force)
	moved := slices.Clone(other.Contexts)

	for i := range moved {
		moved[i].Context.Cluster = clusters[moved[i].Context.Cluster]
		moved[i].Context.User = users[moved[i].Context.User]
	}

	contexts := place(&k.Contexts, moved, func(n *namedContext) *string { return &n.Name }, force)
	k.CurrentContext = contexts[other.CurrentContext]

	return k.CurrentContext
}

// place adds items to a list and returns the names that they have there.
func place[T any](list *[]T, items []T, name func(*T) *string, force bool) map[string]string {
	names := map[string]string{}
	find := func(wanted string) int {
		return slices.IndexFunc(*list, func(item T) bool { return *name(&item) == wanted })
	}

	for _, item := range items {
		wanted := *name(&item)

		i := find(wanted)
		if i >= 0 && (force || reflect.DeepEqual((*list)[i], item)) {
			(*list)[i] = item
			names[wanted] = wanted

			continue
		}

		free := wanted

		for number := 1; i >= 0; number++ {
			free = fmt.Sprintf("%s-%d", wanted, number)
			i = find(free)
		}

		names[wanted] = free
		*name(&item) = free
		*list = append(*list, item)
	}

	return names
}
