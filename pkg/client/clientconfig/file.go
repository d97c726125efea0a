package clientconfig

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// Environment variables that name the file. The first that is set counts.
const (
	EnvBasalt = "BASALTCONFIG"
	EnvTalos  = "TALOSCONFIG"
)

// inClusterPath is where pods with access to the API find their file.
const inClusterPath = "/var/run/secrets/talos.dev/config"

// maxSize bounds a configuration file, in bytes.
const maxSize = 16 << 20

// Paths returns the places where the file is looked for, best first: what the
// environment names, else the user's own and the reference client's file in
// the home folder, and the one that pods get.
func Paths() ([]string, error) {
	for _, env := range []string{EnvBasalt, EnvTalos} {
		if path := os.Getenv(env); path != "" {
			return []string{path}, nil
		}
	}

	home, err := os.UserHomeDir()
	if err != nil {
		return nil, fmt.Errorf("looking for the client configuration: %w", err)
	}

	return []string{
		filepath.Join(home, ".basalt", "config"),
		filepath.Join(home, ".talos", "config"),
		inClusterPath,
	}, nil
}

// Locate returns the path of the first file of Paths that exists, and when none
// does the first that could be made.
func Locate() (string, error) {
	paths, err := Paths()
	if err != nil {
		return "", err
	}

	for _, path := range paths {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}

	return paths[0], nil
}

// Load reads the file at the path, or where [Locate] says when the path is
// empty. A file that does not exist is an error that wraps fs.ErrNotExist.
func Load(path string) (*Config, error) {
	path, err := orLocated(path)
	if err != nil {
		return nil, err
	}

	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("reading client configuration: %w", err)
	}

	if info.Size() > maxSize {
		return nil, fmt.Errorf("reading client configuration: %s has %d bytes, more than %d", path, info.Size(), maxSize)
	}

	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading client configuration: %w", err)
	}

	config, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}

	return config, nil
}

// LoadOrNew is Load, with an empty configuration for a file that does not exist.
func LoadOrNew(path string) (*Config, error) {
	config, err := Load(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Parse(nil)
	}

	return config, err
}

// Save writes the file at the path, or where [Locate] says when the path is
// empty. Readers see the old file or the new one, never a part; nobody but the
// user may read it.
func (c *Config) Save(path string) error {
	path, err := orLocated(path)
	if err != nil {
		return err
	}

	data, err := c.Bytes()
	if err != nil {
		return err
	}

	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("writing client configuration: %w", err)
	}

	// A link stays a link: what it points to is replaced.
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}

	if err := replace(path, data); err != nil {
		return fmt.Errorf("writing client configuration: %w", err)
	}

	return nil
}

// replace writes a private file beside the old one, whatever the mode of that
// was, and renames it.
func replace(path string, data []byte) error {
	file, err := renameio.NewPendingFile(path, renameio.WithStaticPermissions(0o600))
	if err != nil {
		return err
	}

	_, err = file.Write(data)
	if err == nil {
		err = file.CloseAtomicallyReplace()
	}

	return errors.Join(err, file.Cleanup())
}

func orLocated(path string) (string, error) {
	if path != "" {
		return path, nil
	}

	return Locate()
}
