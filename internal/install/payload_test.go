package install

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/blockdev/crashtest"
	"github.com/basalt-os/basalt/internal/bootloader"
	"github.com/basalt-os/basalt/internal/fat"
	"github.com/basalt-os/basalt/internal/gpt"
	"github.com/basalt-os/basalt/internal/grub"
	"github.com/basalt-os/basalt/internal/metapart"
	"github.com/basalt-os/basalt/internal/payload"
	"github.com/basalt-os/basalt/internal/uki"
	"github.com/basalt-os/basalt/internal/uki/ukitest"
)

// A damaged, incomplete or foreign installer image is refused before a disk is
// even opened.
func TestBadPayload(t *testing.T) {
	ukiPath, loaderPath := payload.Path("amd64", payload.UKI), payload.Path("amd64", payload.SystemdBoot)

	with := func(name string, data []byte) fstest.MapFS {
		files := map[string][]byte{
			payload.UKI: ukitest.Image(t, "amd64", running, 20_000), payload.SystemdBoot: ukitest.Program("amd64"),
		}
		files[name] = data

		return manifested(t, running, files)
	}

	changed := func(change func(root fstest.MapFS)) fstest.MapFS {
		root := installerImage(t, running)
		change(root)

		return root
	}

	secure := uefi()
	secure.SecureBoot = true

	for name, test := range map[string]struct {
		root    fstest.MapFS
		machine Machine
		want    error
	}{
		"no manifest": {changed(func(root fstest.MapFS) { delete(root, payload.ManifestFile) }), uefi(), payload.ErrPayload},
		"no image":    {changed(func(root fstest.MapFS) { delete(root, ukiPath) }), uefi(), payload.ErrPayload},
		"no loader":   {changed(func(root fstest.MapFS) { delete(root, loaderPath) }), uefi(), payload.ErrPayload},
		"no GRUB":     {changed(func(root fstest.MapFS) { delete(root, payload.Path("amd64", payload.GRUBCore)) }), bios(), payload.ErrPayload},
		"not GRUB": {manifested(t, running, map[string][]byte{
			payload.UKI: ukitest.Image(t, "amd64", running, 20_000), payload.GRUBBoot: grubBoot(), payload.GRUBCore: []byte("none"),
		}), bios(), grub.ErrImage},
		"cut off": {changed(func(root fstest.MapFS) {
			root[ukiPath] = &fstest.MapFile{Data: root[ukiPath].Data[:10_000]}
		}), uefi(), payload.ErrPayload},
		"a wrong byte": {changed(func(root fstest.MapFS) {
			data := bytes.Clone(root[ukiPath].Data)
			data[9_000]++
			root[ukiPath] = &fstest.MapFile{Data: data}
		}), uefi(), payload.ErrPayload},
		"a wrong byte in the loader": {changed(func(root fstest.MapFS) {
			data := bytes.Clone(root[loaderPath].Data)
			data[500]++
			root[loaderPath] = &fstest.MapFile{Data: data}
		}), uefi(), payload.ErrPayload},
		"cut off, and the manifest knows": {with(payload.UKI, ukitest.Image(t, "amd64", running, 20_000)[:10_000]), uefi(), uki.ErrNotPE},
		"no unified image":                {with(payload.UKI, ukitest.Program("amd64")), uefi(), uki.ErrNotUKI},
		"another version":                 {with(payload.UKI, ukitest.Image(t, "amd64", "0.2.0", 20_000)), uefi(), payload.ErrPayload},
		"another architecture's image":    {with(payload.UKI, ukitest.Image(t, "arm64", running, 20_000)), uefi(), uki.ErrArchitecture},
		"another architecture's loader":   {with(payload.SystemdBoot, ukitest.Program("arm64")), uefi(), uki.ErrArchitecture},
		"another architecture": {
			changed(func(root fstest.MapFS) {
				data, err := json.Marshal(payload.Manifest{Version: running, Arch: "arm64"})
				if err != nil {
					t.Fatal(err)
				}

				root[payload.ManifestFile] = &fstest.MapFile{Data: data}
			}), uefi(), uki.ErrArchitecture,
		},
		"not signed": {installerImage(t, running), secure, ErrUnsigned},
	} {
		if p, err := Load(test.root, test.machine); !errors.Is(err, test.want) || !errors.Is(err, payload.ErrPayload) {
			t.Errorf("%s: %v, %v", name, p, err)
		}
	}
}

