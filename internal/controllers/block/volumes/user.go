package volumes

import (
	"fmt"
	"strings"
	"time"

	"github.com/basalt-os/basalt/internal/gpt"
	"github.com/basalt-os/basalt/internal/resources/block"
	"github.com/basalt-os/basalt/pkg/machineconfig"
	"github.com/basalt-os/basalt/pkg/machineconfig/document"
)

// defaultInterval is that of trims and scrubs.
const defaultInterval = 7 * 24 * time.Hour

// User are the volumes that documents of the configuration ask for, by ID.
func User(cfg *machineconfig.Config) map[string]block.VolumeConfig {
	out := map[string]block.VolumeConfig{}

	for _, doc := range machineconfig.All[document.UserVolumeConfig](cfg) {
		out[PrefixUser+doc.Name] = user(cfg, doc)
	}

	for _, doc := range machineconfig.All[document.RawVolumeConfig](cfg) {
		out[PrefixRaw+doc.Name] = partition(PrefixRaw+doc.Name, gpt.TypeLinuxData.String(), block.FilesystemTypeNone, doc.Provisioning, doc.Encryption)
	}

	for _, doc := range machineconfig.All[document.SwapVolumeConfig](cfg) {
		out[PrefixSwap+doc.Name] = partition(PrefixSwap+doc.Name, gpt.TypeLinuxSwap.String(), block.FilesystemTypeSwap, doc.Provisioning, doc.Encryption)
	}

	for _, doc := range machineconfig.All[document.ExistingVolumeConfig](cfg) {
		out[PrefixExisting+doc.Name] = existing(cfg, doc)
	}

	for _, doc := range machineconfig.All[document.ExternalVolumeConfig](cfg) {
		out[PrefixExternal+doc.Name] = external(doc)
	}

	for i, v := range Legacy(cfg) {
		out[v.ID] = v.config(i)
	}

	return out
}

func user(cfg *machineconfig.Config, doc *document.UserVolumeConfig) block.VolumeConfig {
	id := PrefixUser + doc.Name
	fs := document.UserFilesystem{}

	if doc.Filesystem != nil {
		fs = *doc.Filesystem
	}

	kind := block.FilesystemTypeXFS

	switch fs.Type {
	case "ext4":
		kind = block.FilesystemTypeEXT4
	case "btrfs":
		kind = block.FilesystemTypeBTRFS
	}

	v := partition(id, gpt.TypeLinuxData.String(), kind, doc.Provisioning, doc.Encryption)
	v.Mount = mountAt(doc.Name)
	v.Mount.ProjectQuotaSupport = isSet(fs.ProjectQuotaSupport, false)

	if fs.XFS != nil {
		v.Provisioning.FilesystemSpec.MinAllocationGroupSize = fs.XFS.MinAllocationGroupSize.Bytes
	}

	if doc.Mount != nil {
		v.Mount.Secure = isSet(doc.Mount.Secure, true)
	}

	maintain(cfg, &v, doc.Trim, doc.Scrub)

	switch doc.VolumeType {
	case "directory":
		self := v.Mount.TargetPath
		v.Type, v.ParentID, v.Locator = block.VolumeTypeDirectory, Mnt, block.LocatorSpec{}
		v.Provisioning = block.ProvisioningSpec{}
		v.TrimEnabled, v.TrimInterval, v.ScrubEnabled, v.ScrubInterval = false, 0, false, 0
		// A mount of the folder on itself has flags of its own.
		v.Mount.BindTarget = &self
	case "disk":
		v.Type = block.VolumeTypeDisk
		v.Locator = block.LocatorSpec{DiskMatch: v.Provisioning.DiskSelector.Match}
		v.Provisioning.PartitionSpec = block.PartitionSpec{}
	}

	return v
}

// partition is a partition with the label of its ID.
func partition(id, kind string, fs block.FilesystemType, p *document.Provisioning, e *document.Encryption) block.VolumeConfig {
	v := block.VolumeConfig{
		Type:    block.VolumeTypePartition,
		Locator: block.LocatorSpec{Match: labelled(id)},
		Provisioning: block.ProvisioningSpec{
			Wave:           WaveUser,
			PartitionSpec:  block.PartitionSpec{MinSize: userMin, Label: id, TypeUUID: kind},
			FilesystemSpec: block.FilesystemSpec{Type: fs},
		},
		Encryption: encryption(e),
	}

	provision(&v.Provisioning, p)

	return v
}

