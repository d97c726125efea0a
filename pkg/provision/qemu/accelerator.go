package qemu

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/pkg/provision"
)

const (
	// probeTimeout is how long a kernel may take to its first line. Where the
	// accelerator works it takes a tenth of a second.
	probeTimeout = 10 * time.Second
	// kvmDevice is how programs reach the accelerator.
	kvmDevice = "/dev/kvm"
	// kernelLine is the beginning of the first line of every kernel.
	kernelLine = "Linux version "
)

// Choice is what runs the machines here, and why.
type Choice struct {
	Accelerator provision.Accelerator `json:"accelerator"`
	Reason      string                `json:"reason"`
	// Cached says that the answer is that of an earlier probe.
	Cached bool `json:"-"`
}

// Probe finds out what runs machines here: KVM, when a kernel really boots
// under it, and a translator otherwise. That KVM can be opened does not say
// that: there are machines where firmware runs under it and a kernel hangs. The
// answer for a kernel, an emulator and a processor is kept in the cache folder;
// without one, or without a folder, it takes up to some seconds. The kernel is
// the file with which to try; without one, KVM is not used.
func Probe(ctx context.Context, arch, program, kernel, cacheDir string) (Choice, error) {
	if why := kvmMissing(arch); why != "" {
		return Choice{Accelerator: provision.TCG, Reason: why}, nil
	}

	if kernel == "" {
		return Choice{Accelerator: provision.TCG, Reason: "there is no kernel to try KVM with"}, nil
	}

	key, err := probeKey(ctx, program, kernel)
	if err != nil {
		return Choice{}, err
	}

	path := filepath.Join(cacheDir, "accelerator-"+key+".json")

	if data, err := os.ReadFile(path); err == nil {
		choice := Choice{Cached: true}
		if json.Unmarshal(data, &choice) == nil && choice.Accelerator != "" {
			return choice, nil
		}
	}

	choice, err := tryKernel(ctx, program, kernel, probeTimeout)
	if err != nil {
		return Choice{}, err
	}

	return choice, keep(path, choice)
}

// keep remembers an answer; a folder that cannot be written to is no error.
func keep(path string, choice Choice) error {
	data, err := json.Marshal(choice)
	if err != nil {
		return err
	}

	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil //nolint:nilerr // see above
	}

	renameio.WriteFile(path, data, 0o644) //nolint:errcheck // see above

	return nil
}

// kvmMissing says why KVM is out of the question, or nothing.
func kvmMissing(arch string) string {
	if arch != hostArch() {
		return "the machines are of another architecture than this one"
	}

	device, err := os.OpenFile(kvmDevice, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return "this machine has no KVM"
	} else if err != nil {
		return fmt.Sprintf("KVM cannot be used: %s", err)
	}
	defer device.Close() //nolint:errcheck // only asked

	const (
		getVersion = 0xae00 // KVM_GET_API_VERSION
		version    = 12
	)

	if got, err := unix.IoctlRetInt(int(device.Fd()), getVersion); err != nil || got != version {
		return fmt.Sprintf("KVM does not answer: version %d, %v", got, err)
	}

	return ""
}

// tryKernel boots a kernel under KVM and waits for its first line.
func tryKernel(ctx context.Context, program, kernel string, limit time.Duration) (Choice, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()

	args := append(Accelerate(provision.KVM), "-m", "256M", "-nodefaults", "-no-user-config", "-display", "none",
		"-no-reboot", "-serial", "stdio", "-kernel", kernel, "-append", "console=ttyS0 earlyprintk=serial panic=-1")

	var complaint tail

	command := exec.CommandContext(ctx, program, args...)
	command.Stderr = &complaint
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}

	output, err := command.StdoutPipe()
	if err != nil {
		return Choice{}, err
	}

	begin := time.Now()

	if err := command.Start(); err != nil {
		return Choice{}, fmt.Errorf("trying KVM: %w", err)
	}

	found := awaitText(output, kernelLine)
	timedOut := ctx.Err() != nil

	cancel()
	command.Wait() //nolint:errcheck // it was killed

	switch {
	case found:
		return Choice{Accelerator: provision.KVM, Reason: fmt.Sprintf("a kernel began under KVM within %s", time.Since(begin).Round(10*time.Millisecond))}, nil
	case timedOut:
		return Choice{Accelerator: provision.TCG, Reason: fmt.Sprintf("a kernel said nothing under KVM within %s", limit)}, nil
	default:
		return Choice{Accelerator: provision.TCG, Reason: "QEMU ended under KVM: " + strings.TrimSpace(complaint.String())}, nil
	}
}

// awaitText reads until a text has come, or the end.
func awaitText(from io.Reader, text string) bool {
	var (
		seen   []byte
		buffer = make([]byte, 4096)
	)

	for {
		n, err := from.Read(buffer)
		seen = append(seen, buffer[:n]...)

		if bytes.Contains(seen, []byte(text)) {
			return true
		}

		if err != nil {
			return false
		}

		seen = seen[max(0, len(seen)-len(text)):]
	}
}

// probeKey names what an answer depends on: kernel, emulator, processor, and
// the kernel of this machine.
func probeKey(ctx context.Context, program, kernel string) (string, error) {
	hash := sha256.New()

	file, err := os.Open(kernel)
	if err != nil {
		return "", err
	}
	defer file.Close() //nolint:errcheck // only read

	if _, err := io.Copy(hash, file); err != nil {
		return "", fmt.Errorf("reading %s: %w", kernel, err)
	}

	version, err := exec.CommandContext(ctx, program, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("asking %s for its version: %w", program, err)
	}

	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return "", err
	}

	fmt.Fprintf(hash, "\n%s\n%s\n%s\n", version, uts.Release, processor()) //nolint:errcheck // never fails

	return hex.EncodeToString(hash.Sum(nil))[:32], nil
}

// processor is the name of this machine's processor.
func processor() string {
	data, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}

	for line := range strings.Lines(string(data)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.TrimSpace(name)
		}
	}

	return ""
}
