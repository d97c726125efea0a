package resources

import "github.com/basalt-os/basalt/internal/resources/meta"

// Namespaces returns every namespace of the contract with its description.
func Namespaces() map[string]meta.Namespace {
	return map[string]meta.Namespace{
		"meta":           {Description: "Descriptions of the database itself."},
		"runtime":        {Description: "State of the running system: machine, services, disks, volumes."},
		"cluster":        {Description: "Members and identity of the cluster."},
		"cluster-raw":    {Description: "Members by the source they were heard from, before merging."},
		"config":         {Description: "Machine configuration and what follows from it directly."},
		"etcd":           {Description: "The etcd member of this node."},
		"files":          {Description: "Files rendered under /etc."},
		"hardware":       {Description: "Hardware of the machine."},
		"k8s":            {Description: "Kubernetes on this node."},
		"controlplane":   {Description: "Kubernetes control plane on this node."},
		"kubespan":       {Description: "Encrypted mesh between nodes."},
		"network":        {Description: "Network of the node."},
		"network-config": {Description: "Network specs by configuration layer, before merging."},
		"cri":            {Description: "Container runtime configuration."},
		"containers":     {Description: "Configured containers beside Kubernetes."},
		"secrets":        {Description: "Certificates, keys and tokens."},
		"security":       {Description: "Rules for what may run."},
		"perf":           {Description: "CPU and memory counters."},
		"storage":        {Description: "Logical volumes and software RAID."},
	}
}