func mountAt(name string) block.MountSpec {
	return block.MountSpec{TargetPath: name, ParentID: Mnt, FileMode: 0o755, Secure: true}
}

func existing(cfg *machineconfig.Config, doc *document.ExistingVolumeConfig) block.VolumeConfig {
	v := block.VolumeConfig{Type: block.VolumeTypePartition, Mount: mountAt(doc.Name)}

	if doc.Discovery != nil {
		v.Locator.Match = block.Expression(doc.Discovery.VolumeSelector.Match)
	}

	if doc.Mount != nil {
		v.Mount.Secure = isSet(doc.Mount.Secure, true)
	}

	maintain(cfg, &v, doc.Trim, doc.Scrub)

	return v
}

func external(doc *document.ExternalVolumeConfig) block.VolumeConfig {
	v := block.VolumeConfig{
		Type:         block.VolumeTypeExternal,
		Mount:        mountAt(doc.Name),
		Provisioning: block.ProvisioningSpec{FilesystemSpec: block.FilesystemSpec{Type: block.FilesystemTypeVirtioFS}},
	}

	if doc.Mount != nil {
		v.Mount.Secure = isSet(doc.Mount.Secure, true)

		if doc.Mount.Virtiofs != nil {
			v.Provisioning.DiskSelector.External = doc.Mount.Virtiofs.Tag
		}
	}

	return v
}

// provision changes where and how big a volume is made to what a document says.
func provision(spec *block.ProvisioningSpec, p *document.Provisioning) {
	if p == nil {
		return
	}

	if p.DiskSelector != nil && p.DiskSelector.Match != "" {
		spec.DiskSelector.Match = block.Expression(p.DiskSelector.Match)
	}

	if p.Grow != nil {
		spec.PartitionSpec.Grow = *p.Grow
	}

	if !p.MinSize.IsZero() {
		spec.PartitionSpec.MinSize = p.MinSize.Bytes
	}

	if !p.MaxSize.IsZero() {
		spec.PartitionSpec.MaxSize = p.MaxSize.Bytes
		spec.PartitionSpec.RelativeMaxSize = p.MaxSize.Percent
		spec.PartitionSpec.NegativeMaxSize = p.MaxSize.Negative

		if p.MinSize.IsZero() && !p.MaxSize.Negative && p.MaxSize.Percent == 0 {
			spec.PartitionSpec.MinSize = min(spec.PartitionSpec.MinSize, p.MaxSize.Bytes)
		}
	}
}

func encryption(doc *document.Encryption) block.EncryptionSpec {
	if doc == nil || doc.Provider == "" {
		return block.EncryptionSpec{}
	}

	spec := block.EncryptionSpec{
		Provider: block.EncryptionProviderTypeLUKS2, Cipher: doc.Cipher, KeySize: doc.KeySize, BlockSize: doc.BlockSize,
		PerfOptions: doc.Options, AllowDiscards: isSet(doc.AllowDiscards, false),
	}

	for _, k := range doc.Keys {
		key := block.EncryptionKey{Slot: k.Slot, LockToSTATE: isSet(k.LockToState, false)}

		switch {
		case k.Static != nil:
			key.Type, key.StaticPassphrase = block.EncryptionKeyTypeStatic, k.Static.Passphrase
		case k.NodeID != nil:
			key.Type = block.EncryptionKeyTypeNodeID
		case k.KMS != nil:
			key.Type, key.KMSEndpoint = block.EncryptionKeyTypeKMS, k.KMS.Endpoint
		case k.TPM != nil:
			key.Type, key.TPMCheckSecurebootStatusOnEnroll = block.EncryptionKeyTypeTPM, isSet(k.TPM.CheckSecurebootStatusOnEnroll, false)

			if k.TPM.Options != nil {
				key.TPMPCRs = k.TPM.Options.PCRs
			}
		}

		spec.Keys = append(spec.Keys, key)
	}

	return spec
}

