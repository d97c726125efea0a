package block

import (
	"github.com/basalt-os/basalt/internal/resources/enum"
)

// EncryptionSpec says how a volume is encrypted.
type EncryptionSpec struct {
	Provider      EncryptionProviderType `yaml:"provider" protobuf:"1"`
	Keys          []EncryptionKey        `yaml:"keys" protobuf:"2"`
	Cipher        string                 `yaml:"cipher,omitempty" protobuf:"3"`
	KeySize       uint                   `yaml:"keySize,omitempty" protobuf:"4"`
	BlockSize     uint64                 `yaml:"blockSize,omitempty" protobuf:"5"`
	PerfOptions   []string               `yaml:"perfOptions,omitempty" protobuf:"6"`
	AllowDiscards bool                   `yaml:"allowDiscards,omitempty" protobuf:"7"`
}

// EncryptionKey is one key slot of an encrypted volume.
type EncryptionKey struct {
	Slot                             int               `yaml:"slot" protobuf:"1"`
	Type                             EncryptionKeyType `yaml:"type" protobuf:"2"`
	LockToSTATE                      bool              `yaml:"lockToState,omitempty" protobuf:"6"`
	StaticPassphrase                 string            `yaml:"staticPassphrase,omitempty" protobuf:"3,bytes"`
	KMSEndpoint                      string            `yaml:"kmsEndpoint,omitempty" protobuf:"4"`
	TPMCheckSecurebootStatusOnEnroll bool              `yaml:"tpmCheckSecurebootStatusOnEnroll,omitempty" protobuf:"5"`
	TPMPCRs                          []int             `yaml:"pcrs,omitempty" protobuf:"7"`
	TPMPubKeyPCRs                    []int             `yaml:"pubKeyPcrs,omitempty" protobuf:"8"`
}

// TPMEncryptionOptionsInfo names the PCRs that a TPM key slot is bound to.
type TPMEncryptionOptionsInfo struct {
	PCRs       []int `yaml:"pcrs,omitempty" protobuf:"1"`
	PubKeyPCRs []int `yaml:"pubKeyPcrs,omitempty" protobuf:"2"`
}

// EncryptionKeyType is where the key of a slot comes from.
type EncryptionKeyType int

// Values of EncryptionKeyType.
const (
	EncryptionKeyTypeStatic EncryptionKeyType = 0
	EncryptionKeyTypeNodeID EncryptionKeyType = 1
	EncryptionKeyTypeKMS    EncryptionKeyType = 2
	EncryptionKeyTypeTPM    EncryptionKeyType = 3
)

var encryptionKeyTypeNames = enum.Names[EncryptionKeyType]{
	EncryptionKeyTypeStatic: "static",
	EncryptionKeyTypeNodeID: "nodeID",
	EncryptionKeyTypeKMS:    "kms",
	EncryptionKeyTypeTPM:    "tpm",
}

// String returns the text form.
func (e EncryptionKeyType) String() string { return encryptionKeyTypeNames.Text(e) }

// MarshalText implements encoding.TextMarshaler.
func (e EncryptionKeyType) MarshalText() ([]byte, error) {
	return encryptionKeyTypeNames.MarshalText(e)
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (e *EncryptionKeyType) UnmarshalText(text []byte) error {
	return encryptionKeyTypeNames.UnmarshalText(text, e)
}
