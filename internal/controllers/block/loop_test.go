package block

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/blockdev"
	"github.com/basalt-os/basalt/internal/blockdev/blockdevtest"
	"github.com/basalt-os/basalt/internal/blockdev/mkfs"
	"github.com/basalt-os/basalt/internal/controllers/block/mount"
	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/gpt"
	"github.com/basalt-os/basalt/internal/resources/block"
	"github.com/basalt-os/basalt/internal/volume"
)

// only opens the devices of one disk, whatever else the machine has that the
// test runs on.
type only struct{ disk string }

func (o only) Open(node string, mode blockdev.Mode) (blockdev.Handle, error) {
	if rest, ok := strings.CutPrefix(node, o.disk); !ok || rest != "" && rest[0] != 'p' {
		return nil, fmt.Errorf("opening %s: %w", node, fs.ErrNotExist)
	}

	return blockdev.Devices{}.Open(node, mode)
}

// The whole way on a real kernel: a disk with META as an image has it becomes
// one with STATE and EPHEMERAL that are mounted, and a disk of a user's.
func TestMachineOnLoopDevice(t *testing.T) {
	for _, program := range []string{"mkfs.xfs", "mkfs.ext4"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("no %s here", program)
		}
	}

	for _, sector := range []int{512, 4096} {
		t.Run(fmt.Sprintf("sectors of %d bytes", sector), func(t *testing.T) { machineOnLoopDevice(t, sector) })
	}
}

func machineOnLoopDevice(t *testing.T, sector int) {
	n := &node{t: t, store: freshStore(t), dev: t.TempDir()}
	disk := blockdevtest.LoopOf(t, 4*gib, uint32(sector))
	opener := only{disk}
	system := blockdev.System{Root: "/sys"}

	n.boot = installLoop(t, opener, disk, sector)
	root := t.TempDir()

	n.start(Machine(Dependencies{
		Config: &configured.Reader{}, System: system, Opener: opener, Watch: system.Watch, Dev: n.dev,
		Maker:   mkfs.Maker{Runner: mkfs.Plain{}, Opener: opener},
		Mounter: mount.Kernel{Root: root, Opener: opener}, Maintenance: KernelMaintenance{Runner: mkfs.Plain{}}, Proc: "/proc", Now: time.Now,
		BootPartition: func() string { return n.boot },
	})...)

	if err := volume.Open(n.context(), n.store); err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()

		if err := volume.Close(ctx, n.store); err != nil {
			t.Error(err)
		}
	})

	n.configure(base + `
---
apiVersion: v1alpha1
kind: VolumeConfig
name: EPHEMERAL
provisioning: {maxSize: 3GiB}
mount: {secure: true}
---
apiVersion: v1alpha1
kind: UserVolumeConfig
name: data
provisioning: {diskSelector: {match: system_disk}, minSize: 100MiB, maxSize: 200MiB}
filesystem: {type: ext4}
---
apiVersion: v1alpha1
kind: SwapVolumeConfig
name: swap
provisioning: {diskSelector: {match: system_disk}, minSize: 100MiB, maxSize: 100MiB}
`)

	for id, path := range map[string]string{"STATE": "/system/state", "EPHEMERAL": "/var", "ETCD": "/var/lib/etcd", "/var/run": "/var/run"} {
		if got, err := volume.Mount(n.context(), n.store, id, "machined"); err != nil || got != path {
			t.Errorf("%s is at %q, %v", id, got, err)
		}
	}

	wait(n, "user-volumes-u-data", exists[block.VolumeMountStatus])
	wait(n, "user-volumes-s-swap", exists[block.VolumeMountStatus])
	checkMounts(t, root)

	if link, err := os.Readlink(filepath.Join(n.dev, "disk/by-partlabel/u-data")); err != nil || !strings.HasPrefix(link, "../../loop") {
		t.Errorf("link of the user's volume: %q, %v", link, err)
	}

	swaps := wait(n, "/dev/"+filepath.Base(blockdev.PartitionName(disk, 5)), exists[block.SwapStatus])
	if swaps.SizeBytes < 99*mib || swaps.Type != "partition" {
		t.Errorf("swap: %+v", swaps)
	}

	if freed, err := (KernelMaintenance{}).Trim(t.Context(), root+"/var"); err != nil || freed == 0 {
		t.Errorf("trimmed %d bytes, %v", freed, err)
	}

	if err := volume.Close(n.context(), n.store); err != nil {
		t.Error(err)
	}

	if mounts, err := os.ReadFile("/proc/self/mounts"); err != nil || strings.Contains(string(mounts), root) {
		t.Errorf("something is still mounted: %v\n%s", err, mounts)
	}
}

// installLoop is what an image brings.
func installLoop(t *testing.T, opener blockdev.Opener, disk string, sector int) string {
	t.Helper()

	h, err := opener.Open(disk, blockdev.Write)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()

	for _, p := range []blockdev.NewPartition{
		{Label: gpt.LabelEFI, Type: gpt.TypeEFI, Min: 10 * mib, Max: 10 * mib},
		{Label: gpt.LabelMeta, Type: gpt.TypeLinuxData, Min: mib, Max: mib},
	} {
		_, err := blockdev.CreatePartition(h, sector, p)
		if err != nil {
			t.Skipf("no partitions on loop devices here: %v", err)
		}

	}

	table, _, err := gpt.Read(h, 4*gib, sector)
	if err != nil {
		t.Fatal(err)
	}

	return table.Partitions[0].GUID.String()
}

func checkMounts(t *testing.T, root string) {
	t.Helper()

	data, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}

	found := map[string]string{}

	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if target, ok := strings.CutPrefix(fields[1], root); ok {
			found[target] = fields[2] + "," + fields[3]
		}
	}

	for target, options := range map[string]string{
		"/system/state": "xfs rw nosuid nodev noexec", "/var": "xfs rw nosuid nodev", "/var/mnt/data": "ext4 rw nosuid nodev",
	} {
		for option := range strings.FieldsSeq(options) {
			if !strings.Contains(","+found[target]+",", ","+option+",") {
				t.Errorf("%s is mounted with %s, without %s", target, found[target], option)
			}
		}
	}

	for path, mode := range map[string]os.FileMode{"/system/state": 0o700, "/var/lib/etcd": 0o700, "/var": 0o755} {
		info, err := os.Stat(root + path)
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}

	var stat unix.Statfs_t
	if err := unix.Statfs(root+"/var", &stat); err != nil {
		t.Fatal(err)
	}

	if size := stat.Blocks * uint64(stat.Bsize); size < 2900*mib || size > 3072*mib {
		t.Errorf("/var has %d bytes", size)
	}

	if link, err := os.Readlink(root + "/var/run"); err != nil || link != "/run" {
		t.Errorf("/var/run: %q, %v", link, err)
	}

	swaps, err := os.ReadFile("/proc/swaps")
	if err != nil || !strings.Contains(string(swaps), "/dev/loop") {
		t.Errorf("swap: %v\n%s", err, swaps)
	}
}
