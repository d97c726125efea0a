package server

import (
	"fmt"

	"google.golang.org/grpc"

	"github.com/basalt-os/basalt/api/common"
)

// chunkSize is the size of a chunk of a byte stream: large enough to make the
// cost per message small, small enough for fair sharing of a connection.
const chunkSize = 64 << 10

// chunkWriter sends what is written to it as chunks of a gRPC stream.
type chunkWriter struct {
	stream grpc.ServerStreamingServer[common.Data]
}

// Write sends p, in several chunks when it is large.
func (w chunkWriter) Write(p []byte) (int, error) {
	sent := 0
	for sent < len(p) {
		end := min(sent+chunkSize, len(p))
		if err := w.stream.Send(&common.Data{Bytes: p[sent:end]}); err != nil {
			return sent, fmt.Errorf("sending data: %w", err)
		}
		sent = end
	}
	return sent, nil
}
