package support

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/basalt-os/basalt/api/common"
	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/cli/connect"
	"github.com/basalt-os/basalt/internal/cli/objects"
	"github.com/basalt-os/basalt/internal/cli/why"
	"github.com/basalt-os/basalt/pkg/client"
	"github.com/basalt-os/basalt/pkg/machineconfig"
)

// maxLog bounds one log, in bytes; of a longer one the beginning is kept.
const maxLog = 64 << 20

// podLogLines is how much of the log of a pod's container is collected.
const podLogLines = 5000

// Namespaces of containerd.
const (
	systemNamespace = "system"
	podNamespace    = "k8s.io"
)

// itemsOf lists what is collected from a node: what every node has, and a log
// for each service and container and a file for each type of resource.
func itemsOf(ctx context.Context, n connect.Node) []item {
	items := []item{
		{"why.txt", func(ctx context.Context) ([]byte, error) {
			moment, err := why.Look(ctx, n)
			if err != nil {
				return nil, err
			}

			return []byte(moment.Node().String()), nil
		}},
		{"config.yaml", func(ctx context.Context) ([]byte, error) { return config(ctx, n) }},
		{"dmesg.log", func(ctx context.Context) ([]byte, error) {
			return readAll(n.Machine.Dmesg(ctx, &machine.DmesgRequest{}))
		}},
		{"events.json", func(ctx context.Context) ([]byte, error) { return events(ctx, n) }},
		answer("version.json", n.Machine.Version, &emptypb.Empty{}),
		answer("services.json", n.Machine.ServiceList, &emptypb.Empty{}),
		answer("processes.json", n.Machine.Processes, &emptypb.Empty{}),
		answer("memory.json", n.Machine.Memory, &emptypb.Empty{}),
		answer("load.json", n.Machine.LoadAvg, &emptypb.Empty{}),
		answer("mounts.json", n.Machine.Mounts, &emptypb.Empty{}),
		answer("devices.json", n.Machine.NetworkDeviceStats, &emptypb.Empty{}),
		answer("controllers.json", n.Inspect.ControllerRuntimeDependencies, &emptypb.Empty{}),
		answer("sockets.json", n.Machine.Netstat, &machine.NetstatRequest{
			Feature: &machine.NetstatRequest_Feature{Pid: true},
			L4Proto: &machine.NetstatRequest_L4Proto{Tcp: true, Tcp6: true, Udp: true, Udp6: true},
			Netns:   &machine.NetstatRequest_NetNS{Hostnetwork: true},
		}),
		answer("containers-system.json", n.Machine.Containers, &machine.ContainersRequest{Namespace: systemNamespace}),
		answer("containers-pods.json", n.Machine.Containers, &machine.ContainersRequest{
			Namespace: podNamespace, Driver: common.ContainerDriver_CRI,
		}),
	}

	items = append(items, serviceLogs(ctx, n)...)
	items = append(items, podLogs(ctx, n)...)

	return append(items, resources(ctx, n)...)
}

// answer is the answer to a call, as JSON.
func answer[Q, R proto.Message](name string, call connect.Unary[Q, R], request Q) item {
	return item{name, func(ctx context.Context) ([]byte, error) {
		reply, err := client.Check(call(ctx, request))
		if err != nil {
			return nil, err
		}

		return protojson.MarshalOptions{Multiline: true}.Marshal(reply)
	}}
}

// readAll reads a stream of bytes up to the limit. With an error comes what
// was read before.
func readAll[S client.Stream[*common.Data]](stream S, err error) ([]byte, error) {
	reader, err := client.NewReader(stream, err)
	if err != nil {
		return nil, err
	}

	return io.ReadAll(io.LimitReader(reader, maxLog))
}

// config is the configuration without its secrets.
func config(ctx context.Context, n connect.Node) ([]byte, error) {
	object, err := objects.Get(ctx, n, "config", "MachineConfigs.config.talos.dev", "v1alpha1")
	if err != nil {
		return nil, err
	}

	text, ok := object.Spec.(string)
	if !ok {
		return nil, errors.New("the node does not give its configuration as text")
	}

	parsed, err := machineconfig.Load([]byte(text), machineconfig.Options{})
	if err != nil {
		return nil, err
	}

	return parsed.Redacted()
}

