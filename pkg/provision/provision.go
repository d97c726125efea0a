// Package provision makes clusters of Basalt nodes on the machine it runs on.
//
// A Cluster is described by a Spec, lives in a folder of its own and is looked
// after by one host process, which holds everything that the nodes need around
// them: their network, the image registry, the discovery service, a time server
// and the load balancer in front of their API servers. What a node is made of is
// the business of a provisioner: package container makes nodes out of namespaces,
// package qemu makes them out of virtual machines. Package host is the process.
package provision

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/renameio/v2"
)

// Role is what a node does in its cluster.
type Role string

// The roles, as the machine configuration names them.
const (
	ControlPlane Role = "controlplane"
	Worker       Role = "worker"
)

// Ports on the gateway address of a cluster's network, served by its host
// process.
const (
	RegistryPort   = 5000
	DiscoveryPort  = 3000
	KubernetesPort = 6443
)

// Node is one node of a cluster.
type Node struct {
	Name    string     `json:"name"`
	Role    Role       `json:"role"`
	Address netip.Addr `json:"address"`
	// CPUs limits the processor time, in cores; 0 is no limit.
	CPUs float64 `json:"cpus,omitempty"`
	// Memory limits the memory, in bytes; 0 is no limit.
	Memory uint64 `json:"memory,omitempty"`
	// MAC, UUID and Disks are those of a virtual machine.
	MAC   MAC    `json:"mac,omitempty"`
	UUID  string `json:"uuid,omitempty"`
	Disks []Disk `json:"disks,omitempty"`
}

// Spec describes a cluster.
type Spec struct {
	Name        string `json:"name"`
	Provisioner string `json:"provisioner"`
	// Network is the range of the nodes' addresses. Its first address is the
	// gateway: the machine that hosts the cluster.
	Network netip.Prefix `json:"network"`
	Nodes   []Node       `json:"nodes"`
	// Resolvers are the name servers that the nodes ask.
	Resolvers         []netip.Addr `json:"resolvers,omitempty"`
	KubernetesVersion string       `json:"kubernetesVersion"`
	// Root is the folder with the node's root tree, for container nodes.
	Root string `json:"root,omitempty"`
	// Machines says what the machines are like, for virtual machines.
	Machines *Machines `json:"machines,omitempty"`
	// Images is the folder with the OCI layout that the registry serves.
	Images  string    `json:"images"`
	Created time.Time `json:"created"`
}

// Gateway is the address of the hosting machine in the cluster's network.
func (s *Spec) Gateway() netip.Addr { return s.Network.Masked().Addr().Next() }

// KubernetesEndpoint is the URL under which the cluster's API servers are
// reached through the load balancer.
func (s *Spec) KubernetesEndpoint() string {
	return "https://" + netip.AddrPortFrom(s.Gateway(), KubernetesPort).String()
}

// ByRole returns the nodes of one role, in order.
func (s *Spec) ByRole(role Role) []Node {
	return slices.Collect(func(yield func(Node) bool) {
		for _, node := range s.Nodes {
			if node.Role == role && !yield(node) {
				return
			}
		}
	})
}

// Node returns the node of that name.
func (s *Spec) Node(name string) (Node, error) {
	for _, node := range s.Nodes {
		if node.Name == name {
			return node, nil
		}
	}

	return Node{}, fmt.Errorf("cluster %q has no node %q; it has %s", s.Name, name, strings.Join(s.names(), ", "))
}

func (s *Spec) names() []string {
	names := make([]string, len(s.Nodes))
	for i, node := range s.Nodes {
		names[i] = node.Name
	}

	return names
}

// Layout describes the nodes to make: how many, and what each has.
type Layout struct {
	ControlPlanes, Workers int
	// ControlPlane and Worker are what a node of the role has.
	ControlPlane, Worker Share
}

// Share is what one node has of the hosting machine.
type Share struct {
	CPUs   float64 // in cores; 0 is no limit
	Memory uint64  // in bytes; 0 is no limit
	Disks  []Disk  // of a virtual machine
}

// Nodes names the nodes of a layout and gives them addresses from the network,
// beginning after the gateway. It fails when the network is too small.
func (l Layout) Nodes(cluster string, network netip.Prefix) ([]Node, error) {
	if l.ControlPlanes < 1 {
		return nil, fmt.Errorf("a cluster needs at least one control plane, not %d", l.ControlPlanes)
	}

	if l.Workers < 0 {
		return nil, fmt.Errorf("%d workers: the number cannot be negative", l.Workers)
	}

	var (
		nodes   []Node
		address = network.Masked().Addr().Next()
	)

	add := func(role Role, count int, share Share) error {
		for i := range count {
			address = address.Next()
			if !network.Contains(address.Next()) {
				return fmt.Errorf("network %s has no room for %d nodes", network, l.ControlPlanes+l.Workers)
			}

			node := Node{
				Name:    fmt.Sprintf("%s-%s-%d", cluster, role, i+1),
				Role:    role,
				Address: address,
				CPUs:    share.CPUs,
				Memory:  share.Memory,
				Disks:   share.Disks,
			}
			node.MAC, node.UUID = identity(cluster, node.Name)

			nodes = append(nodes, node)
		}

		return nil
	}

	if err := add(ControlPlane, l.ControlPlanes, l.ControlPlane); err != nil {
		return nil, err
	}

	return nodes, add(Worker, l.Workers, l.Worker)
}

