package boot

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// patience is how long a machine may take: emulation on a busy machine is slow.
const patience = 10 * time.Minute

// entered is what stage 1 writes when its work is done.
const entered = `msg="entering root file system"`

// output is the path of a result of the build, or a skipped test.
func output(t *testing.T, names ...string) string {
	t.Helper()

	name, err := filepath.Abs(filepath.Join(append([]string{"..", "..", "_out"}, names...)...))
	if err != nil {
		t.Fatal(err)
	}

	if _, err := os.Stat(name); err != nil {
		t.Skip("there are no images in _out: run make image")
	}

	return name
}

// machine runs a virtual machine until a line of its serial console contains
// wanted, and returns the console up to there. It ends the machine.
func machine(t *testing.T, wanted string, args ...string) string {
	t.Helper()

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()

	common := []string{
		"-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "2048",
		"-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot", "-nic", "none",
	}

	cmd := exec.CommandContext(ctx, output(t, "qemu", "qemu-system-x86_64"), append(common, args...)...)

	console, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}

	var complaints strings.Builder

	cmd.Stderr = &complaints

	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}

	text, err := readUntil(console, wanted)

	cancel()

	_ = cmd.Wait() // it was killed

	if err != nil {
		t.Fatalf("waiting for %q: %v\n%s\n%s", wanted, err, complaints.String(), tail(text))
	}

	return text
}

func readUntil(r io.Reader, wanted string) (string, error) {
	var text strings.Builder

	lines := bufio.NewReader(r)

	for {
		line, err := lines.ReadString('\n')
		text.WriteString(line)

		if strings.Contains(line, wanted) {
			return text.String(), nil
		}

		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF // the machine has ended or was too slow
		}

		if err != nil {
			return text.String(), err
		}
	}
}

// tail is the end of a console, for a person.
func tail(text string) string {
	const most = 4000

	return text[max(0, len(text)-most):]
}

// overlay is a copy of a disk image that shares what is not written.
func overlay(t *testing.T, image string) string {
	t.Helper()

	disk := filepath.Join(t.TempDir(), "disk.qcow2")

	out, err := exec.Command(output(t, "qemu", "qemu-img"), "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", image, disk).CombinedOutput()
	if err != nil {
		t.Fatalf("making a disk: %v: %s", err, out)
	}

	return disk
}

// uefi are the arguments for a machine with UEFI.
func uefi(t *testing.T) []string {
	t.Helper()

	data, err := os.ReadFile(output(t, "qemu", "OVMF_VARS.fd"))
	if err != nil {
		t.Fatal(err)
	}

	vars := filepath.Join(t.TempDir(), "vars.fd")
	if err := os.WriteFile(vars, data, 0o644); err != nil {
		t.Fatal(err)
	}

	return []string{
		"-drive", "if=pflash,format=raw,readonly=on,file=" + output(t, "qemu", "OVMF_CODE.fd"),
		"-drive", "if=pflash,format=raw,file=" + vars,
	}
}

func TestDirect(t *testing.T) {
	cmdline, err := os.ReadFile(output(t, "image", "cmdline-metal-amd64"))
	if err != nil {
		t.Fatal(err)
	}

	console := machine(t, entered, "-kernel", output(t, "image", "vmlinuz-amd64"),
		"-initrd", output(t, "image", "initramfs-amd64"), "-append", string(cmdline))

	// The kernel did what the command line asks for.
	for _, line := range []string{"Run /init as init process", "loaded kernel modules"} {
		if !strings.Contains(console, line) {
			t.Errorf("the console has no %q", line)
		}
	}
}

func TestDisk(t *testing.T) {
	disk := "if=virtio,format=qcow2,file=" + overlay(t, output(t, "image", "metal-amd64.qcow2"))

	t.Run("uefi", func(t *testing.T) {
		console := machine(t, entered, append(uefi(t), "-drive", disk)...)
		if strings.Contains(console, "basalt.entry=") {
			t.Error("a machine with UEFI was started by GRUB")
		}
	})

	t.Run("bios", func(t *testing.T) {
		console := machine(t, entered, "-drive", disk)
		if !strings.Contains(console, "basalt.entry=Basalt-") {
			t.Error("the kernel's command line does not say which entry was started")
		}
	})
}

func TestISO(t *testing.T) {
	iso := output(t, "image", "metal-amd64.iso")
	disc := []string{"-drive", "if=none,id=disc,format=raw,readonly=on,media=cdrom,file=" + iso, "-device", "ide-cd,drive=disc"}
	stick := []string{"-drive", "if=none,id=stick,format=raw,readonly=on,file=" + iso, "-device", "qemu-xhci", "-device", "usb-storage,drive=stick"}

	for name, args := range map[string][]string{
		"disc-uefi": append(uefi(t), disc...), "disc-bios": disc, "stick-uefi": append(uefi(t), stick...), "stick-bios": stick,
	} {
		t.Run(name, func(t *testing.T) { machine(t, entered, args...) })
	}
}
