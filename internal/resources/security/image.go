package security

import (
	"time"

	"github.com/basalt-os/basalt/internal/resource"
)

// ImageVerificationRule says how images whose name matches are verified.
type ImageVerificationRule struct {
	ImagePattern      string                      `yaml:"imagePattern,omitempty" protobuf:"2"`
	Skip              bool                        `yaml:"skip" protobuf:"3"`
	Deny              bool                        `yaml:"deny" protobuf:"4"`
	KeylessVerifier   *ImageKeylessVerifierSpec   `yaml:"keylessVerifier,omitempty" protobuf:"5"`
	PublicKeyVerifier *ImagePublicKeyVerifierSpec `yaml:"publicKeyVerifier,omitempty" protobuf:"6"`
}

// Definition implements resource.Spec.
func (ImageVerificationRule) Definition() resource.Definition {
	return resource.Definition{
		Type:        "ImageVerificationRules.security.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "ImageVerificationRule",
		Columns: []resource.Column{
			{Name: "Pattern", JSONPath: "{.imagePattern}"},
			{Name: "Skip", JSONPath: "{.skip}"},
			{Name: "Deny", JSONPath: "{.deny}"},
		},
	}
}

// ImageKeylessVerifierSpec accepts signatures by an identity of an issuer.
type ImageKeylessVerifierSpec struct {
	Issuer       string `yaml:"issuer" protobuf:"1"`
	Subject      string `yaml:"subject,omitempty" protobuf:"2"`
	SubjectRegex string `yaml:"subjectRegex,omitempty" protobuf:"3"`
}

// ImagePublicKeyVerifierSpec accepts signatures by a key.
type ImagePublicKeyVerifierSpec struct {
	Certificate string `yaml:"certificate" protobuf:"1"`
}

// TUFTrustedRoot is the trusted root of the signature log.
type TUFTrustedRoot struct {
	LastRefreshTime time.Time `yaml:"lastRefreshTime,omitempty" protobuf:"1"`
	JSONData        string    `yaml:"jsonData,omitempty" protobuf:"2"`
}

// Definition implements resource.Spec.
func (TUFTrustedRoot) Definition() resource.Definition {
	return resource.Definition{
		Type:        "TUFTrustedRoots.security.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "TUFTrustedRoot",
		Columns: []resource.Column{
			{Name: "Last Refresh", JSONPath: "{.lastRefreshTime}"},
		},
	}
}
