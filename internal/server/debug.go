package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"

	"google.golang.org/grpc"

	"github.com/basalt-os/basalt/api/machine"
)

// DebugSpec says what a debug container is.
type DebugSpec struct {
	Namespace string // of containerd, where the image is
	Image     string
	Args      []string // instead of those that the image has for its entry point, when there are any
	Env       map[string]string
	Profile   DebugProfile
	TTY       bool
}

// DebugProfile says how much of the node a debug container sees.
type DebugProfile uint8

// Profiles of debug containers.
const (
	DebugPlain      DebugProfile = iota // a container like any other
	DebugHostNS                         // in the namespaces of the host
	DebugPrivileged                     // that, with all devices and capabilities
)

// DebugSession connects a debug container to a caller.
type DebugSession struct {
	Stdin   io.Reader // ends when the caller sends no more
	Stdout  io.Writer // of errors too
	Signals <-chan syscall.Signal
	Sizes   <-chan TerminalSize
}

// TerminalSize is the size of a terminal in characters.
type TerminalSize struct{ Width, Height uint32 }

// ContainerRun runs a container and connects its streams to the call.
func (s debugService) ContainerRun(stream grpc.BidiStreamingServer[machine.DebugContainerRunRequest, machine.DebugContainerRunResponse]) error {
	first, err := stream.Recv()
	if err != nil {
		return fmt.Errorf("starting debug container: %w", err)
	}
	spec, err := debugSpec(first.GetSpec())
	if err != nil {
		return fmt.Errorf("starting debug container: %w", err)
	}
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	input, typed := io.Pipe()
	defer func() { _ = input.Close() }()
	signals, sizes := make(chan syscall.Signal), make(chan TerminalSize)
	// It ends with the handler: gRPC then ends what waits for messages.
	go func() {
		err := receiveInput(ctx, stream, typed, signals, sizes)
		typed.CloseWithError(err)
	}()
	s.Logger.InfoContext(ctx, "debug container requested", "image", spec.Image, "namespace", spec.Namespace)
	code, err := s.Containers.Debug(ctx, spec, DebugSession{
		Stdin:   input,
		Stdout:  debugOutput{stream: stream},
		Signals: signals,
		Sizes:   sizes,
	})
	if err != nil {
		return fmt.Errorf("running debug container: %w", err)
	}
	return stream.Send(&machine.DebugContainerRunResponse{Resp: &machine.DebugContainerRunResponse_ExitCode{ExitCode: code}})
}

func debugSpec(spec *machine.DebugContainerRunRequestSpec) (DebugSpec, error) {
	if spec == nil {
		return DebugSpec{}, fmt.Errorf("the first message says not what to run: %w", ErrInvalid)
	}
	namespace, err := containerdNamespace(spec.GetContainerd().GetNamespace())
	if err != nil {
		return DebugSpec{}, err
	}
	if spec.GetImageName() == "" {
		return DebugSpec{}, fmt.Errorf("no image is given: %w", ErrInvalid)
	}
	profile, ok := map[machine.DebugContainerRunRequestSpec_Profile]DebugProfile{
		machine.DebugContainerRunRequestSpec_PROFILE_UNSPECIFIED: DebugPlain,
		machine.DebugContainerRunRequestSpec_PROFILE_HOST_NS:     DebugHostNS,
		machine.DebugContainerRunRequestSpec_PROFILE_PRIVILEGED:  DebugPrivileged,
	}[spec.GetProfile()]
	if !ok {
		return DebugSpec{}, fmt.Errorf("profile %v: %w", spec.GetProfile(), ErrInvalid)
	}
	return DebugSpec{
		Namespace: namespace,
		Image:     spec.GetImageName(),
		Args:      spec.GetArgs(),
		Env:       spec.GetEnv(),
		Profile:   profile,
		TTY:       spec.GetTty(),
	}, nil
}

// receiveInput passes on what the caller sends until it sends no more.
func receiveInput(
	ctx context.Context,
	stream grpc.BidiStreamingServer[machine.DebugContainerRunRequest, machine.DebugContainerRunResponse],
	stdin io.Writer, signals chan<- syscall.Signal, sizes chan<- TerminalSize,
) error {
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch request := message.GetRequest().(type) {
		case *machine.DebugContainerRunRequest_StdinData:
			if _, err := stdin.Write(request.StdinData); err != nil {
				return err
			}
		case *machine.DebugContainerRunRequest_Signal:
			select {
			case signals <- syscall.Signal(request.Signal):
			case <-ctx.Done():
				return ctx.Err()
			}
		case *machine.DebugContainerRunRequest_TermResize:
			size := TerminalSize{Width: uint32(max(request.TermResize.GetWidth(), 0)), Height: uint32(max(request.TermResize.GetHeight(), 0))}
			select {
			case sizes <- size:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

// debugOutput sends what is written to it.
type debugOutput struct {
	stream grpc.BidiStreamingServer[machine.DebugContainerRunRequest, machine.DebugContainerRunResponse]
}

// Write sends p.
func (o debugOutput) Write(p []byte) (int, error) {
	err := o.stream.Send(&machine.DebugContainerRunResponse{Resp: &machine.DebugContainerRunResponse_StdoutData{StdoutData: p}})
	if err != nil {
		return 0, err
	}
	return len(p), nil
}
