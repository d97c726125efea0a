package vm

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/basalt-os/basalt/internal/fat"
	"github.com/basalt-os/basalt/internal/gpt"
	"github.com/basalt-os/basalt/internal/initramfs"
	"github.com/basalt-os/basalt/internal/squashfs"
	"github.com/basalt-os/basalt/internal/stage1"
	"github.com/basalt-os/basalt/pkg/imager"
)

// Poison is a way in which a version of the system is broken.
type Poison string

// The poisons. Each is the system that was built, but for one thing.
const (
	Healthy      Poison = "healthy"                       // but for its version
	KernelPanics Poison = "kernel panics"                 // it finds no root
	InitExits    Poison = "init exits"                    // after stage 1
	InitHangs    Poison = "init hangs"                    // after stage 1 has armed the watchdog
	NetworkNever Poison = "network never comes"           // the card has no driver
	KubeletNever Poison = "kubelet never becomes healthy" // nothing starts containers
)

// Poisons are all of them.
func Poisons() []Poison {
	return []Poison{KernelPanics, InitExits, InitHangs, NetworkNever, KubeletNever}
}

// arguments are what the poison adds to the kernel's command line.
func (p Poison) arguments() []string {
	switch p {
	case KernelPanics:
		return []string{"rdinit=/nowhere", "root=/dev/nowhere"}
	case InitExits:
		return []string{"poison.exit"}
	case InitHangs:
		return []string{"poison.hang"}
	case NetworkNever:
		return []string{"module_blacklist=virtio_net"}
	default:
		return nil
	}
}

// Profile is what the imager makes the poisoned version from; its output is to
// be filled in. extra is added to the kernel's command line. Files that it needs
// live as long as the test.
func (p Poison) Profile(t *testing.T, version string, extra ...string) imager.Profile {
	t.Helper()

	profile := imager.Profile{
		Arch: runtime.GOARCH, Platform: "metal", Version: version,
		Customization: imager.Customization{ExtraKernelArgs: append(p.arguments(), extra...)},
		Input: imager.Input{
			Kernel:    imager.File{Path: Image("vmlinuz-" + runtime.GOARCH)},
			Initramfs: imager.File{Path: Image("initramfs-" + runtime.GOARCH)},
			SDStub:    imager.File{Path: Image("systemd-stub-" + runtime.GOARCH + ".efi")},
			SDBoot:    imager.File{Path: Image("systemd-boot-" + runtime.GOARCH + ".efi")},
		},
	}

	if p == InitExits || p == InitHangs || p == KubeletNever {
		path, err := p.initramfs(t.TempDir(), profile.Input.Initramfs.Path)
		if err != nil {
			t.Fatalf("making an initramfs whose %s: %v", p, err)
		}

		profile.Input.Initramfs.Path = path
	}

	return profile
}

// UKI is a unified kernel image of the poisoned version.
func (p Poison) UKI(t *testing.T, version string, extra ...string) []byte {
	t.Helper()

	profile := p.Profile(t, version, extra...)
	profile.Output.Kind = imager.KindUKI

	path, err := imager.Build(profile, t.TempDir())
	if err != nil {
		t.Fatalf("making an image whose %s: %v", p, err)
	}

	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}

	return data
}

// initramfs makes an initramfs with the poison. The kernel unpacks what is
// appended over what is there.
func (p Poison) initramfs(dir, from string) (string, error) {
	program := filepath.Join(dir, "poison")
	command := exec.Command("go", "build", "-trimpath", "-o", program, "./poison")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")

	if out, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}

	data, err := os.ReadFile(from)
	if err != nil {
		return "", err
	}

	out := bytes.NewBuffer(data)
	writer := initramfs.NewWriter(out)

	if p == KubeletNever {
		// What is laid over the root as system extensions are.
		err = errors.Join(
			addImage(writer, dir, stage1.LayersDir+"/000.poison.sqsh", program, "usr/bin/runc"),
			addFile(writer, stage1.LayersFile, []byte("layers: []\n")))
	} else {
		err = addImage(writer, dir, stage1.RootImage, program, "sbin/init",
			"dev", "proc", "sys", "sbin", "run", "tmp", "var", "system")
	}

	if err := errors.Join(err, writer.Close()); err != nil {
		return "", err
	}

	path := filepath.Join(dir, "initramfs")

	return path, os.WriteFile(path, out.Bytes(), 0o644)
}

// addImage adds a file system image with a program, and empty folders.
func addImage(writer *initramfs.Writer, dir, name, program, as string, folders ...string) error {
	info, err := os.Stat(program)
	if err != nil {
		return err
	}

	entries := []squashfs.Entry{{
		Name: as, Mode: 0o755, Size: info.Size(),
		Open: func() (io.ReadCloser, error) { return os.Open(program) },
	}}

	for _, folder := range folders {
		entries = append(entries, squashfs.Entry{Name: folder, Mode: fs.ModeDir | 0o755})
	}

	path := filepath.Join(dir, "image.sqsh")

	file, err := os.Create(path)
	if err != nil {
		return err
	}

	if err := errors.Join(squashfs.Write(file, entries), file.Close()); err != nil {
		return err
	}

	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}

	return addFile(writer, name, data)
}

func addFile(writer *initramfs.Writer, name string, data []byte) error {
	return writer.File(name, 0o644, int64(len(data)), bytes.NewReader(data))
}

// kernelFolder is where the boot loader looks for images.
const kernelFolder = "EFI/Linux/"

// ESP changes the EFI system partition on the first disk of a machine that is
// off.
func (m *Machine) ESP(change func(*fat.Volume) error) {
	m.cluster.t.Helper()

	if err := withESP(m.Disk(0), change); err != nil {
		m.cluster.t.Fatalf("changing the EFI system partition of %s: %v", m.Node.Name, err)
	}
}

// PutImage puts a unified kernel image beside those that the boot loader has,
// under a name such as "Basalt-9.0.0+3.efi".
func (m *Machine) PutImage(name string, data []byte) {
	m.cluster.t.Helper()

	m.ESP(func(volume *fat.Volume) error {
		return volume.Create(kernelFolder+name, int64(len(data)), bytes.NewReader(data))
	})
}

// Images are the names of the unified kernel images that the boot loader has.
func (m *Machine) Images() []string {
	m.cluster.t.Helper()

	var names []string

	m.ESP(func(volume *fat.Volume) error {
		list, err := volume.List(kernelFolder)
		for _, entry := range list {
			names = append(names, entry.Name)
		}

		return err
	})

	return names
}

func withESP(path string, change func(*fat.Volume) error) (err error) {
	disk, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}

	defer func() { err = errors.Join(err, disk.Close()) }()

	table, err := Table(disk)
	if err != nil {
		return err
	}

	partition, ok := table.Find(gpt.LabelEFI)
	if !ok {
		return errors.New("there is none")
	}

	offset, size := table.Offset(partition), table.Size(partition)

	volume, err := fat.Open(part{io.NewSectionReader(disk, offset, size), io.NewOffsetWriter(disk, offset)}, size)
	if err != nil {
		return err
	}

	return change(volume)
}

// Table reads the partition table of a machine's disk.
func Table(disk *os.File) (*gpt.Table, error) {
	info, err := disk.Stat()
	if err != nil {
		return nil, err
	}

	const sector = 512

	table, _, err := gpt.Read(disk, info.Size(), sector)

	return table, err
}

// part is a part of a disk.
type part struct {
	io.ReaderAt
	io.WriterAt
}
