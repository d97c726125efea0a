// Package volumes says which volumes a machine has: those of the system, and
// those that its configuration asks for. It is pure: the same configuration
// has the same volumes, whatever the disks.
package volumes

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/basalt-os/basalt/internal/gpt"
	"github.com/basalt-os/basalt/internal/layout"
	"github.com/basalt-os/basalt/internal/resources/block"
	"github.com/basalt-os/basalt/pkg/machineconfig"
	"github.com/basalt-os/basalt/pkg/machineconfig/document"
)

// IDs of the system's volumes. Those that are partitions have the ID as their
// label.
const (
	Meta       = gpt.LabelMeta
	State      = gpt.LabelState
	Ephemeral  = gpt.LabelEphemeral
	ImageCache = gpt.LabelImageCache
	Etcd       = "ETCD"
	CRI        = "CRI"
	Kubelet    = "KUBELET"
	Log        = "LOG"
	Lib        = "/var/lib"
	Mnt        = "/var/mnt"
	Audit      = "/var/log/audit"
	Seccomp    = "/var/lib/kubelet/seccomp"
	Run        = "/var/run"
	Opt        = "/opt"
)

// Prefixes of the IDs, and labels, of the volumes of users.
const (
	PrefixUser     = "u-"
	PrefixRaw      = "r-"
	PrefixSwap     = "s-"
	PrefixExisting = "e-"
	PrefixExternal = "x-"
)

// Waves of provisioning: a volume is made only when all of earlier waves are
// there.
const (
	WaveSystem = -1
	WaveUser   = 0
	WaveLegacy = 1000000
)

// Sizes in bytes.
const (
	stateSize        = layout.StateSize
	ephemeralMin     = layout.EphemeralMin
	imageCacheMin    = 500e6
	imageCacheMax    = 1e9
	userMin          = 100 << 20
	promotedMin      = 100 << 20
	allocationGroups = 64 << 30
)

// UserRoot is the folder of the volumes of users.
const UserRoot = "/var/mnt"

// System are the volumes of the system by ID. Without a configuration, which
// may be on STATE, STATE is looked for and not made.
func System(cfg *machineconfig.Config) map[string]block.VolumeConfig {
	out := map[string]block.VolumeConfig{
		Meta: {
			Type: block.VolumeTypePartition,
			Locator: block.LocatorSpec{
				Match: `volume.partition_label == "META" && volume.name in ["talosmeta", ""] && volume.size == 1u * MiB`,
			},
		},
		State: state(cfg),
	}

	if cfg == nil {
		return out
	}

	out[Ephemeral] = ephemeral(cfg)

	maps.Copy(out, promotable(cfg))
	maps.Copy(out, folders())

	if cache := machineconfig.Find[document.ImageCacheConfig](cfg); cache != nil && cache.Local != nil && isSet(cache.Local.Enabled, false) {
		out[ImageCache] = imageCache(cfg)
	}

	return out
}

// Tree are the IDs of the volumes that make up the file systems of a running
// machine besides META and STATE, whatever its configuration: EPHEMERAL and
// what is below it.
func Tree() []string {
	return slices.Concat([]string{Ephemeral}, slices.Sorted(maps.Keys(promotables)), slices.Sorted(maps.Keys(folders())))
}

func state(cfg *machineconfig.Config) block.VolumeConfig {
	v := block.VolumeConfig{
		Type:    block.VolumeTypePartition,
		Locator: block.LocatorSpec{Match: labelled(State)},
		Mount:   block.MountSpec{TargetPath: "/system/state", FileMode: 0o700, Secure: true, NoExec: true},
	}

	if cfg == nil {
		return v
	}

	v.Provisioning = block.ProvisioningSpec{
		Wave: WaveSystem, DiskSelector: block.DiskSelector{Match: "system_disk"},
		PartitionSpec:  block.PartitionSpec{MinSize: stateSize, MaxSize: stateSize, Label: State, TypeUUID: gpt.TypeLinuxData.String()},
		FilesystemSpec: block.FilesystemSpec{Type: block.FilesystemTypeXFS, Label: State},
	}

	configured{cfg}.apply(&v, State)
	// STATE is where the system looks for it, whatever a document says.
	v.Provisioning.DiskSelector.Match = "system_disk"

	return v
}