// events are the past events; a call that asks for them goes on for ever, so
// it is ended after the last one.
func events(ctx context.Context, n connect.Node) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, itemTimeout/10)
	defer cancel()

	var out bytes.Buffer

	stream, err := n.Machine.Events(ctx, &machine.EventsRequest{TailEvents: -1})

	for event, err := range client.Messages(stream, err) {
		if ctx.Err() != nil {
			break
		}

		if err != nil {
			return out.Bytes(), err
		}

		text, err := protojson.Marshal(event)
		if err != nil {
			return out.Bytes(), err
		}

		out.Write(append(text, '\n'))
	}

	return out.Bytes(), nil
}

func serviceLogs(ctx context.Context, n connect.Node) []item {
	reply, err := client.Check(n.Machine.LogsContainers(ctx, &emptypb.Empty{}))
	if err != nil {
		return []item{failure("logs", err)}
	}

	var items []item

	for _, message := range reply.GetMessages() {
		for _, id := range message.GetIds() {
			items = append(items, item{"logs/" + fileName(id) + ".log", func(ctx context.Context) ([]byte, error) {
				return readAll(n.Machine.Logs(ctx, &machine.LogsRequest{Namespace: systemNamespace, Id: id, TailLines: -1}))
			}})
		}
	}

	return items
}

// podLogs are the logs of the pods that Kubernetes itself is made of.
func podLogs(ctx context.Context, n connect.Node) []item {
	reply, err := client.Check(n.Machine.Containers(ctx, &machine.ContainersRequest{
		Namespace: podNamespace, Driver: common.ContainerDriver_CRI,
	}))
	if err != nil {
		return []item{failure("pods", err)}
	}

	var items []item

	for _, message := range reply.GetMessages() {
		for _, container := range message.GetContainers() {
			id := container.GetId()
			if id == container.GetPodId() || !strings.HasPrefix(id, "kube-system/") {
				continue
			}

			items = append(items, item{"pods/" + fileName(id) + ".log", func(ctx context.Context) ([]byte, error) {
				return readAll(n.Machine.Logs(ctx, &machine.LogsRequest{
					Namespace: podNamespace, Driver: common.ContainerDriver_CRI, Id: id, TailLines: podLogLines,
				}))
			}})
		}
	}

	return items
}

// withheld says of a type of resource that its contents stay on the node: it is
// secret, or people write into it what may have secrets, such as manifests or
// the password of a proxy.
func withheld(kind, sensitivity string) bool {
	return sensitivity == "sensitive" || slices.Contains([]string{
		"ExtraManifestsConfigs.kubernetes.talos.dev", "Manifests.kubernetes.talos.dev", "StaticPods.kubernetes.talos.dev",
		"Environments.runtime.talos.dev",
	}, kind)
}

// resources are all resources that are not withheld, a file per type.
func resources(ctx context.Context, n connect.Node) []item {
	definitions, err := objects.Definitions(ctx, n)
	if err != nil {
		return []item{failure("resources", err)}
	}

	var items []item

	for _, definition := range definitions {
		if withheld(definition.Type, definition.Sensitivity) {
			continue
		}

		items = append(items, item{"resources/" + definition.Type + ".yaml", func(ctx context.Context) ([]byte, error) {
			list, err := objects.List(ctx, n, definition.DefaultNamespace, definition.Type)

			var out bytes.Buffer

			for _, object := range list {
				text, err := object.YAML("", "")
				if err != nil {
					return nil, err
				}

				out.WriteString("---\n")
				out.Write(text)
			}

			return out.Bytes(), err
		}})
	}

	return items
}

// failure stands for items that could not be listed.
func failure(name string, err error) item {
	return item{name, func(context.Context) ([]byte, error) { return nil, err }}
}
