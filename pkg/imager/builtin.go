package imager

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// cloudDisk is the size of disk images for clouds that take an image's size for
// the disk's, in bytes.
const cloudDisk = 8192 << 20

// builtins are the profiles that others may begin from, by name. They say what
// to make, and nothing of the files that it is made from.
func builtins() map[string]Profile {
	image := func(platform string, disk DiskFormat, format Format, size int64) Profile {
		return Profile{Platform: platform, Output: Output{
			Kind: KindImage, OutFormat: format, ImageOptions: ImageOptions{DiskFormat: disk, DiskSize: size},
		}}
	}

	metal4k := image("metal", DiskRaw, FormatZstd, 0)
	metal4k.Output.ImageOptions.DiskSectorSize = 4096

	aws := image("aws", DiskRaw, FormatXZ, cloudDisk)
	// The default gives up on a disk that its host is slow to serve.
	aws.Customization.ExtraKernelArgs = []string{"nvme_core.io_timeout=4294967295"}

	return map[string]Profile{
		"installer":     {Platform: "metal", Output: Output{Kind: KindInstaller}},
		"iso":           {Platform: "metal", Output: Output{Kind: KindISO}},
		"metal":         image("metal", DiskRaw, FormatZstd, 0),
		"metal-4k":      metal4k,
		"metal-uki":     {Platform: "metal", Output: Output{Kind: KindUKI}},
		"metal-pxe":     {Platform: "metal", Output: Output{Kind: KindIPXE}},
		"akamai":        image("akamai", DiskRaw, FormatGzip, cloudDisk),
		"alibabacloud":  image("alibabacloud", DiskQCOW2, FormatRaw, cloudDisk),
		"aws":           aws,
		"azure":         image("azure", DiskVHD, FormatXZ, cloudDisk),
		"cloudstack":    image("cloudstack", DiskRaw, FormatGzip, cloudDisk),
		"digital-ocean": image("digital-ocean", DiskRaw, FormatGzip, cloudDisk),
		"exoscale":      image("exoscale", DiskQCOW2, FormatRaw, cloudDisk),
		"gcp":           image("gcp", DiskRaw, FormatTarGzip, cloudDisk),
		"hcloud":        image("hcloud", DiskRaw, FormatXZ, 0),
		"nocloud":       image("nocloud", DiskRaw, FormatXZ, 0),
		"opennebula":    image("opennebula", DiskRaw, FormatZstd, 0),
		"openstack":     image("openstack", DiskRaw, FormatXZ, 0),
		"oracle":        image("oracle", DiskQCOW2, FormatRaw, cloudDisk),
		"scaleway":      image("scaleway", DiskRaw, FormatZstd, 0),
		"upcloud":       image("upcloud", DiskRaw, FormatXZ, 0),
		"vultr":         {Platform: "vultr", Output: Output{Kind: KindISO}},
	}
}

// Builtins are the names of the profiles that a profile may name as its base,
// sorted.
func Builtins() []string { return slices.Sorted(maps.Keys(builtins())) }

// builtin is the profile with a name.
func builtin(name string) (Profile, error) {
	p, ok := builtins()[name]
	if !ok && (strings.HasPrefix(name, "secureboot-") || strings.HasSuffix(name, "-secureboot")) {
		return Profile{}, fmt.Errorf("%w: baseProfileName %q cannot be used: %s", ErrProfile, name, noSecureBoot)
	}

	if !ok {
		return Profile{}, fmt.Errorf("%w: baseProfileName %q is not one of %s", ErrProfile, name, strings.Join(Builtins(), ", "))
	}

	p.BaseProfileName, p.Arch = name, "amd64"

	return p, nil
}
