package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/basalt-os/basalt/api/common"
	cosiresource "github.com/basalt-os/basalt/api/cosi/resource"
	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/pkg/client"
	"github.com/basalt-os/basalt/pkg/client/clientconfig"
	"github.com/basalt-os/basalt/pkg/machineconfig"
	"github.com/basalt-os/basalt/pkg/provision"
)

// apiLimit is how long something that is asked for by API may take.
const apiLimit = time.Minute

// versionTellsTheContract looks at what clients gate their features on.
func versionTellsTheContract(t *testing.T, c *cluster) {
	response, err := client.Check(c.api.Machine.Version(on(t.Context(), c.controlPlane()), &emptypb.Empty{}))
	if err != nil {
		t.Fatal(err)
	}

	message := response.GetMessages()[0]
	if got, want := message.GetVersion().GetTag(), "v1.14.0+basalt.0.1.0"; got != want {
		t.Errorf("tag: got %q, want %q", got, want)
	}

	if got := message.GetPlatform(); got.GetName() != "container" || got.GetMode() != "container" {
		t.Errorf("platform: got %v", got)
	}

	if !message.GetFeatures().GetRbac() {
		t.Error("the version does not say that there are roles")
	}
}

// rolesAreKept asks with certificates that may do little.
func rolesAreKept(t *testing.T, c *cluster) {
	ctx := on(t.Context(), c.worker())

	for _, test := range []struct {
		role             string
		allowed, refused map[string]func(*client.Client) error
	}{
		{
			role:    "os:reader",
			allowed: map[string]func(*client.Client) error{"version": version(ctx), "services": services(ctx), "resource": resource(ctx, "Nodenames.kubernetes.talos.dev")},
			refused: map[string]func(*client.Client) error{"reboot": reboot(ctx), "snapshot": snapshot(on(t.Context(), c.controlPlane())), "secret": resource(ctx, "KubeletSecrets.secrets.talos.dev")},
		},
		{
			role:    "os:etcd:backup",
			allowed: map[string]func(*client.Client) error{"snapshot": snapshot(on(t.Context(), c.controlPlane()))},
			refused: map[string]func(*client.Client) error{"version": version(ctx), "services": services(ctx), "reboot": reboot(ctx)},
		},
	} {
		t.Run(strings.ReplaceAll(test.role, ":", "-"), func(t *testing.T) {
			limited := c.as(t, test.role)

			for name, call := range test.allowed {
				if err := call(limited); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}

			for name, call := range test.refused {
				if err := call(limited); status.Code(err) != codes.PermissionDenied {
					t.Errorf("%s: got %v, want permission denied", name, err)
				}
			}
		})
	}
}

// as returns a client whose certificate has one role.
func (c *cluster) as(t *testing.T, role string) *client.Client {
	t.Helper()

	response, err := client.Check(c.api.Machine.GenerateClientConfiguration(on(t.Context(), c.controlPlane()),
		&machine.GenerateClientConfigurationRequest{Roles: []string{role}, CrtTtl: durationpb.New(time.Hour)}))
	if err != nil {
		t.Fatal(err)
	}

	config, err := clientconfig.Parse(response.GetMessages()[0].GetTalosconfig())
	if err != nil {
		t.Fatal(err)
	}

	limited, err := client.New(client.WithConfig(config), client.WithEndpoints(c.controlPlane().Address.String()))
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { limited.Close() })

	return limited
}

func version(ctx context.Context) func(*client.Client) error {
	return func(c *client.Client) error {
		_, err := client.Check(c.Machine.Version(ctx, &emptypb.Empty{}))

		return err
	}
}

func services(ctx context.Context) func(*client.Client) error {
	return func(c *client.Client) error {
		_, err := client.Check(c.Machine.ServiceList(ctx, &emptypb.Empty{}))

		return err
	}
}

func reboot(ctx context.Context) func(*client.Client) error {
	return func(c *client.Client) error {
		_, err := client.Check(c.Machine.Reboot(ctx, &machine.RebootRequest{}))

		return err
	}
}

func resource(ctx context.Context, kind string) func(*client.Client) error {
	return func(c *client.Client) error {
		stream, err := c.State.List(ctx, &cosiresource.ListRequest{Namespace: namespaceOf(kind), Type: kind})
		if err != nil {
			return err
		}

		if _, err = stream.Recv(); errors.Is(err, io.EOF) {
			return nil
		}

		return err
	}
}

