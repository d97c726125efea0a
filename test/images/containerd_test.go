package images

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/oci"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/payload"
	"github.com/basalt-os/basalt/internal/registry"
)

const (
	// inside is set for the process that runs as the first of its namespaces.
	inside = "BASALT_TEST_INSIDE"

	registryAddress = "127.0.0.1:5000"
	socket          = "/run/containerd/containerd.sock"
	limit           = 3 * time.Minute
)

// TestImages starts itself once more, in namespaces of its own: what it mounts
// and starts there goes with them.
func TestImages(t *testing.T) {
	if os.Getenv(inside) != "" {
		t.Skip("this is the inside")
	}

	root, images := output(t, "root"), output(t, "oci")

	if os.Geteuid() != 0 {
		t.Skip("running containers needs root")
	}

	group := "/basalt-test-" + strconv.Itoa(os.Getpid())
	t.Cleanup(func() { removeGroups(t, group) })

	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()

	cmd := exec.CommandContext(ctx, "/proc/self/exe", "-test.run=^TestInside$", "-test.v=true")
	cmd.Env = append(os.Environ(), inside+"=1", "TEST_ROOT="+root, "TEST_IMAGES="+images, "TEST_GROUP="+group, "TEST_STATE="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL,
	}

	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)

	if err != nil || !bytes.Contains(out, []byte("--- PASS: TestInside")) {
		t.Fatalf("inside: %v", err)
	}
}

// removeGroups removes the empty control groups that containers leave.
func removeGroups(t *testing.T, group string) {
	t.Helper()

	for _, pattern := range []string{"/sys/fs/cgroup" + group, "/sys/fs/cgroup/*" + group} {
		groups, err := filepath.Glob(pattern)
		if err != nil {
			t.Error(err)
		}

		for _, dir := range groups {
			inner, err := filepath.Glob(dir + "/*/cgroup.procs")
			if err != nil {
				t.Error(err)
			}

			for _, procs := range inner {
				os.Remove(filepath.Dir(procs))
			}

			if err := os.Remove(dir); err != nil {
				t.Error(err)
			}
		}
	}
}

// version is what a program of an image has to print when it is asked.
type version struct {
	args []string
	want string
}

// programs are the programs of the images by repository, with the version that
// the tag of the image says, unless it is another one.
func programs(repository, tag string) []version {
	number := strings.TrimPrefix(tag, "v")
	own := func(args ...string) version { return version{args, number} }

	switch repository {
	case "registry.k8s.io/pause":
		return []version{{[]string{"/pause", "--version"}, "3.10.2"}}
	case "registry.k8s.io/etcd":
		return []version{own("/usr/local/bin/etcd", "--version"), own("/usr/local/bin/etcdutl", "version")}
	case "registry.k8s.io/coredns/coredns":
		return []version{own("/coredns", "--version")}
	case "ghcr.io/flannel-io/flannel":
		return []version{own("/opt/bin/flanneld", "--version"), {[]string{"nft", "--version"}, "nftables v"}}
	case "registry.k8s.io/e2e-test-images/agnhost":
		return []version{own("/agnhost", "--version")}
	case "ghcr.io/siderolabs/kubelet":
		return []version{
			own("/usr/local/bin/kubelet", "--version"),
			{[]string{"mount", "--version"}, "util-linux"}, {[]string{"umount", "--version"}, "util-linux"},
		}
	case "registry.k8s.io/kube-proxy":
		return []version{own("/usr/local/bin/kube-proxy", "--version"), {[]string{"nft", "--version"}, "nftables v"}}
	case "registry.k8s.io/kube-apiserver", "registry.k8s.io/kube-controller-manager", "registry.k8s.io/kube-scheduler":
		return []version{own("/usr/local/bin/"+filepath.Base(repository), "--version")}
	case payload.Repository:
		return []version{own("/bin/installer", "--version")}
	}

	return nil
}

// TestInside runs as the first process of fresh namespaces.
func TestInside(t *testing.T) {
	if os.Getenv(inside) == "" {
		t.Skip("started by TestImages")
	}

	enterRoot(t)

	handler, err := registry.New("/run/oci")
	if err != nil {
		t.Fatal(err)
	}

	listener, err := net.Listen("tcp", registryAddress)
	if err != nil {
		t.Fatal(err)
	}

	server := &http.Server{Handler: handler}
	t.Cleanup(func() { server.Close() })

	go server.Serve(listener)

	t.Run("root tree", testRootPrograms)

	client := startContainerd(t)
	ctx := namespaces.WithNamespace(t.Context(), "test")

	names, err := imageNames("/run/oci")
	if err != nil {
		t.Fatal(err)
	}

	if len(names) < 10 {
		t.Fatalf("the layout has only %d images", len(names))
	}

	for _, name := range names {
		t.Run(name, func(t *testing.T) { testImage(ctx, t, client, name) })
	}
}

