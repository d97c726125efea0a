package runtime

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/proto"

	machineapi "github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/cmdline"
	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/events"
	"github.com/basalt-os/basalt/internal/logs"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resources/network"
	"github.com/basalt-os/basalt/internal/resources/runtime"
	"github.com/basalt-os/basalt/internal/sink"
	"github.com/basalt-os/basalt/pkg/machineconfig"
	"github.com/basalt-os/basalt/pkg/machineconfig/document"
)

// Arguments of the kernel that name destinations, so that a machine can be
// watched before it has a configuration.
const (
	argEventSink = "talos.events.sink"
	argKernelLog = "talos.logging.kernel"
)

// EventSink says where events are sent: where the configuration says, or else
// the kernel's arguments.
func EventSink(reader *configured.Reader, line cmdline.Line) reconcile.Controller {
	return derive.One("runtime.EventsSinkConfigController", runtime.EventSinkConfigID, []reconcile.Input{configured.Input()},
		func(ctx context.Context, rt *reconcile.Runtime, _ runtime.EventSinkConfig) (runtime.EventSinkConfig, error) {
			cfg, err := reader.Read(ctx, rt)
			if err != nil {
				return runtime.EventSinkConfig{}, err
			}

			if cfg != nil {
				if doc := machineconfig.Find[document.EventSinkConfig](cfg); doc != nil && doc.Endpoint != "" {
					return runtime.EventSinkConfig{Endpoint: doc.Endpoint}, nil
				}
			}

			if endpoint, ok := line.Get(argEventSink); ok && endpoint != "" {
				return runtime.EventSinkConfig{Endpoint: endpoint}, nil
			}

			return derive.None[runtime.EventSinkConfig]()
		})
}

// KmsgLog says where the kernel's log is sent: where the kernel's arguments say,
// and the configuration.
func KmsgLog(reader *configured.Reader, line cmdline.Line) reconcile.Controller {
	return derive.One("runtime.KmsgLogConfigController", runtime.KmsgLogConfigID, []reconcile.Input{configured.Input()},
		func(ctx context.Context, rt *reconcile.Runtime, _ runtime.KmsgLogConfig) (runtime.KmsgLogConfig, error) {
			cfg, err := reader.Read(ctx, rt)
			if err != nil {
				return runtime.KmsgLogConfig{}, err
			}

			destinations, err := kernelDestinations(line)
			if err != nil {
				return runtime.KmsgLogConfig{}, err
			}

			if cfg != nil {
				for _, doc := range machineconfig.All[document.KmsgLogConfig](cfg) {
					destinations = append(destinations, &doc.URL.URL)
				}
			}

			if len(destinations) == 0 {
				return derive.None[runtime.KmsgLogConfig]()
			}

			return runtime.KmsgLogConfig{Destinations: destinations}, nil
		})
}

func kernelDestinations(line cmdline.Line) ([]*url.URL, error) {
	var destinations []*url.URL

	for _, text := range line.All(argKernelLog) {
		if text == "" {
			continue
		}

		destination, err := url.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("reading the kernel's argument %s: %w", argKernelLog, err)
		}

		if destination.Host == "" || destination.Scheme != "tcp" && destination.Scheme != "udp" {
			return nil, fmt.Errorf("reading the kernel's argument %s: %q is not of the form tcp://host:port or udp://host:port", argKernelLog, text)
		}

		destinations = append(destinations, destination)
	}

	return destinations, nil
}

// sender is a controller that keeps one task running for each destination.
func sender(name string, inputs []reconcile.Input,
	wanted func(ctx context.Context, rt *reconcile.Runtime) (map[string]func(context.Context), error),
) reconcile.Controller {
	running := newTasks()

	return derive.Watched(derive.Act(name, inputs, nil, func(ctx context.Context, rt *reconcile.Runtime) error {
		next, err := wanted(ctx, rt)
		if err != nil {
			return err
		}

		running.set(next)

		return nil
	}), running.run)
}

