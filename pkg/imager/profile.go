package imager

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/basalt-os/basalt/internal/bootloader"
	"github.com/basalt-os/basalt/internal/metapart"
	"github.com/basalt-os/basalt/internal/version"
)

// Kind is what to make.
type Kind string

// The kinds of output.
const (
	KindISO       Kind = "iso"
	KindImage     Kind = "image"
	KindKernel    Kind = "kernel"
	KindInitramfs Kind = "initramfs"
	KindCmdline   Kind = "cmdline"
	KindUKI       Kind = "uki"
	// KindInstaller is an image of a container that puts the system on a disk, or
	// upgrades it there, as an archive.
	KindInstaller Kind = "installer"
	// KindIPXE is a script for iPXE that starts kernel and initramfs.
	KindIPXE Kind = "ipxe"
)

// Format is how a disk image is packed.
type Format string

// The formats.
const (
	FormatRaw     Format = "raw"
	FormatGzip    Format = ".gz"
	FormatZstd    Format = ".zst"
	FormatXZ      Format = ".xz"
	FormatTarGzip Format = ".tar.gz" // the disk as "disk.raw" in an archive
)

// DiskFormat is the form of a disk image.
type DiskFormat string

// The forms.
const (
	DiskRaw   DiskFormat = "raw"
	DiskQCOW2 DiskFormat = "qcow2"
	DiskVHD   DiskFormat = "vhd"
)

// kinds are all of them.
func kinds() []Kind {
	return []Kind{KindISO, KindImage, KindInstaller, KindKernel, KindInitramfs, KindCmdline, KindUKI, KindIPXE}
}

// Profile says what to make and from what. Its YAML form is strict: a key that
// is not here is an error. It has all keys of the reference system's profiles;
// those that do not act yet are read, and refused with the reason.
type Profile struct {
	// BaseProfileName is one of [Builtins]: what this profile does not say, that
	// one does.
	BaseProfileName string `yaml:"baseProfileName"`

	Arch          string        `yaml:"arch"`     // "amd64", "arm64"
	Platform      string        `yaml:"platform"` // "metal", "nocloud", ...
	Name          string        `yaml:"name"`     // for people; shown while the output is made
	Version       string        `yaml:"version"`  // of the system; this program's when empty
	Customization Customization `yaml:"customization"`
	Input         Input         `yaml:"input"`
	Output        Output        `yaml:"output"`

	SecureBoot bool           `yaml:"secureboot"` // does not act yet
	Overlay    map[string]any `yaml:"overlay"`    // does not act yet

	making *making // nothing is noted when nil
}

// Customization is what one user wants to be different.
type Customization struct {
	// ExtraKernelArgs are added to the command line; "-name" takes one away.
	ExtraKernelArgs []string      `yaml:"extraKernelArgs"`
	MetaContents    []MetaContent `yaml:"metaContents"` // of a disk image

	// EmbeddedMachineConfiguration is a machine configuration for all machines
	// that boot the image.
	EmbeddedMachineConfiguration string `yaml:"embeddedMachineConfiguration"`
}

// MetaContent is a value for META.
type MetaContent struct {
	Key   uint8  `yaml:"key"`
	Value string `yaml:"value"`
}

// Input is the files that everything is made from.
type Input struct {
	Kernel    File `yaml:"kernel"`
	Initramfs File `yaml:"initramfs"`
	SDStub    File `yaml:"sdStub"` // systemd's stub
	SDBoot    File `yaml:"sdBoot"` // systemd-boot

	// GRUB, for machines without UEFI. All three or none.
	GRUBBoot File `yaml:"grubBoot"` // boot.img
	GRUBCore File `yaml:"grubCore"` // core.img, for disks
	GRUBDisc File `yaml:"grubDisc"` // the core for optical discs

	SystemExtensions []Container `yaml:"systemExtensions"` // the lowest first

	// BaseInstaller is an installer image, for another one: what is not among the
	// files above is taken from it.
	BaseInstaller Container `yaml:"baseInstaller"`

	OverlayInstaller map[string]any `yaml:"overlayInstaller"` // does not act yet
	ImageCache       map[string]any `yaml:"imageCache"`       // does not act yet
	SecureBoot       map[string]any `yaml:"secureboot"`       // does not act yet
}

// File names a file on this machine.
type File struct {
	Path string `yaml:"path"`
}

// Output is what to make.
type Output struct {
	Kind         Kind         `yaml:"kind"`
	ImageOptions ImageOptions `yaml:"imageOptions"`
	ISOOptions   ISOOptions   `yaml:"isoOptions"`
	IPXEOptions  IPXEOptions  `yaml:"ipxeOptions"`
	OutFormat    Format       `yaml:"outFormat"` // of a disk image; raw when empty
}

