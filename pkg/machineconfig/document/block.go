package document

import "time"

// VolumeConfig configures a system volume such as STATE or EPHEMERAL.
type VolumeConfig struct {
	Name         string            `yaml:"name,omitempty"`
	Provisioning *Provisioning     `yaml:"provisioning,omitempty"`
	Filesystem   *SystemFilesystem `yaml:"filesystem,omitempty"`
	Encryption   *Encryption       `yaml:"encryption,omitempty"`
	Mount        *SystemMount      `yaml:"mount,omitempty"`
	Trim         *Trim             `yaml:"trim,omitempty"`
	Scrub        *Scrub            `yaml:"scrub,omitempty"`
}

// UserVolumeConfig is a volume for workloads, mounted at /var/mnt/<name>.
type UserVolumeConfig struct {
	Name         string          `yaml:"name,omitempty"`
	VolumeType   string          `yaml:"volumeType,omitempty" enum:"directory|disk|partition"`
	Provisioning *Provisioning   `yaml:"provisioning,omitempty"`
	Filesystem   *UserFilesystem `yaml:"filesystem,omitempty"`
	Encryption   *Encryption     `yaml:"encryption,omitempty"`
	Mount        *UserMount      `yaml:"mount,omitempty"`
	Trim         *Trim           `yaml:"trim,omitempty"`
	Scrub        *Scrub          `yaml:"scrub,omitempty"`
}

// RawVolumeConfig is a partition without a file system.
type RawVolumeConfig struct {
	Name         string        `yaml:"name,omitempty"`
	Provisioning *Provisioning `yaml:"provisioning,omitempty"`
	Encryption   *Encryption   `yaml:"encryption,omitempty"`
}

// SwapVolumeConfig is a swap partition.
type SwapVolumeConfig struct {
	Name         string        `yaml:"name,omitempty"`
	Provisioning *Provisioning `yaml:"provisioning,omitempty"`
	Encryption   *Encryption   `yaml:"encryption,omitempty"`
}

// ExistingVolumeConfig mounts a volume that is there already.
type ExistingVolumeConfig struct {
	Name      string           `yaml:"name,omitempty"`
	Discovery *VolumeDiscovery `yaml:"discovery,omitempty"`
	Mount     *ExistingMount   `yaml:"mount,omitempty"`
	Trim      *Trim            `yaml:"trim,omitempty"`
	Scrub     *Scrub           `yaml:"scrub,omitempty"`
}

// ExternalVolumeConfig mounts a file system that another machine serves.
type ExternalVolumeConfig struct {
	Name           string         `yaml:"name,omitempty"`
	FilesystemType string         `yaml:"filesystemType,omitempty" enum:"virtiofs"`
	Mount          *ExternalMount `yaml:"mount,omitempty"`
}

// FilesystemScrubConfig checks file systems at intervals.
type FilesystemScrubConfig struct {
	Interval time.Duration `yaml:"interval,omitempty"`
}

// FilesystemTrimConfig discards unused blocks at intervals.
type FilesystemTrimConfig struct {
	Interval time.Duration `yaml:"interval,omitempty"`
}

// ZswapConfig compresses memory before it is swapped out.
type ZswapConfig struct {
	MaxPoolPercent  *int  `yaml:"maxPoolPercent,omitempty" min:"1" max:"100"`
	ShrinkerEnabled *bool `yaml:"shrinkerEnabled,omitempty"`
}

// Provisioning says where a volume is made and how big.
type Provisioning struct {
	DiskSelector *Match   `yaml:"diskSelector,omitempty"`
	Grow         *bool    `yaml:"grow,omitempty"`
	MinSize      ByteSize `yaml:"minSize,omitempty"`
	MaxSize      Size     `yaml:"maxSize,omitempty"`
}

// SystemFilesystem tunes the file system of a system volume.
type SystemFilesystem struct {
	XFS *XFS `yaml:"xfs,omitempty"`
}

// UserFilesystem is the file system of a user volume.
type UserFilesystem struct {
	Type                string `yaml:"type,omitempty" enum:"ext4|xfs|btrfs"` // default xfs
	ProjectQuotaSupport *bool  `yaml:"projectQuotaSupport,omitempty"`
	XFS                 *XFS   `yaml:"xfs,omitempty"`
}

// XFS tunes an XFS file system.
type XFS struct {
	MinAllocationGroupSize ByteSize `yaml:"minAllocationGroupSize,omitempty"`
}

// Encryption encrypts a volume.
type Encryption struct {
	Provider      string          `yaml:"provider,omitempty" enum:"luks2"`
	Keys          []EncryptionKey `yaml:"keys,omitempty" merge:"key=slot"`
	Cipher        string          `yaml:"cipher,omitempty" enum:"aes-xts-plain64|xchacha12,aes-adiantum-plain64|xchacha20,aes-adiantum-plain64"`
	KeySize       uint            `yaml:"keySize,omitempty"`   // bits
	BlockSize     uint64          `yaml:"blockSize,omitempty"` // bytes
	Options       []string        `yaml:"options,omitempty"`
	AllowDiscards *bool           `yaml:"allowDiscards,omitempty"`
}

