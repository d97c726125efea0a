package client

import (
	"context"
	"time"

	"google.golang.org/grpc/metadata"
)

// Metadata keys by which requests are routed.
const (
	nodeKey  = "node"
	nodesKey = "nodes"
)

var noDeadline time.Time

// WithNode returns a context whose calls are answered by that node instead of
// the endpoint, and as if it were called directly. It replaces what WithNode or
// WithNodes said before.
func WithNode(ctx context.Context, node string) context.Context {
	return withRoute(ctx, nodeKey, node)
}

// WithNodes returns a context whose calls are answered by all these nodes. It
// replaces what WithNode or WithNodes said before; without nodes, the endpoint
// answers.
func WithNodes(ctx context.Context, nodes ...string) context.Context {
	return withRoute(ctx, nodesKey, nodes...)
}

// Nodes returns the nodes that calls with this context are answered by.
func Nodes(ctx context.Context) []string {
	md, _ := metadata.FromOutgoingContext(ctx)

	return append(md.Get(nodeKey), md.Get(nodesKey)...)
}

func withRoute(ctx context.Context, key string, nodes ...string) context.Context {
	md, ok := metadata.FromOutgoingContext(ctx)
	if !ok {
		md = metadata.MD{}
	}

	md.Delete(nodeKey)
	md.Delete(nodesKey)
	md.Set(key, nodes...)

	return metadata.NewOutgoingContext(ctx, md)
}
