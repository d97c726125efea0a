// Package host is the process behind a cluster: it runs the nodes, starts those
// again that restart, and serves what they need around them: a bridge with the
// gateway's address, an image registry, a discovery service and a load balancer
// in front of the API servers. The nodes die with it.
//
// What a node is made of is the business of a Provisioner; packages container
// and qemu have one each. Everything that is made outside the cluster's folder
// is named after the cluster, so that Cleanup finds it even when the host
// process is gone.
package host
