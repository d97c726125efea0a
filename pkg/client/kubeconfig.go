package client

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/types/known/emptypb"
)

// maxKubeconfig bounds what Kubeconfig accepts, in bytes.
const maxKubeconfig = 1 << 20

// Kubeconfig returns an administrator's kubeconfig for the cluster, made by the
// node that answers.
func (c *Client) Kubeconfig(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	stream, err := NewReader(c.Machine.Kubeconfig(ctx, &emptypb.Empty{}))
	if err != nil {
		return nil, err
	}

	return readKubeconfig(stream)
}

// readKubeconfig unpacks the gzipped tar archive with one file that the wire
// has for it.
func readKubeconfig(stream io.Reader) ([]byte, error) {
	// An error of the call shows here, before anything is taken for an archive.
	buffered := bufio.NewReader(stream)
	if _, err := buffered.Peek(1); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}

	unzipped, err := gzip.NewReader(buffered)
	if err != nil {
		return nil, fmt.Errorf("unpacking kubeconfig: %w", err)
	}

	archive := tar.NewReader(unzipped)

	for {
		header, err := archive.Next()
		if err != nil {
			return nil, fmt.Errorf("unpacking kubeconfig: %w", err)
		}

		if header.Typeflag != tar.TypeReg || header.Name != "kubeconfig" {
			continue
		}

		if header.Size > maxKubeconfig {
			return nil, fmt.Errorf("unpacking kubeconfig: %d bytes are more than %d", header.Size, maxKubeconfig)
		}

		data, err := io.ReadAll(archive)
		if err != nil {
			return nil, fmt.Errorf("unpacking kubeconfig: %w", err)
		}

		return data, nil
	}
}