// namespaceOf is where the resources of a type are that a story asks for.
func namespaceOf(kind string) string {
	if strings.Contains(kind, "secrets") {
		return "secrets"
	}

	return "k8s"
}

func snapshot(ctx context.Context) func(*client.Client) error {
	return func(c *client.Client) error {
		reader, err := client.NewReader(c.Machine.EtcdSnapshot(ctx, &machine.EtcdSnapshotRequest{}))
		if err != nil {
			return err
		}

		data, err := io.ReadAll(reader)
		if err != nil {
			return err
		}

		// A snapshot is the database with its checksum behind it.
		if len(data) < sha256.Size {
			return fmt.Errorf("the snapshot has %d bytes", len(data))
		}

		body, sum := data[:len(data)-sha256.Size], data[len(data)-sha256.Size:]
		if got := sha256.Sum256(body); !bytes.Equal(got[:], sum) {
			return errors.New("the snapshot's checksum is wrong")
		}

		return nil
	}
}

// callsFanOut asks all nodes, and one that is not there, in one call.
func callsFanOut(t *testing.T, c *cluster) {
	response, err := client.Check(c.api.Machine.Hostname(client.WithNodes(t.Context(), c.addresses()...), &emptypb.Empty{}))
	if err != nil {
		t.Fatal(err)
	}

	names := map[string]string{}
	for _, message := range response.GetMessages() {
		names[message.GetMetadata().GetHostname()] = message.GetHostname()
	}

	for _, node := range c.spec.Nodes {
		if got := names[node.Address.String()]; got != node.Name {
			t.Errorf("node %s says it is %q, want %q", node.Address, got, node.Name)
		}
	}

	last := c.spec.Nodes[len(c.spec.Nodes)-1].Address
	c.assertOneFails(t, last.Next().Next().String())
}

// assertOneFails asks all nodes and one more that does not answer: the others'
// answers are there all the same.
func (c *cluster) assertOneFails(t *testing.T, dead string) {
	t.Helper()

	ctx, cancel := context.WithTimeout(t.Context(), apiLimit)
	defer cancel()

	nodes := c.addresses()
	if !slices.Contains(nodes, dead) {
		nodes = append(nodes, dead)
	}

	response, err := client.Check(c.api.Machine.Version(client.WithNodes(ctx, nodes...), &emptypb.Empty{}))

	var failed client.Errors
	if !errors.As(err, &failed) || len(failed) != 1 || failed[0].Node != dead || status.Code(failed[0]) != codes.Unavailable {
		t.Errorf("got %v, want that %s is unavailable", err, dead)
	}

	if got := len(response.GetMessages()); got != len(nodes)-1 {
		t.Errorf("got answers of %d nodes, want %d", got, len(nodes)-1)
	}
}

// configurationIsTriedAndApplied changes a node's labels in each way in which a
// configuration can be applied without a reboot.
func configurationIsTriedAndApplied(t *testing.T, c *cluster) {
	node := c.worker()

	original, err := os.ReadFile(c.folder.NodeConfig(node.Name))
	if err != nil {
		t.Fatal(err)
	}

	apply := func(t *testing.T, data []byte, mode machine.ApplyConfigurationRequest_Mode, dry bool, trial time.Duration) *machine.ApplyConfiguration {
		t.Helper()

		request := &machine.ApplyConfigurationRequest{Data: data, Mode: mode, DryRun: dry}
		if trial > 0 {
			request.TryModeTimeout = durationpb.New(trial)
		}

		response, err := client.Check(c.api.Machine.ApplyConfiguration(on(t.Context(), node), request))
		if err != nil {
			t.Fatal(err)
		}

		return response.GetMessages()[0]
	}

	labelled := func(value string) []byte {
		return patched(t, original, "apiVersion: v1alpha1\nkind: KubeNodeConfig\nlabels: {stone: "+value+"}")
	}

	t.Cleanup(func() {
		if !t.Failed() {
			return // the last step has put the original back
		}

		request := &machine.ApplyConfigurationRequest{Data: original, Mode: machine.ApplyConfigurationRequest_NO_REBOOT}
		if _, err := client.Check(c.api.Machine.ApplyConfiguration(on(context.Background(), node), request)); err != nil {
			t.Error(err)
		}
	})

	t.Run("DryRun", func(t *testing.T) {
		details := apply(t, labelled("dry"), machine.ApplyConfigurationRequest_AUTO, true, 0).GetModeDetails()
		if !strings.Contains(details, "stone: dry") || !strings.Contains(details, "without a reboot") {
			t.Errorf("got %q", details)
		}

		if got := c.label(t.Context(), node, "stone"); got != "" {
			t.Errorf("the dry run has set the label to %q", got)
		}
	})

	t.Run("Try", func(t *testing.T) {
		apply(t, labelled("tried"), machine.ApplyConfigurationRequest_TRY, false, 5*time.Second)
		c.awaitLabel(t, node, "stone", "tried")
		c.awaitLabel(t, node, "stone", "")
	})

	t.Run("NoReboot", func(t *testing.T) {
		before := c.pid(t, node)

		apply(t, labelled("applied"), machine.ApplyConfigurationRequest_NO_REBOOT, false, 0)
		c.awaitLabel(t, node, "stone", "applied")

		apply(t, original, machine.ApplyConfigurationRequest_AUTO, false, 0)
		c.awaitLabel(t, node, "stone", "")

		if after := c.pid(t, node); after != before {
			t.Errorf("the node was restarted: its PID 1 was %d and is %d", before, after)
		}
	})

	t.Run("Refused", func(t *testing.T) {
		_, err := client.Check(c.api.Machine.ApplyConfiguration(on(t.Context(), node), &machine.ApplyConfigurationRequest{
			Data: append(slices.Clone(original), []byte("\nmistake: true\n")...), Mode: machine.ApplyConfigurationRequest_AUTO,
		}))
		if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "mistake") {
			t.Errorf("got %v, want that the mistake is named", err)
		}
	})
}