// clusterName is what a cluster may be called: a DNS label that leaves room
// for "-controlplane-NN" within the 63 characters of a host name.
var clusterName = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,40}[a-z0-9])?$`)

// Validate reports everything that is wrong with a spec.
func (s *Spec) Validate() error {
	var errs []error

	if !clusterName.MatchString(s.Name) {
		errs = append(errs, fmt.Errorf("cluster name %q: use up to 42 lower-case letters, digits and hyphens, beginning with a letter", s.Name))
	}

	if !s.Network.Addr().Is4() || s.Network.Bits() > 29 {
		errs = append(errs, fmt.Errorf("network %s: use an IPv4 range of /29 or larger", s.Network))
	}

	if len(s.ByRole(ControlPlane)) == 0 {
		errs = append(errs, errors.New("the cluster has no control plane"))
	}

	return errors.Join(errs...)
}

// ErrNoCluster is wrapped by errors about a cluster that does not exist.
var ErrNoCluster = errors.New("no such cluster")

// Folder is where a cluster keeps everything it has.
//
//	<state>/<cluster>/spec.json                the Spec
//	<state>/<cluster>/host.sock, host.log      the host process
//	<state>/<cluster>/talosconfig, kubeconfig  for the user
//	<state>/<cluster>/nodes/<node>/            config.yaml, console.log, state/, var/
type Folder string

// Open returns the folder of the named cluster below a state folder, whether
// it exists or not.
func Open(state, cluster string) Folder { return Folder(filepath.Join(state, cluster)) }

// List returns the specs of all clusters below a state folder, by name.
func List(state string) ([]Spec, error) {
	entries, err := os.ReadDir(state)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}

	var specs []Spec

	for _, entry := range entries {
		spec, err := Open(state, entry.Name()).Spec()
		if errors.Is(err, ErrNoCluster) {
			continue
		} else if err != nil {
			return nil, err
		}

		specs = append(specs, *spec)
	}

	return specs, nil
}

// Path joins names to the folder.
func (f Folder) Path(names ...string) string {
	return filepath.Join(append([]string{string(f)}, names...)...)
}

// Node is the folder of one node.
func (f Folder) Node(name string) string { return f.Path("nodes", name) }

// NodeConfig is the file with a node's machine configuration.
func (f Folder) NodeConfig(name string) string { return filepath.Join(f.Node(name), "config.yaml") }

// Console is the file to which a node's console is written.
func (f Folder) Console(name string) string { return filepath.Join(f.Node(name), "console.log") }

// Talosconfig is the file with the client configuration.
func (f Folder) Talosconfig() string { return f.Path("talosconfig") }

// Kubeconfig is the file with the Kubernetes client configuration.
func (f Folder) Kubeconfig() string { return f.Path("kubeconfig") }

// Spec reads the cluster's spec. The error wraps ErrNoCluster when there is
// none.
func (f Folder) Spec() (*Spec, error) {
	data, err := os.ReadFile(f.Path("spec.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %q", ErrNoCluster, filepath.Base(string(f)))
	} else if err != nil {
		return nil, err
	}

	var spec Spec
	if err := json.Unmarshal(data, &spec); err != nil {
		return nil, fmt.Errorf("reading %s: %w", f.Path("spec.json"), err)
	}

	return &spec, nil
}

// Configs reads the nodes' configurations, by node name.
func (f Folder) Configs(spec *Spec) (map[string][]byte, error) {
	configs := map[string][]byte{}

	for _, node := range spec.Nodes {
		var err error
		if configs[node.Name], err = os.ReadFile(f.NodeConfig(node.Name)); err != nil {
			return nil, err
		}
	}

	return configs, nil
}

// Create makes the folder with the spec and the nodes' configurations, by node
// name. Only the owner can read them.
func (f Folder) Create(spec *Spec, configs map[string][]byte) error {
	for _, node := range spec.Nodes {
		if err := os.MkdirAll(f.Node(node.Name), 0o700); err != nil {
			return err
		}

		if err := renameio.WriteFile(f.NodeConfig(node.Name), configs[node.Name], 0o600); err != nil {
			return err
		}
	}

	data, err := json.MarshalIndent(spec, "", "  ")
	if err != nil {
		return err
	}

	return renameio.WriteFile(f.Path("spec.json"), data, 0o600)
}

// Remove deletes the folder with all that is in it.
func (f Folder) Remove() error { return os.RemoveAll(string(f)) }