func ephemeral(cfg *machineconfig.Config) block.VolumeConfig {
	v := block.VolumeConfig{
		Type: block.VolumeTypePartition,
		Provisioning: block.ProvisioningSpec{
			Wave: WaveSystem, DiskSelector: block.DiskSelector{Match: "system_disk"},
			PartitionSpec: block.PartitionSpec{MinSize: ephemeralMin, Grow: true, Label: Ephemeral, TypeUUID: gpt.TypeLinuxData.String()},
			FilesystemSpec: block.FilesystemSpec{
				Type: block.FilesystemTypeXFS, Label: Ephemeral, MinAllocationGroupSize: allocationGroups,
			},
		},
		Locator: block.LocatorSpec{Match: labelled(Ephemeral)},
		Mount:   block.MountSpec{TargetPath: "/var", FileMode: 0o755, ProjectQuotaSupport: cfg.Machine().DiskQuota},
	}

	configured{cfg}.apply(&v, Ephemeral)

	return v
}

func imageCache(cfg *machineconfig.Config) block.VolumeConfig {
	v := block.VolumeConfig{
		Type: block.VolumeTypePartition,
		Provisioning: block.ProvisioningSpec{
			Wave: WaveSystem, DiskSelector: block.DiskSelector{Match: "system_disk"},
			PartitionSpec: block.PartitionSpec{
				MinSize: imageCacheMin, MaxSize: imageCacheMax, Label: ImageCache, TypeUUID: gpt.TypeLinuxData.String(),
			},
			FilesystemSpec: block.FilesystemSpec{Type: block.FilesystemTypeEXT4, Label: ImageCache},
		},
		Locator: block.LocatorSpec{Match: labelled(ImageCache)},
		Mount:   block.MountSpec{TargetPath: "/system/imagecache/disk", FileMode: 0o700, Secure: true, NoExec: true},
	}

	configured{cfg}.apply(&v, ImageCache)

	return v
}

// place is a folder below the mount of a parent.
type place struct {
	parent, path string
	mode         fs.FileMode
	owner        int
}

// Owners of folders.
const (
	etcdUser   = 60
	nobodyUser = 65534 // the API server runs as it
)

// promotables are the folders that become partitions when there is a document
// for them. That is decided when the machine is installed: see the volume
// manager.
var promotables = map[string]place{
	Etcd:    {Lib, "etcd", 0o700, etcdUser},
	CRI:     {Lib, "containerd", 0o700, 0},
	Kubelet: {Lib, "kubelet", 0o755, 0},
	Log:     {Ephemeral, "log", 0o755, 0},
}

func promotable(cfg *machineconfig.Config) map[string]block.VolumeConfig {
	out := map[string]block.VolumeConfig{}

	for id, p := range promotables {
		v := folder(p)

		if doc := find(cfg, id); doc != nil && doc.Provisioning != nil {
			v.Type = block.VolumeTypePartition
			v.Locator = block.LocatorSpec{Match: labelled(id)}
			v.Provisioning = block.ProvisioningSpec{
				Wave: WaveSystem, DiskSelector: block.DiskSelector{Match: "system_disk"},
				PartitionSpec:  block.PartitionSpec{MinSize: promotedMin, Label: id, TypeUUID: gpt.TypeLinuxData.String()},
				FilesystemSpec: block.FilesystemSpec{Type: block.FilesystemTypeXFS, Label: id},
			}
			v.Mount.ProjectQuotaSupport = cfg.Machine().DiskQuota

			configured{cfg}.apply(&v, id)

			// One that says only how small it may be leaves the rest to EPHEMERAL.
			spec := &v.Provisioning.PartitionSpec
			if spec.MaxSize == 0 && spec.RelativeMaxSize == 0 && !spec.Grow {
				spec.MaxSize = spec.MinSize
			}
		}

		out[id] = v
	}

	return out
}

