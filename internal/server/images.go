package server

import (
	"context"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/basalt-os/basalt/api/common"
	"github.com/basalt-os/basalt/api/machine"
)

// Images are the images of the container runtime.
type Images interface {
	List(ctx context.Context, namespace string) ([]Image, error)
	// Pull fetches and unpacks an image and returns its name with digest.
	// Progress is called from one goroutine; it may be nil.
	Pull(ctx context.Context, namespace, reference string, progress func(LayerProgress)) (string, error)
	// Import loads an image from an archive and returns its name.
	Import(ctx context.Context, namespace string, archive io.Reader) (string, error)
	Remove(ctx context.Context, namespace, reference string) error
	// Verify checks a reference against the node's rules for images.
	Verify(ctx context.Context, reference string, credentials *ImageCredentials) (Verification, error)
}

// Image is an image of the container runtime.
type Image struct {
	Name    string
	Digest  string
	Size    int64 // bytes, compressed
	Created time.Time
	Labels  map[string]string
}

// LayerProgress is how far the pull of one layer is.
type LayerProgress struct {
	Layer         string // digest
	Status        LayerStatus
	Elapsed       time.Duration
	Offset, Total int64 // bytes
}

// LayerStatus is a step in the pull of a layer.
type LayerStatus uint8

// The steps of a layer.
const (
	LayerDownloading LayerStatus = iota
	LayerDownloaded
	LayerExtracting
	LayerExtracted
	LayerExists
)

// ImageCredentials authenticate against one registry.
type ImageCredentials struct{ Host, Username, Password string }

// Verification is the outcome of checking an image.
type Verification struct {
	Verified  bool
	Message   string
	Reference string // with digest
}

// ImageList streams the images of a namespace.
func (s machineService) ImageList(request *machine.ImageListRequest, stream grpc.ServerStreamingServer[machine.ImageListResponse]) error {
	namespace, err := containerdNamespace(request.GetNamespace())
	if err != nil {
		return fmt.Errorf("listing images: %w", err)
	}
	images, err := s.Images.List(stream.Context(), namespace)
	if err != nil {
		return fmt.Errorf("listing images: %w", err)
	}
	for _, image := range images {
		err := stream.Send(&machine.ImageListResponse{
			Name:      image.Name,
			Digest:    image.Digest,
			Size:      image.Size,
			CreatedAt: timestamp(image.Created),
		})
		if err != nil {
			return fmt.Errorf("sending image: %w", err)
		}
	}
	return nil
}

// ImagePull fetches an image.
func (s machineService) ImagePull(ctx context.Context, request *machine.ImagePullRequest) (*machine.ImagePullResponse, error) {
	namespace, err := containerdNamespace(request.GetNamespace())
	if err != nil {
		return nil, fmt.Errorf("pulling image: %w", err)
	}
	if _, err := s.Images.Pull(ctx, namespace, request.GetReference(), nil); err != nil {
		return nil, fmt.Errorf("pulling image %q: %w", request.GetReference(), err)
	}
	return &machine.ImagePullResponse{Messages: []*machine.ImagePull{{}}}, nil
}

func containerdNamespace(namespace common.ContainerdNamespace) (string, error) {
	switch namespace {
	case common.ContainerdNamespace_NS_SYSTEM:
		return systemNamespace, nil
	case common.ContainerdNamespace_NS_CRI:
		return podNamespace, nil
	default:
		return "", fmt.Errorf("containerd namespace %v: %w", namespace, ErrInvalid)
	}
}

// List streams the images of a namespace.
func (s imageService) List(request *machine.ImageServiceListRequest, stream grpc.ServerStreamingServer[machine.ImageServiceListResponse]) error {
	namespace, err := containerdNamespace(request.GetContainerd().GetNamespace())
	if err != nil {
		return fmt.Errorf("listing images: %w", err)
	}
	images, err := s.Images.List(stream.Context(), namespace)
	if err != nil {
		return fmt.Errorf("listing images: %w", err)
	}
	for _, image := range images {
		err := stream.Send(&machine.ImageServiceListResponse{
			Name:      image.Name,
			Digest:    image.Digest,
			Size:      image.Size,
			CreatedAt: timestamp(image.Created),
			Labels:    image.Labels,
		})
		if err != nil {
			return fmt.Errorf("sending image: %w", err)
		}
	}
	return nil
}

