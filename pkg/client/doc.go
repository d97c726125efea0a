// Package client talks to the API of Basalt nodes.
//
// A [Client] is a connection to the endpoints of one cluster; its fields are
// the API's services:
//
//	c, err := client.New(client.WithConfigFile(""))
//	if err != nil { … }
//	defer c.Close()
//
//	resp, err := client.Check(c.Machine.Version(client.WithNodes(ctx, "10.0.0.3", "10.0.0.4"), &emptypb.Empty{}))
//
// # Which node answers
//
// A request goes to one of the endpoints, which answers it itself unless the
// context names others. [WithNode] names one node, and works with every method.
// [WithNodes] names several: their answers come back as one response with one
// message per node. Methods whose responses cannot be merged take WithNode only.
//
// # Errors of some of many nodes
//
// With [WithNodes] a call succeeds even when nodes fail; their errors stand
// inside the response. [Check] takes them out: it returns the messages of the
// nodes that answered, and an [Errors] with one [NodeError] for each that did
// not. [Messages] does the same for streams, and [NewReader] for streams of
// bytes from one node.
package client