// imageNames are the public names of the images in the layout in dir.
func imageNames(dir string) ([]string, error) {
	text, err := os.ReadFile(filepath.Join(dir, v1.ImageIndexFile))
	if err != nil {
		return nil, err
	}

	var index v1.Index

	if err := json.Unmarshal(text, &index); err != nil {
		return nil, fmt.Errorf("reading the index of %s: %w", dir, err)
	}

	names := make([]string, 0, len(index.Manifests))
	for _, d := range index.Manifests {
		names = append(names, d.Annotations[v1.AnnotationRefName])
	}

	return names, nil
}

// testRootPrograms runs programs of the root tree: they report the version of the
// module that they were compiled from.
func testRootPrograms(t *testing.T) {
	for _, test := range []struct{ program, argument string }{
		{"/usr/bin/containerd", "--version"},
		{"/usr/bin/runc", "--version"},
		{"/opt/cni/bin/bridge", "--version"},
		{"/opt/cni/bin/portmap", "--version"},
	} {
		out, err := exec.CommandContext(t.Context(), test.program, test.argument).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v: %s", test.program, err, out)
		}

		info, err := buildinfo.ReadFile(test.program)
		if err != nil {
			t.Fatal(err)
		}

		if !strings.Contains(string(out), strings.TrimPrefix(info.Main.Version, "v")) {
			t.Errorf("%s is %s and says %s", test.program, info.Main.Version, out)
		}

		first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		t.Logf("%s %s: %s", test.program, test.argument, first)
	}
}

func testImage(ctx context.Context, t *testing.T, client *containerd.Client, name string) {
	// As the node's mirror configuration has it: one server for every registry.
	resolver := docker.NewResolver(docker.ResolverOptions{Hosts: func(host string) ([]docker.RegistryHost, error) {
		return []docker.RegistryHost{{
			Client: http.DefaultClient, Host: registryAddress, Scheme: "http", Path: "/v2",
			Capabilities: docker.HostCapabilityPull | docker.HostCapabilityResolve,
		}}, nil
	}})

	image, err := client.Pull(ctx, name, containerd.WithResolver(resolver), containerd.WithPullUnpack)
	if err != nil {
		t.Fatalf("pulling: %v", err)
	}

	i := strings.LastIndexByte(name, ':')

	versions := programs(name[:i], name[i+1:])
	if versions == nil {
		t.Fatal("no program is known for this image")
	}

	for n, v := range versions {
		out := run(ctx, t, client, image, fmt.Sprintf("%s-%d", filepath.Base(name[:i]), n), v.args)
		if !strings.Contains(out, v.want) {
			t.Errorf("%s printed %q, which does not say %s", strings.Join(v.args, " "), out, v.want)
		} else {
			first, _, _ := strings.Cut(strings.TrimSpace(out), "\n")
			t.Logf("%s: %s", strings.Join(v.args, " "), first)
		}
	}
}

// run runs a program of the image in a container and returns what it printed.
func run(ctx context.Context, t *testing.T, client *containerd.Client, image containerd.Image, id string, args []string) string {
	t.Helper()

	id += "-" + strings.NewReplacer(":", "-", "/", "-").Replace(filepath.Base(image.Name()))

	container, err := client.NewContainer(ctx, id,
		containerd.WithNewSnapshot(id, image),
		containerd.WithNewSpec(oci.WithImageConfig(image), oci.WithProcessArgs(args...), oci.WithCgroup(os.Getenv("TEST_GROUP")+"/"+id)))
	if err != nil {
		t.Fatalf("creating a container: %v", err)
	}

	defer container.Delete(ctx, containerd.WithSnapshotCleanup)

	// The shim itself writes the file: nothing is lost when a program ends at once.
	log := filepath.Join("/run", id+".log")

	task, err := container.NewTask(ctx, cio.LogFile(log))
	if err != nil {
		t.Fatalf("creating a task: %v", err)
	}

	exit, err := task.Wait(ctx)
	if err != nil {
		t.Fatal(err)
	}

	if err := task.Start(ctx); err != nil {
		t.Fatalf("starting %s: %v", args[0], err)
	}

	status := <-exit

	if _, err := task.Delete(ctx); err != nil {
		t.Errorf("deleting the task: %v", err)
	}

	out, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}

	if status.ExitCode() != 0 {
		t.Errorf("%s ended with %d: %s", strings.Join(args, " "), status.ExitCode(), out)
	}

	return string(out)
}