// Pull fetches an image and tells its progress.
func (s imageService) Pull(request *machine.ImageServicePullRequest, stream grpc.ServerStreamingServer[machine.ImageServicePullResponse]) error {
	namespace, err := containerdNamespace(request.GetContainerd().GetNamespace())
	if err != nil {
		return fmt.Errorf("pulling image: %w", err)
	}
	// A caller that is gone ends the context and with it the pull, so a
	// failure to send progress needs no handling of its own.
	name, err := s.Images.Pull(stream.Context(), namespace, request.GetImageRef(), func(progress LayerProgress) {
		_ = stream.Send(&machine.ImageServicePullResponse{Response: &machine.ImageServicePullResponse_PullProgress{
			PullProgress: &machine.ImageServicePullProgress{
				LayerId: progress.Layer,
				Progress: &machine.ImageServicePullLayerProgress{
					Status:  layerStatus(progress.Status),
					Elapsed: durationpb.New(progress.Elapsed),
					Offset:  progress.Offset,
					Total:   progress.Total,
				},
			},
		}})
	})
	if err != nil {
		return fmt.Errorf("pulling image %q: %w", request.GetImageRef(), err)
	}
	return stream.Send(&machine.ImageServicePullResponse{Response: &machine.ImageServicePullResponse_Name{Name: name}})
}

func layerStatus(status LayerStatus) machine.ImageServicePullLayerProgress_Status {
	switch status {
	case LayerDownloaded:
		return machine.ImageServicePullLayerProgress_DOWNLOAD_COMPLETE
	case LayerExtracting:
		return machine.ImageServicePullLayerProgress_EXTRACTING
	case LayerExtracted:
		return machine.ImageServicePullLayerProgress_EXTRACT_COMPLETE
	case LayerExists:
		return machine.ImageServicePullLayerProgress_ALREADY_EXISTS
	default:
		return machine.ImageServicePullLayerProgress_DOWNLOADING
	}
}

// Import loads an image from an archive. The first message names the
// namespace, the others carry the archive.
func (s imageService) Import(stream grpc.ClientStreamingServer[machine.ImageServiceImportRequest, machine.ImageServiceImportResponse]) error {
	first, err := stream.Recv()
	if err != nil {
		return fmt.Errorf("importing image: %w", err)
	}
	if first.GetContainerd() == nil {
		return fmt.Errorf("importing image: the first message names no containerd namespace: %w", ErrInvalid)
	}
	namespace, err := containerdNamespace(first.GetContainerd().GetNamespace())
	if err != nil {
		return fmt.Errorf("importing image: %w", err)
	}
	name, err := s.Images.Import(stream.Context(), namespace, &importReader{stream: stream})
	if err != nil {
		return fmt.Errorf("importing image: %w", err)
	}
	return stream.SendAndClose(&machine.ImageServiceImportResponse{Name: name})
}

// importReader reads the archive out of the messages of an import.
type importReader struct {
	stream grpc.ClientStreamingServer[machine.ImageServiceImportRequest, machine.ImageServiceImportResponse]
	rest   []byte
}

// Read returns the next bytes; the end of the stream is the end of the archive.
func (r *importReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		message, err := r.stream.Recv()
		if err != nil {
			return 0, err
		}
		chunk, ok := message.GetRequest().(*machine.ImageServiceImportRequest_ImageChunk)
		if !ok {
			return 0, fmt.Errorf("a message carries no part of the archive: %w", ErrInvalid)
		}
		r.rest = chunk.ImageChunk.GetBytes()
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// Remove deletes an image.
func (s imageService) Remove(ctx context.Context, request *machine.ImageServiceRemoveRequest) (*emptypb.Empty, error) {
	namespace, err := containerdNamespace(request.GetContainerd().GetNamespace())
	if err != nil {
		return nil, fmt.Errorf("removing image: %w", err)
	}
	if err := s.Images.Remove(ctx, namespace, request.GetImageRef()); err != nil {
		return nil, fmt.Errorf("removing image %q: %w", request.GetImageRef(), err)
	}
	return &emptypb.Empty{}, nil
}

// Verify checks an image against the node's rules.
func (s imageService) Verify(ctx context.Context, request *machine.ImageServiceVerifyRequest) (*machine.ImageServiceVerifyResponse, error) {
	var credentials *ImageCredentials
	if c := request.GetCredentials(); c != nil {
		credentials = &ImageCredentials{Host: c.GetHost(), Username: c.GetUsername(), Password: c.GetPassword()}
	}
	result, err := s.Images.Verify(ctx, request.GetImageRef(), credentials)
	if err != nil {
		return nil, fmt.Errorf("verifying image %q: %w", request.GetImageRef(), err)
	}
	return &machine.ImageServiceVerifyResponse{
		Verified:         result.Verified,
		Message:          result.Message,
		DigestedImageRef: result.Reference,
	}, nil
}
