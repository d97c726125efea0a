package secrets

import (
	"crypto/rand"
	"encoding/base64"
	"regexp"
)

// tokenForm is the form of bootstrap tokens, which machine tokens share.
var tokenForm = regexp.MustCompile(`^[a-z0-9]{6}\.[a-z0-9]{16}$`)

// NewToken makes a random token of the form abcdef.0123456789abcdef.
func NewToken() string { return randomText(6) + "." + randomText(16) }

// ValidToken reports whether a token has the form abcdef.0123456789abcdef.
func ValidToken(token string) bool { return tokenForm.MatchString(token) }

// randomText is n characters of a-z and 0-9, evenly distributed.
func randomText(n int) string {
	const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"

	const limit = 256 / len(alphabet) * len(alphabet) // above it, a byte would favour some letters

	text := make([]byte, 0, n)

	for buf := make([]byte, 2*n); len(text) < n; {
		rand.Read(buf) //nolint:errcheck // documented never to return an error

		for _, b := range buf {
			if int(b) < limit && len(text) < n {
				text = append(text, alphabet[int(b)%len(alphabet)])
			}
		}
	}

	return string(text)
}

// newSecret is base64 of 32 random bytes.
func newSecret() string {
	var secret [32]byte

	rand.Read(secret[:]) //nolint:errcheck // documented never to return an error

	return base64.StdEncoding.EncodeToString(secret[:])
}
