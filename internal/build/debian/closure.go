package debian

import (
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/basalt-os/basalt/internal/build/tree"
)

// Pool is a set of unpacked packages by name.
type Pool map[string]string

// Programs is the tree of the programs, given by their paths, with the loader
// and every library that they need and nothing else of their packages. Files
// lie under /usr; the caller's tree has the links /lib, /lib64, /bin and /sbin.
// The setuid bit that some programs have in their package is not kept.
func (p Pool) Programs(programs ...string) (*tree.Tree, error) {
	result := tree.New()
	seen := map[string]bool{}
	pending := programs

	for len(pending) > 0 {
		name := pending[0]
		pending = pending[1:]

		if seen[name] {
			continue
		}

		seen[name] = true

		found, source, err := p.find(name)
		if err != nil {
			return nil, err
		}

		if err := addFile(result, merged(found), source); err != nil {
			return nil, err
		}

		needs, err := dependencies(source)
		if err != nil {
			return nil, fmt.Errorf("reading what %s needs: %w", name, err)
		}

		pending = append(pending, needs...)
	}

	return result, result.Err()
}

// merged moves a path of the old layout under /usr.
func merged(name string) string {
	if strings.HasPrefix(name, "/usr/") {
		return name
	}

	return "/usr" + name
}

// Find returns the file that has this path in one of the packages, with links
// resolved. A path that none has is [fs.ErrNotExist].
func (p Pool) Find(name string) (string, error) {
	_, source, err := p.find(name)

	return source, err
}

// find looks for a path, or for a library by its bare name, in all packages.
func (p Pool) find(name string) (found, source string, err error) {
	candidates := []string{name, merged(name), strings.TrimPrefix(name, "/usr")}

	if !strings.Contains(name, "/") {
		candidates = nil

		for _, dir := range []string{"/lib/*-linux-gnu", "/usr/lib/*-linux-gnu"} {
			candidates = append(candidates, dir+"/"+name)
		}
	}

	for _, candidate := range candidates {
		for _, dir := range p {
			matches, err := filepath.Glob(filepath.Join(dir, candidate))
			if err != nil {
				return "", "", err
			}

			if len(matches) == 0 {
				continue
			}

			// A library's link points beside itself, the loader's to the
			// library folder of the same package.
			source, err := filepath.EvalSymlinks(matches[0])
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}

			return strings.TrimPrefix(matches[0], dir), source, err
		}
	}

	return "", "", fmt.Errorf("%w: none of the packages has %s", fs.ErrNotExist, path.Base(name))
}

// dependencies are the loader's path and the names of the libraries of an ELF
// file.
func dependencies(name string) ([]string, error) {
	file, err := elf.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()

	needs, err := file.ImportedLibraries()
	if err != nil {
		return nil, err
	}

	// The loader names itself as a library of libc; its path is enough.
	needs = without(needs, "ld-linux")

	for _, program := range file.Progs {
		if program.Type != elf.PT_INTERP {
			continue
		}

		data := make([]byte, program.Filesz)
		if _, err := program.ReadAt(data, 0); err != nil {
			return nil, err
		}

		needs = append(needs, strings.TrimRight(string(data), "\x00"))
	}

	return needs, nil
}

func without(names []string, prefix string) []string {
	var kept []string

	for _, name := range names {
		if !strings.HasPrefix(name, prefix) {
			kept = append(kept, name)
		}
	}

	return kept
}

func addFile(t *tree.Tree, name, source string) error {
	data, err := os.ReadFile(source)
	if err != nil {
		return err
	}

	sum := sha256.Sum256(data)
	t.File(name, 0o755, source, hex.EncodeToString(sum[:]), int64(len(data)))

	return nil
}

// Certificates is the bundle of the authorities in an unpacked ca-certificates
// package, in the order of their files' names.
func Certificates(dir string) (string, error) {
	names, err := filepath.Glob(filepath.Join(dir, "usr/share/ca-certificates/mozilla/*.crt"))
	if err != nil || len(names) == 0 {
		return "", fmt.Errorf("collecting CA certificates: the package has none")
	}

	var bundle strings.Builder

	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			return "", fmt.Errorf("collecting CA certificates: %w", err)
		}

		bundle.Write(data)
	}

	return bundle.String(), nil
}
