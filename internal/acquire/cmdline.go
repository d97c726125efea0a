package acquire

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// maxInline bounds a configuration from the kernel's command line after it was
// decompressed.
const maxInline = 8 << 20

// zstdMagic begins every zstd frame (RFC 8878, section 3.1.1).
var zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}

// DecodeInline decodes a configuration as the kernel's command line carries it:
// base64, of the text or of the text compressed by zstd. Several values, of
// arguments that repeat, are one text that was cut into pieces.
func DecodeInline(values ...string) ([]byte, error) {
	text := strings.Join(values, "")
	if text == "" {
		return nil, nil
	}

	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		// Padding is easily lost, and some encode for URLs.
		text = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
		if data, err = base64.RawStdEncoding.DecodeString(text); err != nil {
			return nil, fmt.Errorf("decoding base64: %w", err)
		}
	}

	if !bytes.HasPrefix(data, zstdMagic) {
		return data, nil
	}

	decoder, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxInline), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("decompressing: %w", err)
	}
	defer decoder.Close()

	data, err = decoder.DecodeAll(data, nil)
	if err != nil {
		return nil, fmt.Errorf("decompressing: %w", err)
	}

	return data, nil
}