// LegacyPartition is a partition of a disk that the older form of the
// configuration lists.
type LegacyPartition struct {
	ID     string // <device>-<number>
	Device string // as it is written
	Number int
	Size   uint64 // bytes; 0 for the rest of the disk
	Target string
}

// Legacy are the partitions of machine.disks, in their order.
func Legacy(cfg *machineconfig.Config) []LegacyPartition {
	var out []LegacyPartition

	for _, disk := range cfg.Machine().Disks {
		for i, part := range disk.Partitions {
			out = append(out, LegacyPartition{
				ID: fmt.Sprintf("%s-%d", disk.Device, i+1), Device: disk.Device, Number: i + 1,
				Size: part.Size.Bytes, Target: part.MountPoint,
			})
		}
	}

	return out
}

// config is the volume of the partition. They have no labels, so they are known
// by their numbers, and made one after the other.
func (p LegacyPartition) config(position int) block.VolumeConfig {
	quoted := fmt.Sprintf("(disk.dev_path == %q || %q in disk.symlinks)", p.Device, p.Device)

	v := block.VolumeConfig{
		Type:    block.VolumeTypePartition,
		Locator: block.LocatorSpec{Match: block.Expression(fmt.Sprintf("%s && volume.partition_index == %du", quoted, p.Number))},
		Provisioning: block.ProvisioningSpec{
			Wave: WaveLegacy + position, DiskSelector: block.DiskSelector{Match: block.Expression("!system_disk && " + quoted)},
			PartitionSpec: block.PartitionSpec{
				MinSize: max(p.Size, userMin), MaxSize: p.Size, TypeUUID: gpt.TypeLinuxData.String(),
			},
			FilesystemSpec: block.FilesystemSpec{Type: block.FilesystemTypeXFS},
		},
		Mount: block.MountSpec{TargetPath: p.Target, FileMode: 0o755, Secure: true},
	}

	// The places of old are below /var, which has to be there first.
	if rest, ok := strings.CutPrefix(p.Target, "/var/"); ok {
		v.ParentID, v.Mount.ParentID, v.Mount.TargetPath = Ephemeral, Ephemeral, rest
	}

	return v
}

// Mounted are the IDs of the volumes of users that are mounted as soon as they
// are ready, with the way in which they are.
func Mounted(cfg *machineconfig.Config) map[string]block.VolumeMountRequest {
	out := map[string]block.VolumeMountRequest{}

	for _, doc := range machineconfig.All[document.UserVolumeConfig](cfg) {
		request := block.VolumeMountRequest{VolumeID: PrefixUser + doc.Name}
		if doc.Mount != nil {
			request.DisableAccessTime = isSet(doc.Mount.DisableAccessTime, false)
		}

		out[request.VolumeID] = request
	}

	for _, doc := range machineconfig.All[document.SwapVolumeConfig](cfg) {
		out[PrefixSwap+doc.Name] = block.VolumeMountRequest{VolumeID: PrefixSwap + doc.Name}
	}

	for _, doc := range machineconfig.All[document.ExistingVolumeConfig](cfg) {
		request := block.VolumeMountRequest{VolumeID: PrefixExisting + doc.Name}
		if doc.Mount != nil {
			request.ReadOnly = isSet(doc.Mount.ReadOnly, false)
			request.DisableAccessTime = isSet(doc.Mount.DisableAccessTime, false)
		}

		out[request.VolumeID] = request
	}

	for _, doc := range machineconfig.All[document.ExternalVolumeConfig](cfg) {
		request := block.VolumeMountRequest{VolumeID: PrefixExternal + doc.Name}
		if doc.Mount != nil {
			request.ReadOnly = isSet(doc.Mount.ReadOnly, false)
			request.DisableAccessTime = isSet(doc.Mount.DisableAccessTime, false)
		}

		out[request.VolumeID] = request
	}

	for _, p := range Legacy(cfg) {
		out[p.ID] = block.VolumeMountRequest{VolumeID: p.ID}
	}

	return out
}