// ImageOptions are for disk images.
type ImageOptions struct {
	DiskSize       int64      `yaml:"diskSize"`       // bytes; as small as possible when zero
	DiskFormat     DiskFormat `yaml:"diskFormat"`     // raw when empty
	DiskSectorSize int        `yaml:"diskSectorSize"` // 512 or 4096; 512 when zero

	// Bootloader is dual-boot when empty, if GRUB is among the inputs and the
	// disk can boot by BIOS, else sd-boot.
	Bootloader Bootloader `yaml:"bootloader"`

	DiskFormatOptions string `yaml:"diskFormatOptions"` // does not act yet
	SDBootEnrollKeys  string `yaml:"sdBootEnrollKeys"`  // does not act yet, but for "off"
}

// ISOOptions are for ISOs.
type ISOOptions struct {
	Bootloader       Bootloader `yaml:"bootloader"`       // as for disk images
	SDBootEnrollKeys string     `yaml:"sdBootEnrollKeys"` // does not act yet, but for "off"
}

// IPXEOptions are for scripts for iPXE: the files that one loads, as URLs or
// relative to it. Empty ones are the names that those kinds of output have.
type IPXEOptions struct {
	Kernel    string `yaml:"kernel"`
	Initramfs string `yaml:"initramfs"`
}

// ErrProfile says that a profile is wrong.
var ErrProfile = errors.New("bad profile")

// ReadProfile reads a profile's YAML form, checks it and fills in what was left
// out: from the profile that it names as its base, if it does.
func ReadProfile(r io.Reader) (Profile, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxProfile))
	if err != nil {
		return Profile{}, fmt.Errorf("reading the profile: %w", err)
	}

	var named struct {
		BaseProfileName string `yaml:"baseProfileName"`
	}

	// What is wrong with it, the decoder below says better.
	_ = yaml.Unmarshal(text, &named)

	var p Profile

	if named.BaseProfileName != "" {
		if p, err = builtin(named.BaseProfileName); err != nil {
			return Profile{}, fmt.Errorf("reading the profile: %w", err)
		}
	}

	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)

	if err := decoder.Decode(&p); err != nil {
		return Profile{}, fmt.Errorf("reading the profile: %w: %w", ErrProfile, err)
	}

	p = p.withDefaults()

	return p, p.check()
}

// maxProfile is the largest profile that is read, in bytes.
const maxProfile = 4 << 20

func (p Profile) withDefaults() Profile {
	if p.Version == "" {
		p.Version = version.Version
	}

	if p.Output.OutFormat == "" {
		p.Output.OutFormat = FormatRaw
	}

	if p.Output.ImageOptions.DiskFormat == "" {
		p.Output.ImageOptions.DiskFormat = DiskRaw
	}

	if p.Output.ImageOptions.DiskSectorSize == 0 {
		p.Output.ImageOptions.DiskSectorSize = 512
	}

	standard := BootloaderSystemd
	if p.Arch == "amd64" && p.Input.GRUBBoot.Path != "" {
		standard = BootloaderDual
	}

	if p.Output.ISOOptions.Bootloader == "" {
		p.Output.ISOOptions.Bootloader = standard
	}

	if p.Output.ImageOptions.DiskSectorSize != biosSector {
		standard = BootloaderSystemd
	}

	if p.Output.ImageOptions.Bootloader == "" {
		p.Output.ImageOptions.Bootloader = standard
	}

	return p
}

// biosSector is the only size of sectors that a BIOS boots from, in bytes.
const biosSector = 512

// bootloader is the boot loader of the output, none where it has none.
func (p Profile) bootloader() Bootloader {
	switch p.Output.Kind {
	case KindISO:
		return p.Output.ISOOptions.Bootloader
	case KindImage:
		return p.Output.ImageOptions.Bootloader
	default:
		return BootloaderNone
	}
}

// checkBootloader refuses boot loaders that there are not, or that a machine
// could not start.
func (p Profile) checkBootloader() error {
	loader := p.bootloader()

	switch {
	case loader == BootloaderNone:
	case !loader.uefi() && !loader.bios():
		return fmt.Errorf("bootloader %q is not one of sd-boot, grub, dual-boot, none", loader)
	case loader.bios() && p.Arch != "amd64":
		return fmt.Errorf("bootloader %s is for amd64, not for %s", loader, p.Arch)
	case loader.bios() && p.Output.Kind == KindImage && p.Output.ImageOptions.DiskSectorSize != biosSector:
		return fmt.Errorf("bootloader %s cannot start from a disk with sectors of %d bytes", loader, p.Output.ImageOptions.DiskSectorSize)
	}

	return nil
}

var platformPattern = regexp.MustCompile(`^[a-z][a-zA-Z0-9-]*$`)

