package server_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/basalt-os/basalt/api/storage"
	"github.com/basalt-os/basalt/internal/resources/block"
	"github.com/basalt-os/basalt/internal/volume"
)

// fakeDisks keeps what was erased.
type fakeDisks struct {
	disks map[string]block.Disk
	wiped []string
}

func (f *fakeDisks) List(context.Context) (map[string]block.Disk, string, error) {
	return f.disks, "vda", nil
}

func (f *fakeDisks) Wipe(_ context.Context, device string, how volume.Wipe) error {
	switch device {
	case "vda":
		return fmt.Errorf("erasing vda: %w by volume META", volume.ErrInUse)
	case "vdz":
		return volume.ErrNoDevice
	}

	f.wiped = append(f.wiped, fmt.Sprintf("%s %v", device, how))

	return nil
}

func TestDisks(t *testing.T) {
	n := newNode(t)
	n.disks.disks = map[string]block.Disk{
		"vda":     {DevPath: "/dev/vda", Size: 10, Transport: "virtio", Rotational: true, SubSystem: "/sys/class/block"},
		"nvme0n1": {DevPath: "/dev/nvme0n1", Transport: "nvme", Model: "m", Serial: "s", WWID: "w", UUID: "u"},
		"sr0":     {DevPath: "/dev/sr0", CDROM: true, Readonly: true},
		"sda":     {DevPath: "/dev/sda", Transport: "sata"},
		"loop0":   {DevPath: "/dev/loop0"},
	}

	got, err := storage.NewStorageServiceClient(n.conn).Disks(t.Context(), &emptypb.Empty{})
	if err != nil {
		t.Fatal(err)
	}

	want := &storage.DisksResponse{Messages: []*storage.Disks{{Disks: []*storage.Disk{
		{DeviceName: "/dev/loop0", Name: "loop0"},
		{DeviceName: "/dev/nvme0n1", Name: "nvme0n1", Type: storage.Disk_NVME, Model: "m", Serial: "s", Wwid: "w", Uuid: "u"},
		{DeviceName: "/dev/sda", Name: "sda", Type: storage.Disk_SSD},
		{DeviceName: "/dev/sr0", Name: "sr0", Type: storage.Disk_CD, Readonly: true},
		{DeviceName: "/dev/vda", Name: "vda", Type: storage.Disk_HDD, Size: 10, SystemDisk: true, Subsystem: "/sys/class/block"},
	}}}}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

func TestBlockDeviceWipe(t *testing.T) {
	n := newNode(t)
	client := storage.NewStorageServiceClient(n.conn)

	wipe := func(descriptors ...*storage.BlockDeviceWipeDescriptor) error {
		_, err := client.BlockDeviceWipe(t.Context(), &storage.BlockDeviceWipeRequest{Devices: descriptors})

		return err
	}

	if err := wipe(
		&storage.BlockDeviceWipeDescriptor{Device: "vdb"},
		&storage.BlockDeviceWipeDescriptor{Device: "vdc1", Method: storage.BlockDeviceWipeDescriptor_ZEROES, DropPartition: true, SkipVolumeCheck: true, SkipSecondaryCheck: true},
	); err != nil {
		t.Error(err)
	}

	if diff := cmp.Diff([]string{"vdb {false false false false}", "vdc1 {true true true true}"}, n.disks.wiped); diff != "" {
		t.Error(diff)
	}

	wantCode(t, wipe(&storage.BlockDeviceWipeDescriptor{Device: "vda"}), codes.FailedPrecondition)
	wantCode(t, wipe(&storage.BlockDeviceWipeDescriptor{Device: "vdz"}), codes.NotFound)
}
