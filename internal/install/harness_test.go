package install

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/google/uuid"

	"github.com/basalt-os/basalt/internal/blockdev"
	"github.com/basalt-os/basalt/internal/blockdev/crashtest"
	"github.com/basalt-os/basalt/internal/bootloader"
	"github.com/basalt-os/basalt/internal/gpt"
	"github.com/basalt-os/basalt/internal/metapart"
	"github.com/basalt-os/basalt/internal/payload"
	"github.com/basalt-os/basalt/internal/uki/ukitest"
)

const (
	mib      = 1 << 20
	diskSize = 64 * mib
	efiSize  = 40 * mib
	running  = "0.1.0"
)

// installerImage is the root of an installer image for a version.
func installerImage(t testing.TB, version string) fstest.MapFS {
	t.Helper()

	return manifested(t, version, map[string][]byte{
		payload.UKI:         ukitest.Image(t, "amd64", version, 20_000),
		payload.SystemdBoot: ukitest.Program("amd64"),
		payload.GRUBBoot:    grubBoot(),
		payload.GRUBCore:    grubCore(version),
	})
}

// manifested adds a manifest to files for amd64.
func manifested(t testing.TB, version string, files map[string][]byte) fstest.MapFS {
	t.Helper()

	root := fstest.MapFS{}
	manifest := payload.Manifest{Version: version, Arch: "amd64", Profile: "cloud", Kernel: "6.12"}

	for name, data := range files {
		sum := sha256.Sum256(data)
		root[payload.Path("amd64", name)] = &fstest.MapFile{Data: data}
		manifest.Files = append(manifest.Files, payload.File{
			Path: payload.Path("amd64", name), Size: int64(len(data)), SHA256: hex.EncodeToString(sum[:]),
		})
	}

	data, err := json.Marshal(manifest)
	if err != nil {
		t.Fatal(err)
	}

	root[payload.ManifestFile] = &fstest.MapFile{Data: data}

	return root
}

// grubBoot and grubCore stand for parts of GRUB.
func grubBoot() []byte {
	boot := bytes.Repeat([]byte("b"), 512)
	boot[510], boot[511] = 0x55, 0xaa

	return boot
}

func grubCore(version string) []byte {
	core := bytes.Repeat([]byte(version), 1000)
	binary.LittleEndian.PutUint16(core[0x1fe:], 0x820)

	return core
}

// firmware has no variables.
type firmware struct{}

func (firmware) Read(bootloader.Variable) ([]byte, error)     { return nil, bootloader.ErrNoVariable }
func (firmware) Write(bootloader.Variable, []byte) error      { return bootloader.ErrNoVariable }
func (firmware) Delete(bootloader.Variable) error             { return nil }
func (firmware) List(uuid.UUID, string) ([]string, error)     { return nil, nil }
func uefi() Machine                                           { return machineOf(true) }
func bios() Machine                                           { return machineOf(false) }
func metaOf(text string) map[metapart.Key][]byte              { return map[metapart.Key][]byte{0x0a: []byte(text)} }
func load(t testing.TB, root fs.FS, machine Machine) *Payload { return must(t)(Load(root, machine)) }
func must(t testing.TB) func(*Payload, error) *Payload {
	return func(p *Payload, err error) *Payload {
		t.Helper()

		if err != nil {
			t.Fatal(err)
		}

		t.Cleanup(p.Close)

		return p
	}
}

func machineOf(uefi bool) Machine {
	return Machine{Arch: "amd64", UEFI: uefi, Bootloader: bootloader.Options{Variables: firmware{}, Running: running}}
}

// job is a job on a small disk for a version.
func job(t testing.TB, disk blockdev.Handle, machine Machine, version string) Job {
	t.Helper()

	guid := byte(0)

	return Job{
		Disk: disk, SectorSize: 512, Machine: machine, Payload: load(t, installerImage(t, version), machine),
		Platform: "metal", Meta: metaOf("network"), Progress: func(string) {}, efiSize: efiSize,
		NewGUID: func() uuid.UUID { guid++; return uuid.UUID{15: guid} },
	}
}

// installed is a disk with a version, and with STATE.
func installed(t testing.TB, machine Machine, version string) *crashtest.Disk {
	t.Helper()

	disk := crashtest.New(diskSize, 512)
	if err := job(t, disk, machine, version).Install(t.Context()); err != nil {
		t.Fatal(err)
	}

	state := blockdev.NewPartition{Label: gpt.LabelState, Type: gpt.TypeLinuxData, Min: mib, Max: mib}
	if _, err := blockdev.CreatePartition(disk, 512, state); err != nil {
		t.Fatal(err)
	}

	if _, err := section(t, disk, gpt.LabelState).WriteAt([]byte("the state"), 0); err != nil {
		t.Fatal(err)
	}

	return disk
}

// section is a partition of a disk.
func section(t testing.TB, disk *crashtest.Disk, label string) *blockdev.Section {
	t.Helper()

	table, _, err := gpt.Read(disk, diskSize, 512)
	if err != nil {
		t.Fatal(err)
	}

	p, ok := table.Find(label)
	if !ok {
		t.Fatalf("no partition %s", label)
	}

	return blockdev.NewSection(disk, table.Offset(p), table.Size(p))
}

// content is what a partition has.
func content(t testing.TB, disk *crashtest.Disk, label string) string {
	t.Helper()

	s := section(t, disk, label)
	data := make([]byte, s.Size())

	if _, err := s.ReadAt(data, 0); err != nil {
		t.Fatal(err)
	}

	return string(data)
}
