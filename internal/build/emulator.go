package build

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/basalt-os/basalt/internal/build/cache"
)

const emulatorRecipe = "1"

// launcher starts a program out of the folder that the script is in, with the
// folder's own loader and libraries.
const launcher = `#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
export QEMU_MODULE_DIR="$here/usr/lib/x86_64-linux-gnu/qemu"
exec "$here/usr/lib64/ld-linux-x86-64.so.2" --library-path "$here/usr/lib/x86_64-linux-gnu" \
  "$here/usr/bin/%s" %s"$@"
`

// emulatorPackages are what QEMU, its tools, and the firmware for it are taken
// from.
func emulatorPackages() []string {
	return []string{"qemu-system-x86", "qemu-utils", "ovmf", "seabios", "ipxe-qemu"}
}

// emulator makes a folder from which virtual machines can be run, on machines
// that have no emulator or an old one, and returns its path.
func (b *builder) emulator(ctx context.Context) (string, error) {
	packages, err := b.machine.closure(ctx, emulatorPackages()...)
	if err != nil {
		return "", err
	}

	inputs := []string{"emulator", emulatorRecipe, launcher}
	for _, name := range packages {
		inputs = append(inputs, b.machine.packages[name].SHA256)
	}

	dir, err := b.cache.Get(ctx, "emulator", cache.Key(inputs...), func(ctx context.Context, dir string) error {
		pool, err := b.pool(ctx, b.machine, packages)
		if err != nil {
			return err
		}

		t, err := pool.Programs("/usr/bin/qemu-system-x86_64", "/usr/bin/qemu-img")
		if err != nil {
			return err
		}

		for _, name := range []string{"qemu-system-data", "ipxe-qemu"} {
			t.Existing("usr/share/qemu", filepath.Join(pool[name], "usr/share/qemu"))
		}

		t.Existing("usr/share/seabios", filepath.Join(pool["seabios"], "usr/share/seabios"))

		for _, name := range []string{"OVMF_CODE", "OVMF_VARS"} {
			t.Existing(name+".fd", filepath.Join(pool["ovmf"], "usr/share/OVMF", name+"_4M.fd"))
		}

		const data = `-L "$here/usr/share/qemu" -L "$here/usr/share/seabios" `

		t.Text("qemu-system-x86_64", 0o755, fmt.Sprintf(launcher, "qemu-system-x86_64", data))
		t.Text("qemu-img", 0o755, fmt.Sprintf(launcher, "qemu-img", ""))

		return t.WriteFolder(filepath.Join(dir, "qemu"))
	})

	return filepath.Join(dir, "qemu"), explain("QEMU", err)
}
