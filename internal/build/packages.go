package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/basalt-os/basalt/internal/build/cache"
	"github.com/basalt-os/basalt/internal/build/debian"
)

// machineSuite is the release of Debian that kernel, boot loaders and the tools
// for them come from. The machine that builds may run another.
const machineSuite = "trixie"

// Debian packages that programs are taken from, with those of their libraries.
var (
	nftPackages = []string{
		"nftables", "libnftables1", "libnftnl11", "libmnl0", "libjansson4", "libgmp10", "libedit2", "libtinfo6",
		"libbsd0", "libmd0", "libxtables12", "libc6",
	}
	mountPackages = []string{"mount", "libmount1", "libblkid1", "libselinux1", "libpcre2-8-0", "libc6"}
	// kubectl cp needs it in the container.
	tarPackages = []string{"tar", "libacl1", "libselinux1", "libpcre2-8-0", "libc6"}
	// Only machines make file systems.
	mkfsPackages = []string{
		"xfsprogs", "libinih1", "liburcu8", "e2fsprogs", "libext2fs2", "libcom-err2", "libblkid1", "libuuid1", "libc6",
	}
)

// suite is packages of one release of Debian.
type suite struct {
	apt      debian.Apt
	packages map[string]debian.Package
}

// add looks packages up.
func (s *suite) add(ctx context.Context, names ...string) error {
	found, err := s.apt.Resolve(ctx, names...)
	if err != nil {
		return err
	}

	s.keep(found)

	return nil
}

func (s *suite) keep(found []debian.Package) {
	if s.packages == nil {
		s.packages = map[string]debian.Package{}
	}

	for _, p := range found {
		s.packages[p.Name] = p
	}
}

// closure looks packages up, with all that they depend on, and returns the names
// of all.
func (s *suite) closure(ctx context.Context, names ...string) ([]string, error) {
	found, err := s.apt.Closure(ctx, names...)
	if err != nil {
		return nil, err
	}

	s.keep(found)

	all := make([]string, 0, len(found))
	for _, p := range found {
		all = append(all, p.Name)
	}

	return all, nil
}

// resolvePackages asks apt once for all packages of the build.
func (b *builder) resolvePackages(ctx context.Context, list []component) error {
	names := slices.Concat(nftPackages, mountPackages, tarPackages, []string{"ca-certificates"})
	if len(b.kernels) > 0 {
		names = append(names, mkfsPackages...)
	}

	for _, c := range list {
		names = append(names, c.headers...)
	}

	slices.Sort(names)
	names = slices.Compact(names)

	if err := debian.Check(); err != nil {
		return err
	}

	err := b.host.add(ctx, names...)
	if errors.Is(err, debian.ErrUnknownPackage) {
		// A machine that never ran apt-get update has no lists.
		b.host.apt.State = filepath.Join(b.cache.Dir(), "apt")
		err = b.timed("Debian's package lists", func(func()) error { return b.host.apt.Update(ctx) }, nil)

		if err == nil {
			err = b.host.add(ctx, names...)
		}
	}

	return err
}

// openMachineSuite prepares the packages of machineSuite. One build at a time
// fetches lists; old ones are good enough when new ones cannot be fetched.
func (b *builder) openMachineSuite(ctx context.Context) error {
	dir := filepath.Join(b.cache.Dir(), "apt-"+machineSuite)

	unlock, err := cache.Lock(ctx, filepath.Join(b.cache.Dir(), "locks", "apt-"+machineSuite))
	if err != nil {
		return err
	}
	defer unlock()

	apt, err := debian.Suite(dir, machineSuite, "main", "non-free-firmware")
	if err != nil {
		return err
	}

	b.machine = &suite{apt: apt}

	exist, fresh := apt.Fresh(time.Now())
	if fresh {
		return nil
	}

	err = b.timed("Debian's package lists of "+machineSuite, func(func()) error { return apt.Update(ctx) }, nil)
	if err != nil && exist && ctx.Err() == nil {
		b.display.Printf("using the package lists of before: %v", err)

		return nil
	}

	return err
}

// unpack returns the folder of an unpacked Debian package, which the suite knows.
func (b *builder) unpack(ctx context.Context, s *suite, name string) (string, error) {
	pool, err := b.pool(ctx, s, []string{name})

	return pool[name], err
}

// pool unpacks several packages. Those that the cache does not have are fetched
// together: starting apt takes longer than most downloads.
func (b *builder) pool(ctx context.Context, s *suite, names []string) (debian.Pool, error) {
	pool := debian.Pool{}

	var missing []debian.Package

	for _, name := range names {
		p, ok := s.packages[name]
		if !ok {
			return nil, explain(name, fmt.Errorf("%w %s", debian.ErrUnknownPackage, name))
		}

		if pool[name], ok = b.cache.Lookup("debian-"+name, packageKey(p)); !ok {
			missing = append(missing, p)
		}
	}

	if len(missing) == 0 {
		return pool, nil
	}

	label := fmt.Sprintf("%d debian packages", len(missing))
	if len(missing) == 1 {
		label = "debian package " + missing[0].Name + " " + missing[0].Version
	}

	err := b.timed(label, func(func()) error { return b.fetch(ctx, s, missing, pool) }, nil)

	return pool, explain(missing[0].Name, err)
}

func packageKey(p debian.Package) string { return cache.Key("debian", unpackRecipe, p.SHA256) }

// fetch downloads packages and unpacks them into the cache.
func (b *builder) fetch(ctx context.Context, s *suite, packages []debian.Package, pool debian.Pool) error {
	work, err := os.MkdirTemp(b.cache.Dir(), "download-")
	if err != nil {
		return fmt.Errorf("downloading Debian packages: %w", err)
	}
	defer os.RemoveAll(work)

	files, err := s.apt.Download(ctx, work, packages...)
	if err != nil {
		return err
	}

	for _, p := range packages {
		pool[p.Name], err = b.cache.Get(ctx, "debian-"+p.Name, packageKey(p), func(ctx context.Context, dir string) error {
			return s.apt.Unpack(ctx, files[p.Name], dir)
		})
		if err != nil {
			return err
		}
	}

	return nil
}
