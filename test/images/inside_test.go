package images

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const containerdConfig = `version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri"]
[grpc]
address = "` + socket + `"
`

// enterRoot makes the root tree the process's root, read-only, with what a node
// mounts over it.
func enterRoot(t *testing.T) {
	t.Helper()

	root := filepath.Join(os.Getenv("TEST_STATE"), "root")
	must(t, os.Mkdir(root, 0o755))
	must(t, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	must(t, unix.Mount(os.Getenv("TEST_ROOT"), root, "", unix.MS_BIND, ""))
	must(t, unix.Mount("", root, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	must(t, unix.Mount("proc", root+"/proc", "proc", 0, ""))
	must(t, unix.Mount("/sys", root+"/sys", "", unix.MS_BIND|unix.MS_REC, ""))
	must(t, unix.Mount("/dev", root+"/dev", "", unix.MS_BIND|unix.MS_REC, ""))

	for _, dir := range []string{"/run", "/tmp"} {
		must(t, unix.Mount("tmpfs", root+dir, "tmpfs", 0, ""))
	}

	// Images are large: they go to the disk.
	disk := filepath.Join(os.Getenv("TEST_STATE"), "var")
	must(t, os.Mkdir(disk, 0o755))
	must(t, unix.Mount(disk, root+"/var", "", unix.MS_BIND, ""))

	must(t, os.Mkdir(root+"/run/oci", 0o755))
	must(t, unix.Mount(os.Getenv("TEST_IMAGES"), root+"/run/oci", "", unix.MS_BIND, ""))
	must(t, unix.Chroot(root))
	must(t, unix.Chdir("/"))

	loopback, err := netlink.LinkByName("lo")
	must(t, err)
	must(t, netlink.LinkSetUp(loopback))
}

func must(t *testing.T, err error) {
	t.Helper()

	if err != nil {
		t.Fatal(err)
	}
}

// startContainerd starts the root tree's containerd and waits until it answers.
func startContainerd(t *testing.T) *containerd.Client {
	t.Helper()

	must(t, os.MkdirAll(filepath.Dir(socket), 0o755))
	must(t, os.WriteFile("/run/containerd.toml", []byte(containerdConfig), 0o644))

	log, err := os.Create("/run/containerd.log")
	must(t, err)

	cmd := exec.Command("/usr/bin/containerd", "--config", "/run/containerd.toml")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = []string{"PATH=/usr/bin:/usr/sbin"}
	must(t, cmd.Start())

	t.Cleanup(func() {
		must(t, cmd.Process.Signal(unix.SIGTERM))

		err := cmd.Wait()
		if data, readErr := os.ReadFile(log.Name()); readErr == nil && (err != nil || t.Failed()) {
			t.Logf("containerd ended with %v:\n%s", err, data)
		}
	})

	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()

	for {
		client, err := containerd.New(socket, containerd.WithTimeout(time.Second))
		if err == nil {
			if _, err = client.Version(ctx); err == nil {
				t.Cleanup(func() { client.Close() })

				return client
			}

			client.Close()
		}

		if ctx.Err() != nil {
			t.Fatalf("waiting for containerd: %v", err)
		}
	}
}
