package connect

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/basalt-os/basalt/pkg/client"
)

// Answer is what one node answered.
type Answer[R any] struct {
	Node  string
	Value R
}

// Each asks all nodes at once. It returns the answers in the order of the
// nodes; the error, when not nil, is a client.Errors of those that failed. Both
// count.
func Each[R any](ctx context.Context, t *Target, ask func(ctx context.Context, n Node) (R, error)) ([]Answer[R], error) {
	var (
		values = make([]R, len(t.Nodes))
		errs   = make([]error, len(t.Nodes))
		wg     sync.WaitGroup
	)

	for i, node := range t.Nodes {
		wg.Go(func() {
			ctx, cancel := context.WithCancel(node.Context(ctx))
			defer cancel()

			values[i], errs[i] = ask(ctx, node)
		})
	}

	wg.Wait()

	var (
		answers []Answer[R]
		failed  client.Errors
	)

	for i, node := range t.Nodes {
		if errs[i] != nil {
			failed = append(failed, &client.NodeError{Node: node.Name, Err: tidy(errs[i])})

			continue
		}

		answers = append(answers, Answer[R]{node.Name, values[i]})
	}

	if len(failed) > 0 {
		return answers, failed
	}

	return answers, nil
}

// tidy takes what gRPC puts in front of a node's message out of the middle of
// a sentence.
func tidy(err error) error {
	st, ok := status.FromError(err)
	if !ok {
		return err
	}

	prefix := fmt.Sprintf("rpc error: code = %s desc = ", st.Code())
	if !strings.Contains(st.Message(), prefix) {
		return err
	}

	return status.Error(st.Code(), strings.ReplaceAll(st.Message(), prefix, ""))
}

// Do asks all nodes at once for something that has no answer, or whose answer
// is written as it comes.
func Do(ctx context.Context, t *Target, ask func(ctx context.Context, n Node) error) error {
	_, err := Each(ctx, t, func(ctx context.Context, n Node) (struct{}, error) { return struct{}{}, ask(ctx, n) })

	return err
}

// Unary is a method of a service that answers once.
type Unary[Q, R proto.Message] func(ctx context.Context, request Q, opts ...grpc.CallOption) (R, error)

// Call calls a method of all nodes at once; method picks it from a node. Most
// methods answer with a list of messages for the sake of many nodes at once; as
// each node is asked by itself, it has one.
func Call[Q, R proto.Message](ctx context.Context, t *Target, request Q, method func(n Node) Unary[Q, R]) ([]Answer[R], error) {
	return Each(ctx, t, func(ctx context.Context, n Node) (R, error) {
		return client.Check(method(n)(ctx, request))
	})
}

// clusterOptions tell an endpoint that stands before several clusters which
// one is meant.
func clusterOptions(name string) []grpc.DialOption {
	const key = "context"

	return []grpc.DialOption{
		grpc.WithUnaryInterceptor(func(ctx context.Context, method string, request, reply any,
			conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
		) error {
			return invoke(metadata.AppendToOutgoingContext(ctx, key, name), method, request, reply, conn, opts...)
		}),
		grpc.WithStreamInterceptor(func(ctx context.Context, description *grpc.StreamDesc, conn *grpc.ClientConn,
			method string, stream grpc.Streamer, opts ...grpc.CallOption,
		) (grpc.ClientStream, error) {
			return stream(metadata.AppendToOutgoingContext(ctx, key, name), description, conn, method, opts...)
		}),
	}
}
