package server

import (
	"context"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/basalt-os/basalt/api/storage"
	"github.com/basalt-os/basalt/internal/resources/block"
	"github.com/basalt-os/basalt/internal/volume"
)

// Disks are the disks of the machine. Its methods fail with ErrUnsupported
// where they are not the node's.
type Disks interface {
	// List returns the disks by ID, and the ID of the system's.
	List(ctx context.Context) (map[string]block.Disk, string, error)
	// Wipe erases a disk or partition. It fails with volume.ErrNoDevice and
	// volume.ErrInUse.
	Wipe(ctx context.Context, device string, how volume.Wipe) error
}

// Disks lists the disks. It is the older way; newer clients read resources.
func (s diskService) Disks(ctx context.Context, _ *emptypb.Empty) (*storage.DisksResponse, error) {
	disks, system, err := s.Server.Disks.List(ctx)
	if err != nil {
		return nil, err
	}

	answer := &storage.Disks{}

	for _, id := range slices.Sorted(maps.Keys(disks)) {
		d := disks[id]

		answer.Disks = append(answer.Disks, &storage.Disk{
			Size: d.Size, Model: d.Model, DeviceName: d.DevPath, Name: id, Serial: d.Serial, Modalias: d.Modalias,
			Uuid: d.UUID, Wwid: d.WWID, Type: diskType(id, d), BusPath: d.BusPath, SystemDisk: id == system && system != "",
			Subsystem: d.SubSystem, Readonly: d.Readonly,
		})
	}

	return &storage.DisksResponse{Messages: []*storage.Disks{answer}}, nil
}

func diskType(id string, d block.Disk) storage.Disk_DiskType {
	switch {
	case d.CDROM:
		return storage.Disk_CD
	case d.Transport == "nvme":
		return storage.Disk_NVME
	case d.Transport == "mmc":
		return storage.Disk_SD
	case strings.HasPrefix(id, "loop"), strings.HasPrefix(id, "dm-"), strings.HasPrefix(id, "md"):
		return storage.Disk_UNKNOWN
	case d.Rotational:
		return storage.Disk_HDD
	}

	return storage.Disk_SSD
}

// BlockDeviceWipe erases disks and partitions, one after the other; the first
// failure ends it.
func (s diskService) BlockDeviceWipe(ctx context.Context, request *storage.BlockDeviceWipeRequest) (*storage.BlockDeviceWipeResponse, error) {
	for _, d := range request.GetDevices() {
		err := s.Server.Disks.Wipe(ctx, d.GetDevice(), volume.Wipe{
			Zeroes:        d.GetMethod() == storage.BlockDeviceWipeDescriptor_ZEROES,
			DropPartition: d.GetDropPartition(), SkipVolumes: d.GetSkipVolumeCheck(), SkipSecondaries: d.GetSkipSecondaryCheck(),
		})
		if err != nil {
			return nil, err
		}

		s.Logger.Info("block device erased", "device", d.GetDevice(), "method", d.GetMethod())
	}

	return &storage.BlockDeviceWipeResponse{Messages: []*storage.BlockDeviceWipe{{}}}, nil
}
