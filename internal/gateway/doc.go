// Package gateway is apid: the door through which a node's API is reached.
//
// It ends TLS 1.3, learns the caller's roles from the client certificate, and
// passes each call on, without decoding it, to where it belongs: to machined
// over a Unix socket, to the gateway of another node, or to many of them at
// once. Which roles may call what is decided by machined (package rbac); the
// gateway only says who asks.
//
// # Routing
//
// Request metadata says who shall answer. Without any, the node itself does.
//
//   - "node: X": the node X does, and its answer comes back as it is. Works
//     for every method.
//   - "nodes: X", "nodes: Y": each of them does, and their answers come back
//     merged. Every message has a common.Metadata that names its node, or, for
//     a node that failed, the node and its error; the call as a whole succeeds.
//     Works for methods whose responses have room for this metadata. Messages
//     of streams are passed as they come.
//   - "proxyfrom: Z": another gateway sent this, so the node itself answers
//     whatever else is said.
//
// # Roles
//
// Roles are the organisations of the client certificate. They travel onward in
// the metadata "talos-role", which is believed from a caller with the role
// os:impersonator only, that is from other gateways; from everybody else it is
// dropped.
//
// # Changes while running
//
// [Settings] are replaced as a whole. Each new connection, in or out, uses
// those of its moment; existing connections stay. Every call checks anew that
// the caller's certificate has not expired and that its authority is still
// accepted.
package gateway