// EventSender sends the node's events to the sink.
func EventSender(ring *events.Ring, logger *slog.Logger) reconcile.Controller {
	return sender("runtime.EventsSinkController", []reconcile.Input{derive.In[runtime.EventSinkConfig](runtime.EventSinkConfigID)},
		func(ctx context.Context, rt *reconcile.Runtime) (map[string]func(context.Context), error) {
			config, err := derive.Find[runtime.EventSinkConfig](ctx, rt, runtime.EventSinkConfigID)
			if err != nil || config == nil {
				return nil, err
			}

			endpoint := config.Spec.Endpoint

			return map[string]func(context.Context){endpoint: func(ctx context.Context) {
				if err := sink.Events(ctx, endpoint, ring, logger); err != nil {
					logger.Error("sending events", "sink", endpoint, "error", err)
				}
			}}, nil
		})
}

// AddressEvents tells followers of events under which name and at which addresses
// the node is, whenever one of them has changed.
func AddressEvents(ring *events.Ring) reconcile.Controller {
	var last *machineapi.AddressEvent

	return derive.Act("runtime.AddressEventController", []reconcile.Input{
		derive.In[network.HostnameStatus](network.HostnameID),
		derive.In[network.NodeAddress](network.NodeAddressCurrentID),
	}, nil, func(ctx context.Context, rt *reconcile.Runtime) error {
		host, err := derive.Need[network.HostnameStatus](ctx, rt, network.HostnameID)
		if err != nil {
			return err
		}

		addresses, err := derive.Need[network.NodeAddress](ctx, rt, network.NodeAddressCurrentID)
		if err != nil {
			return err
		}

		event := addressEvent(host.Spec, addresses.Spec)
		if last != nil && proto.Equal(last, event) {
			return nil
		}

		last = event

		ring.Publish(ctx, event)

		return nil
	})
}

func addressEvent(host network.HostnameStatus, addresses network.NodeAddress) *machineapi.AddressEvent {
	event := &machineapi.AddressEvent{Hostname: host.Hostname}
	for _, p := range addresses.Addresses {
		event.Addresses = append(event.Addresses, p.Addr().String())
	}

	return event
}

// KernelLogSender sends the kernel's log to all its destinations. Proc and dev
// are where the kernel's process file system and devices are mounted.
func KernelLogSender(proc, dev string, logger *slog.Logger) reconcile.Controller {
	return sender("runtime.KmsgLogDeliveryController", []reconcile.Input{derive.In[runtime.KmsgLogConfig](runtime.KmsgLogConfigID)},
		func(ctx context.Context, rt *reconcile.Runtime) (map[string]func(context.Context), error) {
			config, err := derive.Find[runtime.KmsgLogConfig](ctx, rt, runtime.KmsgLogConfigID)
			if err != nil || config == nil {
				return nil, err
			}

			boot, err := bootTime(proc)
			if err != nil {
				return nil, err
			}

			wanted := map[string]func(context.Context){}

			for _, destination := range config.Spec.Destinations {
				wanted[destination.String()] = func(ctx context.Context) {
					if err := sink.Kernel(ctx, destination, filepath.Join(dev, "kmsg"), boot, logger); err != nil {
						logger.Error("sending the kernel's log", "destination", destination.String(), "error", err)
					}
				}
			}

			return wanted, nil
		})
}

func bootTime(proc string) (time.Time, error) {
	stat, err := os.Open(filepath.Join(proc, "stat"))
	if err != nil {
		return time.Time{}, fmt.Errorf("reading boot time: %w", err)
	}
	defer stat.Close()

	return logs.BootTime(stat)
}

// ServiceLogSender sends the logs of services where the configuration says.
func ServiceLogSender(reader *configured.Reader, book *logs.Book, logger *slog.Logger) reconcile.Controller {
	return sender("runtime.LogDeliveryController", []reconcile.Input{configured.Input()},
		func(ctx context.Context, rt *reconcile.Runtime) (map[string]func(context.Context), error) {
			cfg, err := reader.Read(ctx, rt)
			if err != nil || cfg == nil {
				return nil, err
			}

			wanted := map[string]func(context.Context){}

			for _, d := range cfg.Machine().Logging {
				// Tags are part of the key: with others the sender begins anew.
				wanted[fmt.Sprint(d.Endpoint.String(), d.ExtraTags)] = func(ctx context.Context) {
					sink.Services(ctx, &d.Endpoint.URL, d.ExtraTags, book, logger)
				}
			}

			return wanted, nil
		})
}
