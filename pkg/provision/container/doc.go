// Package container provisions clusters whose nodes are made of Linux
// namespaces: each node runs Basalt's own init as PID 1 of a fresh mount, PID,
// network, UTS, IPC and cgroup namespace, over the same read-only root tree
// that a machine boots, with its state in a folder. There is no container
// engine and no hypervisor.
//
// One host process per cluster (Host) starts the nodes, restarts those that
// ask for a reboot, and serves what they need around them. The nodes die with
// it. Everything outside the cluster's folder that it makes — a bridge, a
// pair of links per node, an nftables table, control groups — is named after
// the cluster, so that Cleanup finds it even when the host process is gone.
package container