// patched applies a strategic merge patch.
func patched(t *testing.T, config []byte, change string) []byte {
	t.Helper()

	loaded, err := machineconfig.Load(config, machineconfig.Options{})
	if err != nil {
		t.Fatal(err)
	}

	patch, err := machineconfig.LoadPatch([]byte(change), machineconfig.Options{})
	if err != nil {
		t.Fatal(err)
	}

	result, err := loaded.Patch(patch)
	if err != nil {
		t.Fatal(err)
	}

	return result.Bytes()
}

func (c *cluster) label(ctx context.Context, node provision.Node, name string) string {
	found, err := c.kube.CoreV1().Nodes().Get(ctx, node.Name, metav1.GetOptions{})
	if err != nil {
		return err.Error()
	}

	return found.Labels[name]
}

func (c *cluster) awaitLabel(t *testing.T, node provision.Node, name, want string) {
	t.Helper()

	eventually(t, apiLimit, "label "+name, func(ctx context.Context) error {
		return wants(want)(c.label(ctx, node, name), nil)
	})
}

// snapshotIsWhole takes the database's snapshot.
func snapshotIsWhole(t *testing.T, c *cluster) {
	if err := snapshot(on(t.Context(), c.controlPlane()))(c.api); err != nil {
		t.Error(err)
	}
}

// clocksAreCompared compares all clocks with the time server of the cluster: no
// internet is needed.
func clocksAreCompared(t *testing.T, c *cluster) {
	gateway := c.spec.Gateway().String()

	for _, node := range c.spec.Nodes {
		response, err := client.Check(c.api.Time.Time(on(t.Context(), node), &emptypb.Empty{}))
		if err != nil {
			t.Errorf("%s: %v", node.Name, err)

			continue
		}

		message := response.GetMessages()[0]
		if message.GetServer() != gateway {
			t.Errorf("%s has asked %s, want %s", node.Name, message.GetServer(), gateway)
		}

		if apart := message.GetRemotetime().AsTime().Sub(message.GetLocaltime().AsTime()).Abs(); apart > 5*time.Second {
			t.Errorf("%s: the clock is %s away from that of the same machine", node.Name, apart)
		}
	}

	if out := c.program(t, "time", "-n", strings.Join(c.addresses(), ",")); strings.Count(out, gateway) != len(c.spec.Nodes) {
		t.Errorf("got\n%s\nwant a line with %s for each node", out, gateway)
	}
}

// logsFollow reads the kubelet's log on while a pod is made.
func logsFollow(t *testing.T, c *cluster) {
	ns := c.namespace(t)

	ctx, cancel := context.WithTimeout(t.Context(), apiLimit)
	defer cancel()

	stream, err := c.api.Machine.Logs(on(ctx, c.worker()), &machine.LogsRequest{
		Namespace: "system", Id: "kubelet", Driver: common.ContainerDriver_CONTAINERD, Follow: true, TailLines: 1,
	})

	reader, err := client.NewReader(stream, err)
	if err != nil {
		t.Fatal(err)
	}

	p := pod("followed-"+ns, container("pause"))
	p.Spec.NodeName = c.worker().Name
	c.runPod(t, ns, p)

	awaitText(t, reader, p.Name)
}

