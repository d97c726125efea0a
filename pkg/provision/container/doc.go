// Package container provisions clusters whose nodes are made of Linux
// namespaces: each node runs Basalt's own init as PID 1 of a fresh mount, PID,
// network, UTS, IPC and cgroup namespace, over the same read-only root tree
// that a machine boots, with its state in a folder. There is no container
// engine and no hypervisor.
//
// Beside what package host makes, a node has a pair of links and control
// groups.
package container
