// Package debian takes files out of Debian packages: the few programs of a node
// that are not written in Go. Packages come through the machine's own apt, from
// the sources that it is configured with, checked against the digests in the
// signed package lists. Nothing is installed and no privilege is needed.
package debian

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Package is a package in the version that apt would install.
type Package struct {
	Name         string
	Version      string
	Architecture string
	Source       string // source package; Name when they are the same
	SHA256       string // of the .deb file, hexadecimal
	Depends      string // as the package says it
}

// ErrNoApt says that this machine has no apt: it is not a Debian.
var ErrNoApt = errors.New("apt-get, apt-cache and dpkg-deb are not on this machine")

// ErrUnknownPackage says that apt's lists do not have a package.
var ErrUnknownPackage = errors.New("apt does not know the package")

// Apt runs apt. The zero value uses the machine's package lists; State is a
// folder for lists of its own, which Update fills. Sources is a folder with
// sources to use instead of the machine's.
type Apt struct {
	State   string
	Sources string
}

// Check returns ErrNoApt when the programs are missing.
func Check() error {
	for _, name := range []string{"apt-get", "apt-cache", "dpkg-deb"} {
		if _, err := exec.LookPath(name); err != nil {
			return ErrNoApt
		}
	}

	return nil
}

// options make apt keep its state in our folder, so that lists can be fetched
// without being root. Sources and keys stay the machine's.
func (a Apt) options() []string {
	if a.State == "" {
		return nil
	}

	options := []string{
		"-o", "Dir::State::lists=" + filepath.Join(a.State, "lists"),
		"-o", "Dir::Cache=" + filepath.Join(a.State, "cache"),
		// Without these files, which some machines switch off, each call takes
		// seconds.
		"-o", "Dir::Cache::pkgcache=pkgcache.bin",
		"-o", "Dir::Cache::srcpkgcache=srcpkgcache.bin",
		"-o", "APT::Sandbox::User=",
	}

	if a.Sources != "" {
		options = append(options, "-o", "Dir::Etc::sourcelist=/dev/null", "-o", "Dir::Etc::sourceparts="+a.Sources)
	}

	return options
}

// Update fetches the package lists into State.
func (a Apt) Update(ctx context.Context) error {
	for _, sub := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(a.State, sub), 0o755); err != nil {
			return fmt.Errorf("fetching Debian's package lists: %w", err)
		}
	}

	if _, err := a.run(ctx, "", "apt-get", append(a.options(), "-q", "update")...); err != nil {
		return fmt.Errorf("fetching Debian's package lists: %w", err)
	}

	if err := os.WriteFile(filepath.Join(a.State, updatedFile), nil, 0o644); err != nil {
		return fmt.Errorf("fetching Debian's package lists: %w", err)
	}

	return nil
}

// Install installs packages on this machine, which needs root.
func (a Apt) Install(ctx context.Context, names ...string) error {
	args := append([]string{"-q", "-y", "--no-install-recommends", "install"}, names...)

	_, err := a.run(ctx, "", "apt-get", args...)
	if errors.Is(err, ErrUnknownPackage) {
		if _, err := a.run(ctx, "", "apt-get", "-q", "update"); err != nil {
			return fmt.Errorf("fetching Debian's package lists: %w", err)
		}

		_, err = a.run(ctx, "", "apt-get", args...)
	}

	if err != nil {
		return fmt.Errorf("installing %s: %w", strings.Join(names, " "), err)
	}

	return nil
}

// Resolve finds the packages by name, in the order of the names.
func (a Apt) Resolve(ctx context.Context, names ...string) ([]Package, error) {
	out, err := a.run(ctx, "", "apt-cache", append(append(a.options(), "show", "--no-all-versions"), names...)...)
	if err != nil && !errors.Is(err, ErrUnknownPackage) {
		return nil, fmt.Errorf("looking up Debian packages: %w", err)
	}

	found := parseControl(out)

	packages := make([]Package, 0, len(names))

	for _, name := range names {
		i := slices.IndexFunc(found, func(p Package) bool { return p.Name == name })
		if i < 0 || found[i].SHA256 == "" {
			return nil, fmt.Errorf("%w %s", ErrUnknownPackage, name)
		}

		packages = append(packages, found[i])
	}

	return packages, nil
}

// parseControl reads the paragraphs of apt-cache's answer.
func parseControl(data []byte) []Package {
	var (
		packages []Package
		current  Package
	)

	flush := func() {
		if current.Name != "" {
			if current.Source == "" {
				current.Source = current.Name
			}

			packages = append(packages, current)
		}

		current = Package{}
	}

	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<20)

	for lines.Scan() {
		line := lines.Text()
		if line == "" {
			flush()

			continue
		}

		key, value, _ := strings.Cut(line, ": ")

		switch key {
		case "Package":
			current.Name = value
		case "Version":
			current.Version = value
		case "Architecture":
			current.Architecture = value
		case "Source":
			current.Source, _, _ = strings.Cut(value, " ")
		case "SHA256":
			current.SHA256 = value
		case "Depends":
			current.Depends = value
		}
	}

	flush()

	return packages
}

// Download fetches packages into dir and returns their files by name, checked.
func (a Apt) Download(ctx context.Context, dir string, packages ...Package) (map[string]string, error) {
	args := append(a.options(), "-q", "download")
	for _, p := range packages {
		args = append(args, p.Name+"="+p.Version)
	}

	if _, err := a.run(ctx, dir, "apt-get", args...); err != nil {
		return nil, fmt.Errorf("downloading Debian packages: %w", err)
	}

	files := map[string]string{}

	for _, p := range packages {
		found, err := filepath.Glob(filepath.Join(dir, p.Name+"_*.deb"))
		if err != nil || len(found) != 1 {
			return nil, fmt.Errorf("downloading the Debian package %s: found %d files", p.Name, len(found))
		}

		if err := verify(found[0], p.SHA256); err != nil {
			return nil, fmt.Errorf("checking the Debian package %s: %w", p.Name, err)
		}

		files[p.Name] = found[0]
	}

	return files, nil
}

// Unpack puts the files of a package, which is in the file deb, into dir.
func (a Apt) Unpack(ctx context.Context, deb, dir string) error {
	if _, err := a.run(ctx, dir, "dpkg-deb", "--extract", deb, dir); err != nil {
		return fmt.Errorf("unpacking the Debian package %s: %w", filepath.Base(deb), err)
	}

	return nil
}

func verify(name, want string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()

	hash := sha256.New()

	if _, err := io.Copy(hash, file); err != nil {
		return err
	}

	if got := hex.EncodeToString(hash.Sum(nil)); got != want {
		return fmt.Errorf("its digest is %s, the package list says %s", got, want)
	}

	return nil
}

// run starts a program and returns what it printed; its complaints are in the
// error.
func (a Apt) run(ctx context.Context, dir, name string, args ...string) ([]byte, error) {
	var stderr bytes.Buffer

	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Stderr = &stderr
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")

	out, err := cmd.Output()

	switch {
	case err == nil:
		return out, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, exec.ErrNotFound):
		return nil, ErrNoApt
	case strings.Contains(stderr.String(), "Unable to locate package"), strings.Contains(stderr.String(), "No packages found"),
		strings.Contains(stderr.String(), "has no installation candidate"):
		return out, fmt.Errorf("%w: %s", ErrUnknownPackage, strings.TrimSpace(stderr.String()))
	default:
		return out, fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(stderr.String()))
	}
}
