package volumes_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/blockdev/selector"
	"github.com/basalt-os/basalt/internal/controllers/block/volumes"
	"github.com/basalt-os/basalt/internal/resources/block"
	"github.com/basalt-os/basalt/pkg/machineconfig"
)

func load(t *testing.T, text string) *machineconfig.Config {
	t.Helper()

	cfg, err := machineconfig.Load([]byte("machine:\n  type: worker\n"+text), machineconfig.Options{})
	if err != nil {
		t.Fatal(err)
	}

	return cfg
}

func TestSystemWithoutConfiguration(t *testing.T) {
	got := volumes.System(nil)

	if len(got) != 2 || got[volumes.State].Provisioning != (block.ProvisioningSpec{}) || got[volumes.Meta].Locator.Match == "" {
		t.Errorf("got %+v", got)
	}
}

func TestSystem(t *testing.T) {
	got := volumes.System(load(t, `
  features: {diskQuotaSupport: true, imageCache: {localEnabled: true}}
---
apiVersion: v1alpha1
kind: VolumeConfig
name: STATE
provisioning: {diskSelector: {match: "!system_disk"}}
encryption: {provider: luks2, keys: [{slot: 1, static: {passphrase: x}, lockToState: true}]}
---
apiVersion: v1alpha1
kind: VolumeConfig
name: EPHEMERAL
provisioning: {diskSelector: {match: disk.transport == "nvme"}, minSize: 4GiB, maxSize: 80%, grow: false}
filesystem: {xfs: {minAllocationGroupSize: 1GiB}}
mount: {secure: true, disableAccessTime: true}
trim: {interval: 24h}
---
apiVersion: v1alpha1
kind: FilesystemTrimConfig
interval: 168h
---
apiVersion: v1alpha1
kind: VolumeConfig
name: LOG
provisioning: {minSize: 1GiB, grow: true}
`))

	state := got[volumes.State]
	if state.Provisioning.DiskSelector.Match != "system_disk" || state.Provisioning.PartitionSpec.MaxSize != 100<<20 ||
		state.Encryption.Provider != block.EncryptionProviderTypeLUKS2 || !state.TrimEnabled || state.TrimInterval != 7*24*time.Hour {
		t.Errorf("STATE: %+v", state)
	}

	if diff := cmp.Diff([]block.EncryptionKey{{Slot: 1, StaticPassphrase: "x", LockToSTATE: true}}, state.Encryption.Keys); diff != "" {
		t.Error(diff)
	}

	want := block.VolumeConfig{
		Type: block.VolumeTypePartition,
		Provisioning: block.ProvisioningSpec{
			Wave: -1, DiskSelector: block.DiskSelector{Match: `disk.transport == "nvme"`},
			PartitionSpec: block.PartitionSpec{
				MinSize: 4 << 30, RelativeMaxSize: 80, Label: "EPHEMERAL", TypeUUID: "0fc63daf-8483-4772-8e79-3d69d8477de4",
			},
			FilesystemSpec: block.FilesystemSpec{Type: block.FilesystemTypeXFS, Label: "EPHEMERAL", MinAllocationGroupSize: 1 << 30},
		},
		Locator:     block.LocatorSpec{Match: `volume.partition_label == "EPHEMERAL"`},
		Mount:       block.MountSpec{TargetPath: "/var", FileMode: 0o755, ProjectQuotaSupport: true, Secure: true},
		TrimEnabled: true, TrimInterval: 24 * time.Hour,
	}
	if diff := cmp.Diff(want, got[volumes.Ephemeral]); diff != "" {
		t.Error(diff)
	}

	log := got[volumes.Log]
	if log.Type != block.VolumeTypePartition || log.Mount.TargetPath != "log" || log.Mount.ParentID != volumes.Ephemeral ||
		log.Provisioning.PartitionSpec.MaxSize != 0 {
		t.Errorf("LOG: %+v", log)
	}

	if cache := got[volumes.ImageCache]; cache.Provisioning.FilesystemSpec.Type != block.FilesystemTypeEXT4 {
		t.Errorf("IMAGECACHE: %+v", cache)
	}

	order := volumes.Order(got)
	if first, last := order[:2], slices.Index(order, volumes.Ephemeral); !slices.Equal(first, []string{"META", "STATE"}) || last < slices.Index(order, volumes.Log) {
		t.Errorf("order: %v", order)
	}
}

// Every folder is below something that there is, and every expression compiles.
func TestSystemIsWhole(t *testing.T) {
	cfg := load(t, `  disks: [{device: '/dev/"odd"', partitions: [{mountpoint: /var/x}]}]`)

	all := volumes.System(cfg)
	for id, v := range volumes.User(cfg) {
		all[id] = v
	}

	for id, v := range all {
		if parent := v.Mount.ParentID; parent != "" && all[parent].Mount.TargetPath == "" {
			t.Errorf("%s is below %s", id, parent)
		}

		if v.Locator.Match != "" {
			if _, err := selector.ForVolumes(v.Locator.Match); err != nil {
				t.Errorf("%s: %v", id, err)
			}
		}

		if match := v.Provisioning.DiskSelector.Match; match != "" {
			if _, err := selector.ForDisks(match); err != nil {
				t.Errorf("%s: %v", id, err)
			}
		}
	}
}

func TestUser(t *testing.T) {
	cfg := load(t, `
---
apiVersion: v1alpha1
kind: UserVolumeConfig
name: data
provisioning: {diskSelector: {match: disk.size > 1u}, maxSize: 50MiB}
filesystem: {type: btrfs, projectQuotaSupport: true}
mount: {secure: false, disableAccessTime: true}
---
apiVersion: v1alpha1
kind: ExistingVolumeConfig
name: old
discovery: {volumeSelector: {match: volume.label == "x"}}
mount: {readOnly: true}
---
apiVersion: v1alpha1
kind: SwapVolumeConfig
name: swap
provisioning: {diskSelector: {match: system_disk}, minSize: 1GiB, maxSize: -2GiB}
`)

	got := volumes.User(cfg)

	data := got["u-data"]
	if p := data.Provisioning.PartitionSpec; p.MinSize != 50<<20 || p.MaxSize != 50<<20 || p.Label != "u-data" {
		t.Errorf("u-data: %+v", p)
	}

	if data.Provisioning.FilesystemSpec.Type != block.FilesystemTypeBTRFS || data.Mount.Secure || !data.Mount.ProjectQuotaSupport ||
		data.Mount.TargetPath != "data" || data.Mount.ParentID != volumes.Mnt {
		t.Errorf("u-data: %+v", data)
	}

	swap := got["s-swap"].Provisioning
	if !swap.PartitionSpec.NegativeMaxSize || swap.PartitionSpec.MaxSize != 2<<30 || swap.PartitionSpec.TypeUUID != "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f" {
		t.Errorf("s-swap: %+v", swap)
	}

	want := map[string]block.VolumeMountRequest{
		"u-data": {VolumeID: "u-data", DisableAccessTime: true}, "e-old": {VolumeID: "e-old", ReadOnly: true}, "s-swap": {VolumeID: "s-swap"},
	}
	if diff := cmp.Diff(want, volumes.Mounted(cfg)); diff != "" {
		t.Error(diff)
	}
}
