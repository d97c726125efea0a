// Package pki holds the forms in which resources carry certificates and keys.
package pki

import (
	"encoding/base64"
	"fmt"
)

// PEM is data in PEM form. Its text form is base64.
type PEM []byte

// MarshalText implements encoding.TextMarshaler.
func (p PEM) MarshalText() ([]byte, error) {
	return base64.StdEncoding.AppendEncode(nil, p), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *PEM) UnmarshalText(text []byte) error {
	data, err := base64.StdEncoding.AppendDecode(nil, text)
	if err != nil {
		return fmt.Errorf("decoding base64: %w", err)
	}

	*p = data

	return nil
}

// CertificateAndKey is a certificate and its private key.
type CertificateAndKey struct {
	Crt PEM `yaml:"crt" protobuf:"1"`
	Key PEM `yaml:"key" protobuf:"2"`
}

// Certificate is a certificate, or several after one another.
type Certificate struct {
	Crt PEM `yaml:"crt" protobuf:"1"`
}

// Key is a private key.
type Key struct {
	Key PEM `yaml:"key" protobuf:"1"`
}
