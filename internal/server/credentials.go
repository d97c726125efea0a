package server

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/basalt-os/basalt/api/common"
	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/rbac"
)

// defaultClientTTL is how long a client certificate is valid when the caller
// names no time.
const defaultClientTTL = 365 * 24 * time.Hour

// Credentials issues credentials from the authorities of the cluster. On nodes
// that do not hold the authorities its methods fail with ErrPrecondition.
type Credentials interface {
	// Kubeconfig returns the kubeconfig of a new cluster administrator.
	Kubeconfig(ctx context.Context) ([]byte, error)
	// ClientConfig issues a client certificate with the given roles, and a
	// client configuration that uses it.
	ClientConfig(ctx context.Context, roles []string, ttl time.Duration) (ClientConfig, error)
}

// ClientConfig is a credential for the node's API.
type ClientConfig struct {
	CA, Certificate, Key []byte // PEM
	Config               []byte // YAML of the client configuration file
}

// Kubeconfig streams a gzipped tar archive with the one file "kubeconfig".
func (s machineService) Kubeconfig(_ *emptypb.Empty, stream grpc.ServerStreamingServer[common.Data]) error {
	content, err := s.Credentials.Kubeconfig(stream.Context())
	if err != nil {
		return fmt.Errorf("making kubeconfig: %w", err)
	}
	var archive bytes.Buffer
	compressed := gzip.NewWriter(&archive)
	files := tar.NewWriter(compressed)
	header := &tar.Header{
		Typeflag: tar.TypeReg,
		Name:     "kubeconfig",
		Size:     int64(len(content)),
		Mode:     0o600,
		ModTime:  time.Now(),
	}
	if err := files.WriteHeader(header); err != nil {
		return fmt.Errorf("archiving kubeconfig: %w", err)
	}
	if _, err := files.Write(content); err != nil {
		return fmt.Errorf("archiving kubeconfig: %w", err)
	}
	if err := files.Close(); err != nil {
		return fmt.Errorf("archiving kubeconfig: %w", err)
	}
	if err := compressed.Close(); err != nil {
		return fmt.Errorf("archiving kubeconfig: %w", err)
	}
	_, err = chunkWriter{stream: stream}.Write(archive.Bytes())
	return err
}

// GenerateClientConfiguration issues a client certificate with the given
// roles.
func (s machineService) GenerateClientConfiguration(ctx context.Context, request *machine.GenerateClientConfigurationRequest) (*machine.GenerateClientConfigurationResponse, error) {
	if len(request.GetRoles()) == 0 {
		return nil, fmt.Errorf("issuing client certificate: no roles are given: %w", ErrInvalid)
	}
	if _, err := rbac.ParseStrict(request.GetRoles()); err != nil {
		return nil, fmt.Errorf("issuing client certificate: %w: %w", ErrInvalid, err)
	}
	ttl := defaultClientTTL
	if request.GetCrtTtl() != nil {
		ttl = request.GetCrtTtl().AsDuration()
	}
	if ttl <= 0 {
		return nil, fmt.Errorf("issuing client certificate: lifetime %v is not positive: %w", ttl, ErrInvalid)
	}
	config, err := s.Credentials.ClientConfig(ctx, request.GetRoles(), ttl)
	if err != nil {
		return nil, fmt.Errorf("issuing client certificate: %w", err)
	}
	return &machine.GenerateClientConfigurationResponse{Messages: []*machine.GenerateClientConfiguration{{
		Ca:          config.CA,
		Crt:         config.Certificate,
		Key:         config.Key,
		Talosconfig: config.Config,
	}}}, nil
}
