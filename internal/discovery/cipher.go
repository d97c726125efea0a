package discovery

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"net/netip"

	"google.golang.org/protobuf/proto"

	plain "github.com/basalt-os/basalt/api/discovery/affiliate"
)

// KeySize is the size of a cluster's secret in bytes.
const KeySize = 32

// sealer encrypts what the service must not read.
type sealer struct {
	block cipher.Block
	aead  cipher.AEAD
}

func newSealer(key []byte) (*sealer, error) {
	if len(key) != KeySize {
		return nil, fmt.Errorf("the cluster's secret has %d bytes, want %d", len(key), KeySize)
	}

	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("preparing cipher: %w", err)
	}

	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("preparing cipher: %w", err)
	}

	return &sealer{block: block, aead: aead}, nil
}

// seal encrypts an affiliate: a random nonce of 12 bytes, and what AES-GCM makes
// of it.
func (s *sealer) seal(affiliate *plain.Affiliate) ([]byte, error) {
	data, err := proto.Marshal(affiliate)
	if err != nil {
		return nil, fmt.Errorf("encoding affiliate: %w", err)
	}

	return s.aead.Seal(nil, nil, data, nil), nil
}

// open is the inverse of seal.
func (s *sealer) open(sealed []byte) (*plain.Affiliate, error) {
	data, err := s.aead.Open(nil, nil, sealed, nil)
	if err != nil {
		return nil, fmt.Errorf("decrypting affiliate: %w", err)
	}

	affiliate := &plain.Affiliate{}
	if err := proto.Unmarshal(data, affiliate); err != nil {
		return nil, fmt.Errorf("decoding affiliate: %w", err)
	}

	return affiliate, nil
}

// sealEndpoint encrypts an endpoint block by block: its length in a byte, the
// encoded endpoint, and zeros. Equal endpoints have equal ciphertexts, so that
// the service, which cannot read them, sees that they are equal.
func (s *sealer) sealEndpoint(endpoint netip.AddrPort) ([]byte, error) {
	address, err := endpoint.Addr().MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("encoding endpoint: %w", err)
	}

	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(&plain.Endpoint{Ip: address, Port: uint32(endpoint.Port())})
	if err != nil {
		return nil, fmt.Errorf("encoding endpoint: %w", err)
	}

	sealed := append([]byte{byte(len(data))}, data...)
	if rest := len(sealed) % aes.BlockSize; rest != 0 {
		sealed = append(sealed, make([]byte, aes.BlockSize-rest)...)
	}

	if len(sealed) > maxEndpoint {
		return nil, fmt.Errorf("encoding endpoint %s: it is too long", endpoint)
	}

	for at := 0; at < len(sealed); at += aes.BlockSize {
		s.block.Encrypt(sealed[at:], sealed[at:])
	}

	return sealed, nil
}

// openEndpoint is the inverse of sealEndpoint.
func (s *sealer) openEndpoint(sealed []byte) (netip.AddrPort, error) {
	if len(sealed) == 0 || len(sealed)%aes.BlockSize != 0 {
		return netip.AddrPort{}, errors.New("decrypting endpoint: it is not made of whole blocks")
	}

	data := make([]byte, len(sealed))
	for at := 0; at < len(sealed); at += aes.BlockSize {
		s.block.Decrypt(data[at:], sealed[at:])
	}

	length := int(data[0])
	if length > len(data)-1 {
		return netip.AddrPort{}, errors.New("decrypting endpoint: it says that it is longer than it is")
	}

	endpoint := &plain.Endpoint{}
	if err := proto.Unmarshal(data[1:1+length], endpoint); err != nil {
		return netip.AddrPort{}, fmt.Errorf("decoding endpoint: %w", err)
	}

	var address netip.Addr
	if err := address.UnmarshalBinary(endpoint.GetIp()); err != nil {
		return netip.AddrPort{}, fmt.Errorf("decoding endpoint: %w", err)
	}

	if !address.IsValid() || endpoint.GetPort() > 65535 {
		return netip.AddrPort{}, errors.New("decoding endpoint: it has no valid address and port")
	}

	return netip.AddrPortFrom(address, uint16(endpoint.GetPort())), nil
}
