package client

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/basalt-os/basalt/api/cluster"
	cosiresource "github.com/basalt-os/basalt/api/cosi/resource"
	"github.com/basalt-os/basalt/api/inspect"
	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/api/storage"
	timeapi "github.com/basalt-os/basalt/api/time"
	"github.com/basalt-os/basalt/pkg/client/clientconfig"
)

// DefaultPort is the port of the API on every node.
const DefaultPort = 50000

// MaxMessageSize is the largest request or response, in bytes.
const MaxMessageSize = 32 << 20

// Client is a connection to the API. It is safe for concurrent use. The fields
// are the API's services; they are set by New and must not be changed.
type Client struct {
	Machine   machine.MachineServiceClient
	Image     machine.ImageServiceClient
	Lifecycle machine.LifecycleServiceClient
	Debug     machine.DebugServiceClient
	LVM       machine.LVMServiceClient
	MD        machine.MDServiceClient
	// Filesystem is machine.StorageService, and Storage is storage.StorageService.
	Filesystem machine.StorageServiceClient
	Storage    storage.StorageServiceClient
	Time       timeapi.TimeServiceClient
	Cluster    cluster.ClusterServiceClient
	Inspect    inspect.InspectServiceClient
	// State reads the node's resources.
	State cosiresource.StateClient

	conn      *grpc.ClientConn
	context   *clientconfig.Context
	endpoints []string
}

// New prepares a connection; it is made when the first call needs it, and again
// whenever it was lost. Close the client when it is not needed any more.
//
// Without options, the current context of the client configuration file is used.
func New(opts ...Option) (*Client, error) {
	var o options
	for _, opt := range opts {
		opt(&o)
	}

	if err := o.complete(); err != nil {
		return nil, err
	}

	conn, err := o.dial()
	if err != nil {
		return nil, err
	}

	return &Client{
		Machine:    machine.NewMachineServiceClient(conn),
		Image:      machine.NewImageServiceClient(conn),
		Lifecycle:  machine.NewLifecycleServiceClient(conn),
		Debug:      machine.NewDebugServiceClient(conn),
		LVM:        machine.NewLVMServiceClient(conn),
		MD:         machine.NewMDServiceClient(conn),
		Filesystem: machine.NewStorageServiceClient(conn),
		Storage:    storage.NewStorageServiceClient(conn),
		Time:       timeapi.NewTimeServiceClient(conn),
		Cluster:    cluster.NewClusterServiceClient(conn),
		Inspect:    inspect.NewInspectServiceClient(conn),
		State:      cosiresource.NewStateClient(conn),
		conn:       conn,
		context:    o.context,
		endpoints:  o.endpoints,
	}, nil
}

// Close ends the connection and all calls over it.
func (c *Client) Close() error {
	if err := c.conn.Close(); err != nil {
		return fmt.Errorf("closing API connection: %w", err)
	}

	return nil
}

// Conn returns the gRPC connection, for services that have no field here. It
// belongs to the client.
func (c *Client) Conn() grpc.ClientConnInterface { return c.conn }

// Context returns the context of the client configuration that is used. It is
// empty when the client was made without one.
func (c *Client) Context() *clientconfig.Context { return c.context }

// Endpoints returns the addresses that the client connects to.
func (c *Client) Endpoints() []string { return c.endpoints }

func (o *options) dial() (*grpc.ClientConn, error) {
	target, creds := endpointScheme+":///nodes", insecure.NewCredentials()
	dialOptions := []grpc.DialOption{
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(MaxMessageSize), grpc.MaxCallSendMsgSize(MaxMessageSize)),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 250 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 5 * time.Second},
			MinConnectTimeout: 10 * time.Second,
		}),
	}

	if o.socket != "" {
		target = "unix://" + o.socket
	} else {
		addresses, err := parseEndpoints(o.endpoints)
		if err != nil {
			return nil, err
		}

		if creds, err = o.credentials(); err != nil {
			return nil, err
		}

		dialOptions = append(dialOptions,
			grpc.WithResolvers(endpoints(addresses)),
			grpc.WithDefaultServiceConfig(`{"loadBalancingConfig": [{"round_robin": {}}]}`))

		if o.context.ProxyURL != "" {
			dialer, err := proxyDialer(o.context.ProxyURL)
			if err != nil {
				return nil, err
			}

			dialOptions = append(dialOptions, grpc.WithContextDialer(dialer))
		}
	}

	dialOptions = append(dialOptions, grpc.WithTransportCredentials(creds))

	conn, err := grpc.NewClient(target, append(dialOptions, o.dialOptions...)...)
	if err != nil {
		return nil, fmt.Errorf("preparing API connection: %w", err)
	}

	return conn, nil
}

// complete fills in what was not given from the client configuration.
func (o *options) complete() error {
	if o.context == nil {
		o.context = &clientconfig.Context{}

		// With all of it given, no file is needed.
		if given := o.socket != "" || len(o.endpoints) > 0 && (o.insecure || o.tls != nil); !given || o.configured() {
			if err := o.loadContext(); err != nil {
				return err
			}
		}
	}

	if len(o.endpoints) == 0 {
		o.endpoints = o.context.Endpoints
	}

	if len(o.endpoints) == 0 && o.socket == "" {
		return errors.New("no endpoints: neither given nor in the context of the client configuration")
	}

	return nil
}

func (o *options) configured() bool {
	return o.config != nil || o.configPath != "" || o.contextName != ""
}

func (o *options) loadContext() error {
	config := o.config

	if config == nil {
		var err error
		if config, err = clientconfig.Load(o.configPath); err != nil {
			return err
		}
	}

	var err error

	o.context, err = config.Select(o.contextName)

	return err
}