// An upgrade that does not fit, or must not be, changes nothing.
func TestUpgradeRefused(t *testing.T) {
	for kind, machine := range machines() {
		disk := installed(t, machine, running)
		refuse := func(why string, machine Machine, want error) {
			t.Helper()

			before := content(t, disk, gpt.LabelEFI)

			if err := job(t, disk, machine, "0.9.0").Upgrade(t.Context()); !errors.Is(err, want) {
				t.Errorf("%s, %s: %v", kind, why, err)
			}

			if content(t, disk, gpt.LabelEFI) != before {
				t.Errorf("%s, %s: the system partition has changed", kind, why)
			}
		}

		esp := section(t, disk, gpt.LabelEFI)

		v, err := fat.Open(esp, esp.Size())
		if err != nil {
			t.Fatal(err)
		}

		free, err := v.Free()
		if err != nil {
			t.Fatal(err)
		}

		if err := v.Create("foreign", free-10_000, bytes.NewReader(make([]byte, free))); err != nil {
			t.Fatal(err)
		}

		refuse("a full system partition", machine, bootloader.ErrNoSpace)

		if err := v.Remove("foreign"); err != nil {
			t.Fatal(err)
		}

		if err := job(t, disk, machine, "0.2.0").Upgrade(t.Context()); err != nil {
			t.Fatal(err)
		}

		trial := machine
		trial.Bootloader.Running, trial.Bootloader.Booted = "0.2.0", "Basalt-0.2.0.efi"

		refuse("a running version on trial", trial, bootloader.ErrOnTrial)

		forced := job(t, disk, trial, "0.3.0")
		forced.Force = true

		if err := forced.Upgrade(t.Context()); err != nil {
			t.Fatal(err)
		}

		if got := entries(t, disk, trial); got != "0.3.0+3! 0.2.0" {
			t.Errorf("%s: forced: %q", kind, got)
		}
	}
}

// One damaged copy of META is no hindrance, and is healed by who opens it.
func TestDamagedMeta(t *testing.T) {
	disk := installed(t, uefi(), running)

	if _, err := section(t, disk, gpt.LabelMeta).WriteAt([]byte("damage"), 100); err != nil {
		t.Fatal(err)
	}

	if err := job(t, disk, uefi(), "0.2.0").Upgrade(t.Context()); err != nil {
		t.Fatal(err)
	}

	values, health, err := metapart.Open(section(t, disk, gpt.LabelMeta))
	if diff := cmp.Diff(metaOf("network"), values); diff != "" || health != metapart.Healed || err != nil {
		t.Error(diff, health, err)
	}
}

func TestChange(t *testing.T) {
	for _, test := range []struct {
		line, platform string
		extra          []string
		want           string
	}{
		{"talos.platform=metal console=tty0", "metal", nil, "talos.platform=metal console=tty0"},
		{"talos.platform=metal console=tty0", "", nil, "talos.platform=metal console=tty0"},
		{"talos.platform=metal console=tty0", "nocloud", nil, "console=tty0 talos.platform=nocloud"},
		{"a=1 b", "", []string{"c=2", "-a", "b"}, "b c=2"},
		{"console=ttyS0 console=tty0", "", []string{"-console", "console=ttyS1"}, "console=ttyS1"},
	} {
		if got := change(test.line, test.platform, test.extra); got != test.want {
			t.Errorf("%q for %q with %q: %q, want %q", test.line, test.platform, test.extra, got, test.want)
		}
	}
}

func TestExtraArguments(t *testing.T) {
	disk := crashtest.New(diskSize, 512)

	j := job(t, disk, uefi(), running)
	j.ExtraArgs = []string{"quiet", "-console"}

	if err := j.Install(t.Context()); err != nil {
		t.Fatal(err)
	}

	if !bytes.Contains([]byte(content(t, disk, gpt.LabelEFI)), []byte("talos.platform=metal quiet\x00")) {
		t.Error("the command line was not changed")
	}
}
