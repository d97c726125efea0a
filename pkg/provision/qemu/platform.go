package qemu

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// platform is what is particular to machines of one architecture.
type platform struct {
	program  string   // of QEMU
	machine  string   // QEMU's name for the board
	console  string   // the serial console, as the kernel names it
	code     []string // names of the UEFI firmware
	vars     []string // of the variables that belong to it, in the same order
	watchdog []string // arguments
	bios     bool     // has firmware beside UEFI
}

// platforms are the architectures by Go's names.
func platforms() map[string]platform {
	return map[string]platform{
		"amd64": {
			program: "qemu-system-x86_64", machine: "q35", console: "ttyS0",
			code:     []string{"OVMF_CODE.fd", "OVMF_CODE_4M.fd", "edk2-x86_64-code.fd"},
			vars:     []string{"OVMF_VARS.fd", "OVMF_VARS_4M.fd", "edk2-i386-vars.fd"},
			watchdog: []string{"-device", "i6300esb"},
			bios:     true,
		},
		"arm64": {
			program: "qemu-system-aarch64", machine: "virt,gic-version=max", console: "ttyAMA0",
			code:     []string{"AAVMF_CODE.fd", "QEMU_EFI.fd", "edk2-aarch64-code.fd"},
			vars:     []string{"AAVMF_VARS.fd", "QEMU_VARS.fd", "edk2-arm-vars.fd"},
			watchdog: []string{"-device", "i6300esb"},
		},
	}
}

// firmwareFolders are where systems keep UEFI firmware for machines.
func firmwareFolders() []string {
	return []string{"/usr/share/OVMF", "/usr/share/AAVMF", "/usr/share/edk2/x64", "/usr/share/edk2/ovmf", "/usr/share/qemu"}
}

// Emulator is a QEMU that was found.
type Emulator struct {
	Program string // path
	// Firmware is the folder with the UEFI firmware; empty when there is none.
	Firmware string
}

// Find looks for QEMU for an architecture: first in PATH, then in the folder
// that the build makes. Firmware is looked for in extra folders first.
func Find(arch, built string, extra []string) (Emulator, error) {
	p, ok := platforms()[arch]
	if !ok {
		return Emulator{}, fmt.Errorf("there are no machines of architecture %q", arch)
	}

	var found Emulator

	program, err := exec.LookPath(p.program)
	if err != nil {
		program = filepath.Join(built, p.program)
	}

	if _, err := os.Stat(program); errors.Is(err, fs.ErrNotExist) {
		return Emulator{}, fmt.Errorf("%s is neither in PATH nor in %s: install QEMU, or run \"make image\"", p.program, built)
	} else if err != nil {
		return Emulator{}, err
	}

	if found.Program, err = filepath.Abs(program); err != nil {
		return Emulator{}, err
	}

	for _, folder := range append(append(append([]string{}, extra...), built), firmwareFolders()...) {
		if _, _, err := firmware(arch, folder); err == nil {
			found.Firmware, err = filepath.Abs(folder)

			return found, err
		}
	}

	return found, nil
}

// firmware returns the files of the UEFI firmware in a folder: the code, and
// the variables as they are on a new machine.
func firmware(arch, folder string) (code, vars string, err error) {
	p := platforms()[arch]

	for i := range p.code {
		code, vars := filepath.Join(folder, p.code[i]), filepath.Join(folder, p.vars[i])
		if exists(code) && exists(vars) {
			return code, vars, nil
		}
	}

	return "", "", fmt.Errorf("%s has no UEFI firmware for %s (%s)", folder, arch, strings.Join(p.code, ", "))
}

func exists(path string) bool {
	_, err := os.Stat(path)

	return err == nil
}
