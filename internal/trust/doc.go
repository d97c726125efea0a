// Package trust is trustd: the service by which workers get their certificates.
//
// A worker has no key of the cluster's authority. It makes a key of its own and
// sends a signing request to trustd on a control plane node, with the cluster's
// join token in the metadata "token". trustd answers with a certificate that
// can prove a server and nothing else: whatever the request says, it makes
// nobody a client, and organisations, which are roles, are left out. [Client]
// is the worker's side.
//
// trustd runs as a user of its own in a sandbox and knows what it needs, which
// includes the authority's key, from a state socket of machined.
package trust
