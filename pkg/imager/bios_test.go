package imager

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem/fat32"

	"github.com/basalt-os/basalt/internal/gpt"
	"github.com/basalt-os/basalt/internal/grub"
	"github.com/basalt-os/basalt/internal/layout"
)

// withGRUB adds what stands for GRUB's parts.
func withGRUB(t *testing.T, p Profile) Profile {
	t.Helper()

	dir := t.TempDir()
	write := func(name string, data []byte) File {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, data, 0o644); err != nil {
			t.Fatal(err)
		}

		return File{Path: name}
	}

	boot := bytes.Repeat([]byte("b"), 512)
	boot[510], boot[511] = 0x55, 0xaa
	core := bytes.Repeat([]byte("c"), 5000)
	binary.LittleEndian.PutUint16(core[0x1fe:], 0x820)

	p.Input.GRUBBoot, p.Input.GRUBCore = write("boot.img", boot), write("core.img", core)
	p.Input.GRUBDisc = write("cd.img", append(bytes.Repeat([]byte("d"), cdStart), core...))
	p.Output.ImageOptions.Bootloader, p.Output.ISOOptions.Bootloader = "", ""

	return p.withDefaults()
}

// readFile reads a file of the FAT file system at an offset.
func readFile(t *testing.T, disk *os.File, offset, size int64, name string) ([]byte, error) {
	t.Helper()

	fs, err := fat32.Read(file.New(disk, true), size, offset, 512)
	if err != nil {
		t.Fatal(err)
	}

	f, err := fs.OpenFile(name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}

	info, err := f.Stat()
	if err != nil {
		return nil, err
	}

	// The library reads beyond the end of files that fill their clusters.
	data := make([]byte, info.Size())
	_, err = io.ReadFull(f, data)

	return data, err
}

func TestDualBootDisk(t *testing.T) {
	p := withGRUB(t, example(t, KindImage))

	disk, err := os.Open(build(t, p))
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()

	info, err := disk.Stat()
	if err != nil {
		t.Fatal(err)
	}

	table, _, err := gpt.Read(disk, info.Size(), 512)
	if err != nil {
		t.Fatal(err)
	}

	esp, ok := table.Find(gpt.LabelEFI)
	bios, found := table.Find(gpt.LabelBIOS)

	if !ok || !found || esp.Number != 1 {
		t.Fatalf("partitions %+v", table.Partitions)
	}

	checkESP(t, p, disk, table.Offset(esp), table.Size(esp), 512)

	var first [512]byte
	if _, err := disk.ReadAt(first[:], 0); err != nil {
		t.Fatal(err)
	}

	if at := binary.LittleEndian.Uint64(first[0x5c:]); at != bios.First || first[450] != 0xee {
		t.Errorf("the first sector starts %d, want %d; type of its partition %#x", at, bios.First, first[450])
	}

	var core [6]byte
	if _, err := disk.ReadAt(core[:], table.Offset(bios)); err != nil || string(core[:]) != "cccccc" {
		t.Errorf("core %q, %v", core, err)
	}

	env, err := readFile(t, disk, table.Offset(esp), table.Size(esp), grub.EnvFile)
	if err != nil {
		t.Fatal(err)
	}

	if state, err := grub.DecodeState(env); err != nil || state != (grub.State{Good: "Basalt-0.1.0.efi"}) {
		t.Errorf("state %+v, %v", state, err)
	}

	menu, err := readFile(t, disk, table.Offset(esp), table.Size(esp), grub.MenuFile)
	if err != nil || !strings.Contains(string(menu), "--id 'Basalt-0.1.0.efi'") {
		t.Errorf("menu %q, %v", menu, err)
	}
}

func TestBIOSOnlyDisk(t *testing.T) {
	p := example(t, KindImage)
	p.Output.ImageOptions.Bootloader = BootloaderGRUB
	p.Input.SDBoot = File{}
	p = withGRUB(t, p)
	p.Output.ImageOptions.Bootloader = BootloaderGRUB

	disk, err := os.Open(build(t, p))
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()

	if _, err := readFile(t, disk, gpt.Alignment, layout.EFISize, "EFI/BOOT/BOOTX64.EFI"); err == nil {
		t.Error("a disk for BIOS has a boot loader for UEFI")
	}
}

func TestDualBootISO(t *testing.T) {
	p := withGRUB(t, example(t, KindISO))

	data, err := os.ReadFile(build(t, p))
	if err != nil {
		t.Fatal(err)
	}

	catalog := data[isoCatalog*isoSector:]

	// Validation entry, the BIOS's entry, a header for UEFI, UEFI's entry.
	if catalog[1] != 0 || catalog[32] != 0x88 || catalog[64] != 0x91 || catalog[65] != 0xef || catalog[96] != 0x88 {
		t.Errorf("catalog % x", catalog[:128])
	}

	bios := binary.LittleEndian.Uint32(catalog[40:]) * isoSector
	if string(data[bios:bios+4]) != "dddd" || binary.LittleEndian.Uint32(data[bios+12:])*isoSector != bios {
		t.Errorf("BIOS starts % x", data[bios:bios+24])
	}

	// A stick starts the same core.
	stick := binary.LittleEndian.Uint64(data[0x5c:]) * 512
	if stick != uint64(bios)+cdStart || string(data[stick:stick+4]) != "cccc" {
		t.Errorf("a stick starts what is at %d", stick)
	}

	if binary.LittleEndian.Uint32(catalog[104:])*isoSector != gpt.Alignment {
		t.Errorf("UEFI starts % x", catalog[96:128])
	}
}

func TestBadBootloader(t *testing.T) {
	for name, change := range map[string]func(*Profile){
		"unknown":      func(p *Profile) { p.Output.ImageOptions.Bootloader = "lilo" },
		"no parts":     func(p *Profile) { p.Output.ImageOptions.Bootloader = BootloaderDual },
		"architecture": func(p *Profile) { p.Arch, p.Output.ImageOptions.Bootloader = "arm64", BootloaderGRUB },
		"sectors": func(p *Profile) {
			*p = withGRUB(t, *p)
			p.Output.ImageOptions.Bootloader, p.Output.ImageOptions.DiskSectorSize = BootloaderDual, 4096
		},
	} {
		p := example(t, KindImage)
		change(&p)

		if _, err := Build(p, t.TempDir()); !errors.Is(err, ErrProfile) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