// folders are what is below EPHEMERAL.
func folders() map[string]block.VolumeConfig {
	out := map[string]block.VolumeConfig{}

	for id, p := range map[string]place{
		Lib:                   {Ephemeral, "lib", 0o755, 0},
		"/var/lib/cni":        {Lib, "cni", 0o755, 0},
		Seccomp:               {Kubelet, "seccomp", 0o755, 0},
		Seccomp + "/profiles": {Seccomp, "profiles", 0o755, 0},
		Audit:                 {Log, "audit", 0o755, 0},
		Audit + "/kube":       {Audit, "kube", 0o700, nobodyUser},
		"/var/log/containers": {Log, "containers", 0o755, 0},
		"/var/log/pods":       {Log, "pods", 0o755, 0},
		Mnt:                   {Ephemeral, "mnt", 0o755, 0},
		Run + "/lock":         {Run, "lock", 0o755, 0},
	} {
		out[id] = folder(p)
	}

	out[Run] = block.VolumeConfig{
		ParentID: Ephemeral, Type: block.VolumeTypeSymlink,
		Mount:   block.MountSpec{TargetPath: "run", ParentID: Ephemeral},
		Symlink: block.SymlinkProvisioningSpec{SymlinkTargetPath: "/run", Force: true},
	}
	out[Opt] = block.VolumeConfig{
		ParentID: Ephemeral, Type: block.VolumeTypeOverlay,
		Mount: block.MountSpec{TargetPath: "/opt", ParentID: Ephemeral, FileMode: 0o755},
	}

	return out
}

func folder(p place) block.VolumeConfig {
	return block.VolumeConfig{
		ParentID: p.parent, Type: block.VolumeTypeDirectory,
		Mount: block.MountSpec{TargetPath: p.path, ParentID: p.parent, FileMode: p.mode, UID: p.owner, GID: p.owner},
	}
}

// labelled finds a partition by its label.
func labelled(label string) block.Expression {
	return block.Expression(fmt.Sprintf("volume.partition_label == %q", label))
}

func find(cfg *machineconfig.Config, name string) *document.VolumeConfig {
	for _, doc := range machineconfig.All[document.VolumeConfig](cfg) {
		if doc.Name == name {
			return doc
		}
	}

	return nil
}

// configured has what a configuration says about volumes of the system.
type configured struct{ cfg *machineconfig.Config }

// apply changes a volume to what its document says.
func (c configured) apply(v *block.VolumeConfig, name string) {
	doc := find(c.cfg, name)
	if doc == nil {
		doc = &document.VolumeConfig{}
	}

	provision(&v.Provisioning, doc.Provisioning)

	if doc.Filesystem != nil && doc.Filesystem.XFS != nil && !doc.Filesystem.XFS.MinAllocationGroupSize.IsZero() {
		v.Provisioning.FilesystemSpec.MinAllocationGroupSize = doc.Filesystem.XFS.MinAllocationGroupSize.Bytes
	}

	v.Encryption = encryption(doc.Encryption)

	if doc.Mount != nil {
		v.Mount.Secure = isSet(doc.Mount.Secure, v.Mount.Secure)
	}

	maintain(c.cfg, v, doc.Trim, doc.Scrub)
}

// DisablesAccessTime says whether a volume of the system is mounted without
// keeping the time of the last access.
func DisablesAccessTime(cfg *machineconfig.Config, id string) bool {
	doc := find(cfg, id)

	return doc != nil && doc.Mount != nil && isSet(doc.Mount.DisableAccessTime, false)
}

// maintain sets the schedules: what the document of the machine says, changed
// by what the volume's own says.
func maintain(cfg *machineconfig.Config, v *block.VolumeConfig, trim *document.Trim, scrub *document.Scrub) {
	if doc := machineconfig.Find[document.FilesystemTrimConfig](cfg); doc != nil {
		v.TrimEnabled, v.TrimInterval = true, doc.Interval
	}

	if trim != nil {
		v.TrimEnabled = isSet(trim.Enabled, true)

		if trim.Interval > 0 {
			v.TrimInterval = trim.Interval
		}
	}

	if doc := machineconfig.Find[document.FilesystemScrubConfig](cfg); doc != nil {
		v.ScrubEnabled, v.ScrubInterval = true, doc.Interval
	}

	if scrub != nil {
		v.ScrubEnabled = isSet(scrub.Enabled, true)

		if scrub.Interval > 0 {
			v.ScrubInterval = scrub.Interval
		}
	}

	if v.TrimEnabled && v.TrimInterval == 0 {
		v.TrimInterval = defaultInterval
	}

	if v.ScrubEnabled && v.ScrubInterval == 0 {
		v.ScrubInterval = defaultInterval
	}
}

func isSet(b *bool, standard bool) bool {
	if b == nil {
		return standard
	}

	return *b
}
