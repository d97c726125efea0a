package selector_test

import (
	"testing"

	"github.com/basalt-os/basalt/internal/blockdev/selector"
	"github.com/basalt-os/basalt/internal/resources/block"
	"github.com/basalt-os/basalt/pkg/machineconfig"
)

var disk = block.Disk{
	DevPath: "/dev/nvme0n1", Size: 200e9, Transport: "nvme", Model: "Fast One", Symlinks: []string{"/dev/disk/by-id/x"},
}

func TestDisks(t *testing.T) {
	for expression, want := range map[block.Expression]bool{
		`system_disk`:                          true,
		`!system_disk`:                         false,
		`disk.transport == "nvme"`:             true,
		`disk.size > 100u * GB`:                true,
		`disk.size > 200u * GiB`:               false,
		`disk.size >= 100000000000u`:           true,
		`"/dev/disk/by-id/x" in disk.symlinks`: true,
		`disk.model.startsWith("Fast") && !disk.rotational && disk.serial == ""`: true,
		`glob("Fast*", disk.model) && !glob("Slow*", disk.model)`:                true,
		`disk.dev_path in ["/dev/sda", "/dev/nvme0n1"]`:                          true,
		`disk.io_size == 0u && disk.sector_size == 0u`:                           true,
	} {
		s, err := selector.ForDisks(expression)
		if err != nil {
			t.Error(err)

			continue
		}

		if got, err := s.Matches(selector.Subject{Disk: &disk, SystemDisk: true}); err != nil || got != want {
			t.Errorf("%s is %v, %v", expression, got, err)
		}
	}
}

// What the older form of a configuration says about disks becomes an expression
// that can be used.
func TestOlderForm(t *testing.T) {
	const legacy = `machine:
  type: worker
  install:
    diskSelector:
      name: /dev/nvme*
      model: Fast*
      serial: ""
      modalias: '*'
      uuid: '*'
      wwid: '*'
      busPath: '*'
      type: nvme
      size: '>= 100GB'
`

	cfg, err := machineconfig.Load([]byte(legacy), machineconfig.Options{})
	if err != nil {
		t.Fatal(err)
	}

	s, err := selector.ForDisks(block.Expression(cfg.Machine().Install.Provisioning.DiskSelector.Match))
	if err != nil {
		t.Fatal(err)
	}

	if got, err := s.Matches(selector.Subject{Disk: &disk}); err != nil || !got {
		t.Errorf("the disk is not selected: %v, %v", got, err)
	}
}

func TestVolumes(t *testing.T) {
	volume := block.DiscoveredVolume{PartitionLabel: "DATA", Name: "xfs", Size: 1 << 20, PartitionIndex: 3, BlockSize: 512}

	for expression, want := range map[block.Expression]bool{
		`volume.partition_label == "DATA" && volume.name in ["xfs", ""] && volume.size == 1u * MiB`: true,
		`disk.transport == "nvme" && volume.partition_index == 3u && volume.block_size == 512u`:     true,
		`volume.label == "x"`: false,
	} {
		s, err := selector.ForVolumes(expression)
		if err != nil {
			t.Error(err)

			continue
		}

		if got, err := s.Matches(selector.Subject{Disk: &disk, Volume: &volume}); err != nil || got != want {
			t.Errorf("%s is %v, %v", expression, got, err)
		}
	}

	if s, err := selector.ForVolumes(`disk.size == 0u`); err != nil {
		t.Error(err)
	} else if got, err := s.Matches(selector.Subject{Volume: &volume}); err != nil || !got {
		t.Errorf("a disk that is not known: %v, %v", got, err)
	}
}

func TestRefuses(t *testing.T) {
	for _, expression := range []block.Expression{
		``, `disk.size`, `disk.color == "red"`, `volume.name == "x"`, `disk.size > "a"`, `nothing`,
	} {
		if _, err := selector.ForDisks(expression); err == nil {
			t.Errorf("%q was taken", expression)
		}
	}
}