// EncryptionKey is a key slot; exactly one of its sources is given.
type EncryptionKey struct {
	Slot        int                  `yaml:"slot"`
	Static      *EncryptionKeyStatic `yaml:"static,omitempty"`
	NodeID      *EncryptionKeyNodeID `yaml:"nodeID,omitempty"`
	KMS         *EncryptionKeyKMS    `yaml:"kms,omitempty"`
	TPM         *EncryptionKeyTPM    `yaml:"tpm,omitempty"`
	LockToState *bool                `yaml:"lockToState,omitempty"` // bound to the salt on STATE
}

// EncryptionKeyStatic is a passphrase.
type EncryptionKeyStatic struct {
	Passphrase string `yaml:"passphrase,omitempty" secret:"true"`
}

// EncryptionKeyNodeID derives the key from the machine's UUID and the label.
type EncryptionKeyNodeID struct{}

// EncryptionKeyKMS has the key sealed by a server.
type EncryptionKeyKMS struct {
	Endpoint string `yaml:"endpoint,omitempty"`
}

// EncryptionKeyTPM has the key sealed by the machine's TPM.
type EncryptionKeyTPM struct {
	Options                       *EncryptionKeyTPMOptions `yaml:"options,omitempty"`
	CheckSecurebootStatusOnEnroll *bool                    `yaml:"checkSecurebootStatusOnEnroll,omitempty"`
}

// EncryptionKeyTPMOptions chooses what the key is bound to.
type EncryptionKeyTPMOptions struct {
	PCRs []int `yaml:"pcrs,omitempty" merge:"replace" min:"0" max:"23"`
}

// SystemMount is how a system volume is mounted.
type SystemMount struct {
	Secure            *bool `yaml:"secure,omitempty"` // nosuid and nodev
	DisableAccessTime *bool `yaml:"disableAccessTime,omitempty"`
}

// UserMount is how a user volume is mounted.
type UserMount struct {
	DisableAccessTime *bool `yaml:"disableAccessTime,omitempty"`
	Secure            *bool `yaml:"secure,omitempty"`
}

// ExistingMount is how an existing volume is mounted.
type ExistingMount struct {
	ReadOnly          *bool `yaml:"readOnly,omitempty"`
	DisableAccessTime *bool `yaml:"disableAccessTime,omitempty"`
	Secure            *bool `yaml:"secure,omitempty"`
}

// ExternalMount is how an external volume is mounted.
type ExternalMount struct {
	ReadOnly          *bool     `yaml:"readOnly,omitempty"`
	DisableAccessTime *bool     `yaml:"disableAccessTime,omitempty"`
	Secure            *bool     `yaml:"secure,omitempty"`
	Virtiofs          *Virtiofs `yaml:"virtiofs,omitempty"`
}

// Virtiofs is a folder that the hypervisor shares.
type Virtiofs struct {
	Tag string `yaml:"tag,omitempty"`
}

// VolumeDiscovery finds a volume.
type VolumeDiscovery struct {
	VolumeSelector Match `yaml:"volumeSelector,omitempty"`
}

// Trim discards unused blocks of one volume.
type Trim struct {
	Enabled  *bool         `yaml:"enabled,omitempty"`
	Interval time.Duration `yaml:"interval,omitempty"`
}

// Scrub checks one volume.
type Scrub struct {
	Enabled  *bool         `yaml:"enabled,omitempty"`
	Interval time.Duration `yaml:"interval,omitempty"`
}

// LVMVolumeGroupConfig is an LVM volume group.
type LVMVolumeGroupConfig struct {
	Name         string              `yaml:"name,omitempty"`
	Provisioning *DevicesBySelection `yaml:"provisioning,omitempty"`
}

// LVMLogicalVolumeConfig is an LVM logical volume.
type LVMLogicalVolumeConfig struct {
	Name         string           `yaml:"name,omitempty"`
	Type         string           `yaml:"type,omitempty" enum:"linear|raid0|raid1|raid10"`
	Mirrors      uint32           `yaml:"mirrors,omitempty"`
	Stripes      uint32           `yaml:"stripes,omitempty"`
	Provisioning *LVMProvisioning `yaml:"provisioning,omitempty"`
}

// LVMProvisioning says in which group a logical volume is made and how big.
type LVMProvisioning struct {
	VolumeGroup string   `yaml:"volumeGroup,omitempty"`
	MinSize     ByteSize `yaml:"minSize,omitempty"`
	MaxSize     Size     `yaml:"maxSize,omitempty"`
}

// RAIDArrayConfig is a software RAID array.
type RAIDArrayConfig struct {
	Name         string              `yaml:"name,omitempty"`
	Level        string              `yaml:"level,omitempty" enum:"raid1"`
	Metadata     string              `yaml:"metadata,omitempty" enum:"1.0|1.2"`
	Provisioning *DevicesBySelection `yaml:"provisioning,omitempty"`
}

// DevicesBySelection is made of the devices that an expression selects.
type DevicesBySelection struct {
	VolumeSelector Match `yaml:"volumeSelector,omitempty"`
}
