package acquire

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// Store keeps the machine configuration in a folder, as config.yaml, which is
// the wire's name for it. Each file ends with a comment that has the digest of
// everything above, so that one that was torn is told from a short one; a file
// without that comment is taken as it is. The one before stays as
// config.previous.yaml and takes over when the newer cannot be used.
type Store struct{ Dir string }

const (
	currentFile  = "config.yaml"
	previousFile = "config.previous.yaml"
	brokenFile   = "config.broken.yaml"
	digestPrefix = "# sha256:"
)

// ErrTorn says that a stored configuration is not what was written.
var ErrTorn = errors.New("the stored configuration is torn")

// Save replaces the configuration. At every moment there is a whole one.
func (s Store) Save(text []byte) error {
	current := filepath.Join(s.Dir, currentFile)

	if kept, err := os.ReadFile(current); err == nil {
		if _, err := unseal(kept); err == nil {
			if err := renameio.WriteFile(filepath.Join(s.Dir, previousFile), kept, 0o600); err != nil {
				return fmt.Errorf("keeping the previous machine config: %w", err)
			}
		}
	}

	if err := renameio.WriteFile(current, seal(text), 0o600); err != nil {
		return fmt.Errorf("writing machine config to STATE: %w", err)
	}

	return syncDir(s.Dir)
}

// Load returns the configuration; nil when there is none. The error tells of a
// newer one that could not be used, and there may be a text all the same: the
// one before. What could not be used is kept as config.broken.yaml.
func (s Store) Load() ([]byte, error) {
	text, err := s.read(currentFile)
	if err == nil || !errors.Is(err, ErrTorn) {
		return text, err
	}

	broken := filepath.Join(s.Dir, brokenFile)
	if moveErr := os.Rename(filepath.Join(s.Dir, currentFile), broken); moveErr != nil {
		err = errors.Join(err, moveErr)
	}

	previous, previousErr := s.read(previousFile)

	return previous, errors.Join(err, previousErr)
}

// Remove forgets the configuration.
func (s Store) Remove() error {
	var errs []error

	for _, name := range []string{currentFile, previousFile, brokenFile} {
		if err := os.Remove(filepath.Join(s.Dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}

	return errors.Join(append(errs, syncDir(s.Dir))...)
}

func (s Store) read(name string) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(s.Dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}

	if err != nil {
		return nil, err
	}

	return unseal(data)
}

// seal adds the digest.
func seal(text []byte) []byte {
	sum := sha256.Sum256(text)
	out := bytes.Clone(text)

	if len(out) > 0 && out[len(out)-1] != '\n' {
		out = append(out, '\n')
		sum = sha256.Sum256(out)
	}

	return fmt.Appendf(out, "%s%s\n", digestPrefix, hex.EncodeToString(sum[:]))
}

// unseal checks the digest and takes it away.
func unseal(data []byte) ([]byte, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, fmt.Errorf("%w: it is empty", ErrTorn)
	}

	if bytes.IndexByte(data, 0) >= 0 {
		return nil, fmt.Errorf("%w: it has zeros", ErrTorn)
	}

	begin := bytes.LastIndexByte(bytes.TrimSuffix(data, []byte("\n")), '\n') + 1

	digest, ok := bytes.CutPrefix(bytes.TrimSpace(data[begin:]), []byte(digestPrefix))
	if !ok {
		return data, nil
	}

	sum := sha256.Sum256(data[:begin])
	if hex.EncodeToString(sum[:]) != string(digest) {
		return nil, fmt.Errorf("%w: its digest is not what its last line says", ErrTorn)
	}

	return data[:begin], nil
}

func syncDir(name string) error {
	dir, err := os.Open(name)
	if err != nil {
		return err
	}
	defer dir.Close()

	return dir.Sync()
}
