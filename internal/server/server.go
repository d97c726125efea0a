// Package server implements the gRPC services of machined, which it offers on
// a Unix socket of the node.
//
// The services are thin: they translate between the wire and the parts of the
// node that do the work, which are given as the narrow interfaces of Options.
// Who may call what is not decided here but by the interceptors of package
// rbac, in front of these services. Handlers return plain Go errors; the
// interceptors of this package map them to gRPC codes by one table.
package server

import (
	"errors"
	"log/slog"

	"google.golang.org/grpc"

	"github.com/basalt-os/basalt/api/cluster"
	"github.com/basalt-os/basalt/api/inspect"
	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/api/storage"
	timeapi "github.com/basalt-os/basalt/api/time"
	"github.com/basalt-os/basalt/internal/events"
	"github.com/basalt-os/basalt/internal/logs"
)

// MaxMessageSize is the largest gRPC message of the node's API in bytes.
const MaxMessageSize = 32 << 20

// Options are the parts of the node that the services speak for. All of them
// must be set, unless said otherwise, and be safe for concurrent use.
type Options struct {
	Logger   *slog.Logger
	Platform Platform

	Machine      Machine
	Installation Installation
	Meta         Meta
	Services     Services
	Logs         *logs.Book
	Events       *events.Ring
	Config       Config
	Credentials  Credentials
	Etcd         Etcd
	Containers   Containers
	Images       Images
	Cluster      Cluster
	Clock        Clock
	Controllers  Controllers
	Disks        Disks

	// Root is the folder below which paths of requests are resolved; "/" when
	// empty. Proc and Sys are the kernel's filesystems; "/proc" and "/sys"
	// when empty.
	Root, Proc, Sys string
}

// Platform says what kind of node this is.
type Platform struct {
	Name string // "container", "metal", the name of a cloud
	Mode string // "container", "metal", "cloud"
}

// Server is the set of services. Its methods are safe for concurrent use.
type Server struct {
	Options

	trial trial
}

// New returns the services over the given parts.
func New(options Options) (*Server, error) {
	if err := options.complete(); err != nil {
		return nil, err
	}
	return &Server{Options: options}, nil
}

func (o *Options) complete() error {
	var missing []error
	for name, absent := range map[string]bool{
		"Logger":       o.Logger == nil,
		"Machine":      o.Machine == nil,
		"Installation": o.Installation == nil,
		"Meta":         o.Meta == nil,
		"Services":     o.Services == nil,
		"Logs":         o.Logs == nil,
		"Events":       o.Events == nil,
		"Config":       o.Config == nil,
		"Credentials":  o.Credentials == nil,
		"Etcd":         o.Etcd == nil,
		"Containers":   o.Containers == nil,
		"Images":       o.Images == nil,
		"Cluster":      o.Cluster == nil,
		"Clock":        o.Clock == nil,
		"Controllers":  o.Controllers == nil,
		"Disks":        o.Disks == nil,
	} {
		if absent {
			missing = append(missing, errors.New("creating API server: option "+name+" is not set"))
		}
	}
	for path, standard := range map[*string]string{&o.Root: "/", &o.Proc: "/proc", &o.Sys: "/sys"} {
		if *path == "" {
			*path = standard
		}
	}
	return errors.Join(missing...)
}

// Register adds all services to a gRPC server. The server needs the
// interceptors UnaryErrors and StreamErrors behind those that authorize.
func (s *Server) Register(registrar grpc.ServiceRegistrar) {
	machine.RegisterMachineServiceServer(registrar, machineService{Server: s})
	machine.RegisterImageServiceServer(registrar, imageService{Server: s})
	machine.RegisterLifecycleServiceServer(registrar, lifecycleService{Server: s})
	machine.RegisterDebugServiceServer(registrar, debugService{Server: s})
	machine.RegisterStorageServiceServer(registrar, statfsService{Server: s})
	machine.RegisterLVMServiceServer(registrar, lvmService{Server: s})
	machine.RegisterMDServiceServer(registrar, mdService{Server: s})
	storage.RegisterStorageServiceServer(registrar, diskService{Server: s})
	timeapi.RegisterTimeServiceServer(registrar, timeService{Server: s})
	cluster.RegisterClusterServiceServer(registrar, clusterService{Server: s})
	inspect.RegisterInspectServiceServer(registrar, inspectService{Server: s})
}

// Close gives up a configuration that is on trial: it is not rolled back, since
// the node goes down and boots with the stored one. It waits for a roll-back
// that has already begun.
func (s *Server) Close() {
	s.trial.end()
}

// The types below are the gRPC services. They embed the Unsafe interfaces of
// the generated code on purpose: a method that the contract declares and that
// has no implementation does not compile.
type (
	machineService struct {
		machine.UnsafeMachineServiceServer
		*Server
	}
	imageService struct {
		machine.UnsafeImageServiceServer
		*Server
	}
	lifecycleService struct {
		machine.UnsafeLifecycleServiceServer
		*Server
	}
	debugService struct {
		machine.UnsafeDebugServiceServer
		*Server
	}
	statfsService struct {
		machine.UnsafeStorageServiceServer
		*Server
	}
	lvmService struct {
		machine.UnsafeLVMServiceServer
		*Server
	}
	mdService struct {
		machine.UnsafeMDServiceServer
		*Server
	}
	diskService struct {
		storage.UnsafeStorageServiceServer
		*Server
	}
	timeService struct {
		timeapi.UnsafeTimeServiceServer
		*Server
	}
	clusterService struct {
		cluster.UnsafeClusterServiceServer
		*Server
	}
	inspectService struct {
		inspect.UnsafeInspectServiceServer
		*Server
	}
)