// awaitText reads until a text comes.
func awaitText(t *testing.T, reader io.Reader, text string) {
	t.Helper()

	var (
		seen   bytes.Buffer
		buffer = make([]byte, 64<<10)
	)

	for !bytes.Contains(seen.Bytes(), []byte(text)) {
		n, err := reader.Read(buffer)
		seen.Write(buffer[:n])

		if err != nil {
			t.Fatalf("no %q in the log: %v", text, err)
		}
	}
}

// eventsAndResourcesFollow restarts a service and sees it in the events and in
// a watch of the service's resource.
func eventsAndResourcesFollow(t *testing.T, c *cluster) {
	const service = "kubelet"

	ctx, cancel := context.WithTimeout(on(t.Context(), c.worker()), apiLimit)
	defer cancel()

	events, err := c.api.Machine.Events(ctx, &machine.EventsRequest{})
	if err != nil {
		t.Fatal(err)
	}

	if _, err := events.Header(); err != nil { // from here on no event is missed
		t.Fatal(err)
	}

	id := service

	watch, err := c.api.State.Watch(ctx, &cosiresource.WatchRequest{
		Namespace: "runtime", Type: "Services.v1alpha1.talos.dev", Id: &id, ApiVersion: 1, Options: &cosiresource.WatchOptions{},
	})
	if err != nil {
		t.Fatal(err)
	}

	first := nextEvents(t, watch)
	if len(first) != 1 || first[0].GetEventType() != cosiresource.EventType_CREATED || first[0].GetResource().GetMetadata().GetId() != service {
		t.Fatalf("the watch begins with %v, want the service", first)
	}

	if _, err := client.Check(c.api.Machine.ServiceRestart(ctx, &machine.ServiceRestartRequest{Id: service})); err != nil {
		t.Fatal(err)
	}

	for event, err := range client.Events(events, nil) {
		if err != nil {
			t.Fatalf("no event says that %s runs again: %v", service, err)
		}

		state, ok := event.Payload.(*machine.ServiceStateEvent)
		if ok && state.GetService() == service && state.GetAction() == machine.ServiceStateEvent_RUNNING {
			break
		}
	}

	// The resource is destroyed or changed when the service stops, and there
	// with a later version when it runs.
	for again := false; !again; {
		for _, event := range nextEvents(t, watch) {
			again = again || event.GetResource().GetMetadata().GetVersion() != first[0].GetResource().GetMetadata().GetVersion()
		}
	}
}

// nextEvents waits for what a watch tells next.
func nextEvents(t *testing.T, watch cosiresource.State_WatchClient) []*cosiresource.Event {
	t.Helper()

	for {
		response, err := watch.Recv()
		if err != nil {
			t.Fatalf("watching: %v", err)
		}

		if events := response.GetEvent(); len(events) > 0 {
			return events
		}
	}
}

// imagesArePulledAndListed pulls an image for the node's own use.
func imagesArePulledAndListed(t *testing.T, c *cluster) {
	ctx := on(t.Context(), c.worker())

	if _, err := client.Check(c.api.Machine.ImagePull(ctx, &machine.ImagePullRequest{
		Namespace: common.ContainerdNamespace_NS_SYSTEM, Reference: agnhost,
	})); err != nil {
		t.Fatal(err)
	}

	stream, err := c.api.Machine.ImageList(ctx, &machine.ImageListRequest{Namespace: common.ContainerdNamespace_NS_SYSTEM})

	var names []string

	for image, err := range client.Messages(stream, err) {
		if err != nil {
			t.Fatal(err)
		}

		if image.GetSize() <= 0 || !strings.HasPrefix(image.GetDigest(), "sha256:") {
			t.Errorf("image %s has size %d and digest %q", image.GetName(), image.GetSize(), image.GetDigest())
		}

		names = append(names, image.GetName())
	}

	if !slices.Contains(names, agnhost) {
		t.Errorf("there are images %q, want %s among them", names, agnhost)
	}

	_, err = client.Check(c.api.Machine.ImagePull(ctx, &machine.ImagePullRequest{
		Namespace: common.ContainerdNamespace_NS_SYSTEM, Reference: "registry.k8s.io/no-such-image:1",
	}))
	if status.Code(err) != codes.NotFound {
		t.Errorf("pulling an image that is not there: got %v, want not found", err)
	}
}