func (p Profile) check() error {
	var problems []error

	refuse := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("%w: "+format, append([]any{ErrProfile}, args...)...))
	}

	if _, err := bootloader.Program(p.Arch); err != nil {
		refuse("arch %q is not amd64 or arm64", p.Arch)
	}

	if !platformPattern.MatchString(p.Platform) {
		refuse("platform %q is no name", p.Platform)
	}

	inputs := p.requirements()
	if inputs == nil {
		refuse("output.kind %q is not one of %v", p.Output.Kind, kinds())
	}

	for key, file := range inputs {
		if file.Path == "" {
			refuse("input.%s.path is missing, which a %s needs", key, p.Output.Kind)
		}
	}

	if !slices.Contains([]Format{FormatRaw, FormatGzip, FormatZstd, FormatXZ, FormatTarGzip}, p.Output.OutFormat) {
		refuse("output.outFormat %q is not raw, .gz, .zst, .xz or .tar.gz", p.Output.OutFormat)
	}

	if !slices.Contains([]DiskFormat{DiskRaw, DiskQCOW2, DiskVHD}, p.Output.ImageOptions.DiskFormat) {
		refuse("output.imageOptions.diskFormat %q is not raw, qcow2 or vhd", p.Output.ImageOptions.DiskFormat)
	}

	if size := p.Output.ImageOptions.DiskSectorSize; size != 512 && size != 4096 {
		refuse("output.imageOptions.diskSectorSize %d is not 512 or 4096", size)
	}

	for _, err := range slices.Concat(p.checkContainers(), p.checkUnserved()) {
		refuse("%w", err)
	}

	if strings.ContainsAny(p.Output.IPXEOptions.Kernel+p.Output.IPXEOptions.Initramfs, " \t\r\n\x00") {
		refuse("output.ipxeOptions: a name or URL has a space")
	}

	if err := p.checkBootloader(); err != nil {
		refuse("output: %w", err)
	}

	for _, arg := range p.Customization.ExtraKernelArgs {
		if strings.ContainsAny(arg, "\n\x00") || strings.TrimLeft(arg, "-") == "" {
			refuse("customization.extraKernelArgs: %q is no kernel argument", arg)
		}
	}

	if _, err := p.meta(); err != nil {
		refuse("customization.metaContents: %w", err)
	}

	return errors.Join(problems...)
}

// requirements are the files that the output needs, or nil for an unknown kind.
// Layers in an initramfs depend on the kernel.
func (p Profile) requirements() map[string]File {
	in := p.Input

	switch p.Output.Kind {
	case KindISO, KindImage:
		return p.diskInputs()
	case KindUKI, KindInstaller:
		return map[string]File{"kernel": in.Kernel, "initramfs": in.Initramfs, "sdStub": in.SDStub}
	case KindKernel:
		return map[string]File{"kernel": in.Kernel}
	case KindInitramfs:
		if p.layered() {
			return map[string]File{"kernel": in.Kernel, "initramfs": in.Initramfs}
		}

		return map[string]File{"initramfs": in.Initramfs}
	case KindCmdline, KindIPXE:
		return map[string]File{}
	default:
		return nil
	}
}

// diskInputs are the files that a disk image or an ISO needs.
func (p Profile) diskInputs() map[string]File {
	in, loader := p.Input, p.bootloader()
	needs := map[string]File{"kernel": in.Kernel, "initramfs": in.Initramfs, "sdStub": in.SDStub}

	if loader.uefi() {
		needs["sdBoot"] = in.SDBoot
	}

	if loader.bios() {
		needs["grubBoot"] = in.GRUBBoot

		if p.Output.Kind == KindISO {
			needs["grubDisc"] = in.GRUBDisc
		} else {
			needs["grubCore"] = in.GRUBCore
		}
	}

	return needs
}

// meta is the content of META.
func (p Profile) meta() ([]byte, error) {
	values := map[metapart.Key][]byte{}

	for _, c := range p.Customization.MetaContents {
		values[metapart.Key(c.Key)] = []byte(c.Value)
	}

	return metapart.Encode(values)
}

// Cmdline is the kernel's command line: what hardening demands, what the
// platform needs, and what the profile adds and takes away.
func (p Profile) Cmdline() string {
	args := []string{
		"slab_nomerge=", "pti=on", "consoleblank=0", "printk.devkmsg=on", "module.sig_enforce=1",
		"proc_mem.force_override=never",
		// What the system has rules for. The kernel's own list ends with AppArmor
		// and others whose rules nobody loads here; SELinux is not among them, and
		// without a policy it would protect nothing.
		"lsm=lockdown,yama,landlock,bpf",
		"talos.platform=" + p.Platform,
		// A kernel that panics starts again, and the boot loader counts.
		"panic=10",
	}

	if p.Arch == "amd64" {
		args = append(args, "console=ttyS0")
	}

	args = append(args, "console=tty0")

	for _, extra := range p.Customization.ExtraKernelArgs {
		gone, remove := strings.CutPrefix(extra, "-")
		if !remove {
			args = append(args, extra)

			continue
		}

		args = slices.DeleteFunc(args, func(arg string) bool {
			name, _, _ := strings.Cut(arg, "=")

			return arg == gone || name == gone
		})
	}

	return strings.Join(args, " ")
}
