package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/basalt-os/basalt/internal/build/cache"
	"github.com/basalt-os/basalt/internal/build/sbom"
)

// A recipe changes when the way in which something is made does, so that cached
// results of the old way are not taken.
const (
	compileRecipe = "2"
	unpackRecipe  = "2"
	packRecipe    = "2"
)

// program is a compiled program in the cache.
type program struct {
	Name string
	Size int64
	Sum  string // SHA-256, hexadecimal

	path string
}

// compiled is the result of compiling a component.
type compiled struct {
	Name     string
	Origin   origin
	Programs []program
	Modules  []sbom.Module // that its programs are linked from
}

// program returns the program with the given name.
func (c compiled) program(name string) program {
	i := slices.IndexFunc(c.Programs, func(p program) bool { return p.Name == name })
	if i < 0 {
		panic("component " + c.Name + " has no program " + name)
	}

	return c.Programs[i]
}

// Size is the sum of the sizes of the programs in bytes.
func (c compiled) Size() int64 {
	var size int64

	for _, p := range c.Programs {
		size += p.Size
	}

	return size
}

func fileSum(name string) (string, error) {
	file, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer file.Close()

	hash := sha256.New()

	if _, err := io.Copy(hash, file); err != nil {
		return "", err
	}

	return hex.EncodeToString(hash.Sum(nil)), nil
}

// sourceKey is the digest of the files in the repository that a component is
// compiled from. Tests do not count.
func sourceKey(root string, paths []string, skip func(string) bool) (string, error) {
	hash := sha256.New()

	for _, start := range paths {
		err := filepath.WalkDir(filepath.Join(root, start), func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}

			relative, err := filepath.Rel(root, name)
			if err != nil {
				return err
			}

			if d.IsDir() {
				if d.Name() == "testdata" || skip != nil && skip(relative) {
					return fs.SkipDir
				}

				return nil
			}

			if strings.HasSuffix(name, "_test.go") || !d.Type().IsRegular() {
				return nil
			}

			sum, err := fileSum(name)
			fmt.Fprintf(hash, "%q %s\n", filepath.ToSlash(relative), sum)

			return err
		})
		if err != nil {
			return "", fmt.Errorf("reading the sources: %w", err)
		}
	}

	return hex.EncodeToString(hash.Sum(nil)), nil
}

// compileKey is the digest of everything that goes into a component.
func (b *builder) compileKey(c component, o origin) (string, error) {
	sources, err := sourceKey(b.options.Root, c.sourcePaths(), c.skip)
	if err != nil {
		return "", err
	}

	inputs := []string{
		"compile", compileRecipe, runtime.GOARCH, b.tools.goVersion, c.name, sources, c.modFile,
		fmt.Sprint(c.programs), c.tags, strings.Join(b.goFlags(c, o), " "),
	}

	if c.static || len(c.c) > 0 {
		inputs = append(inputs, b.tools.ccVersion)
	}

	for _, name := range c.headers {
		inputs = append(inputs, b.host.packages[name].SHA256)
	}

	return cache.Key(inputs...), nil
}

func (c component) sourcePaths() []string {
	if c.sources != nil {
		return c.sources
	}

	return []string{c.dir}
}

// goFlags are the flags of go build.
func (b *builder) goFlags(c component, o origin) []string {
	// Without a build identifier: it would tell the path of the headers apart.
	ldflags := []string{"-s", "-w", "-buildid="}

	if c.static {
		ldflags = append(ldflags, "-linkmode=external", "-extldflags=-static")
	}

	if c.variables != nil {
		variables := c.variables(o.Version)
		for _, name := range slices.Sorted(maps.Keys(variables)) {
			ldflags = append(ldflags, fmt.Sprintf("-X=%s=%s", name, variables[name]))
		}
	}

	// The linker leaves the debugger's tables out; so the compiler need not make
	// them. Tracebacks have tables of their own.
	return append([]string{"-trimpath", "-gcflags=all=-dwarf=false", "-ldflags=" + strings.Join(ldflags, " ")}, c.loadFlags()...)
}

// loadFlags are the flags that say which packages the programs consist of.
func (c component) loadFlags() []string {
	flags := []string{"-buildvcs=false"}

	if c.tags != "" {
		flags = append(flags, "-tags="+c.tags)
	}

	if c.modFile != "" {
		flags = append(flags, "-modfile="+c.modFile)
	}

	return flags
}

// compile returns the component from the cache and compiles it when it is not
// there.
func (b *builder) compile(ctx context.Context, c component) (compiled, error) {
	o, err := c.origin(b.options.Root)
	if err != nil {
		return compiled{}, err
	}

	key, err := b.compileKey(c, o)
	if err != nil {
		return compiled{}, err
	}

	dir, err := b.cache.Get(ctx, c.name, key, func(ctx context.Context, dir string) error {
		label := c.name + " " + o.Version

		return b.timed(label, func(advance func()) error {
			if len(c.c) > 0 {
				return b.runCC(ctx, c, dir)
			}

			return b.runGo(ctx, c, o, dir, advance)
		}, func() error { return describe(dir, c, o) })
	})
	if err != nil {
		return compiled{}, explain(c.name, err)
	}

	return readCompiled(dir)
}

const describeFile = "component.json"

// describe writes down what was compiled beside it.
func describe(dir string, c component, o origin) error {
	result := compiled{Name: c.name, Origin: o}

	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}

	for _, file := range files {
		info, err := file.Info()
		if err != nil {
			return err
		}

		sum, err := fileSum(filepath.Join(dir, file.Name()))
		if err != nil {
			return err
		}

		result.Programs = append(result.Programs, program{Name: file.Name(), Size: info.Size(), Sum: sum})

		if len(c.c) > 0 {
			continue
		}

		modules, err := sbom.Modules(filepath.Join(dir, file.Name()))
		if err != nil {
			return err
		}

		result.Modules = append(result.Modules, modules...)
	}

	result.Modules = sbom.Unique(result.Modules)

	return writeJSON(filepath.Join(dir, describeFile), result)
}

func readCompiled(dir string) (compiled, error) {
	var result compiled

	if err := readJSON(filepath.Join(dir, describeFile), &result); err != nil {
		return compiled{}, fmt.Errorf("reading the build cache: %w", err)
	}

	for i := range result.Programs {
		result.Programs[i].path = filepath.Join(dir, result.Programs[i].Name)
	}

	return result, nil
}

// runGo compiles the component's programs into dir.
func (b *builder) runGo(ctx context.Context, c component, o origin, dir string, advance func()) error {
	env := b.goEnv(c)

	if len(c.headers) > 0 {
		extra, err := b.headerEnv(ctx, c)
		if err != nil {
			return err
		}

		env = append(env, extra...)
	}

	for _, name := range slices.Sorted(maps.Keys(c.programs)) {
		args := append([]string{"build", "-v", "-o", filepath.Join(dir, name)}, b.goFlags(c, o)...)

		if err := runCompiler(ctx, filepath.Join(b.options.Root, c.dir), env, advance, "go", append(args, c.programs[name])...); err != nil {
			return err
		}
	}

	return nil
}

// goEnv is the environment of the go command: the user's, without what would
// change the result.
func (b *builder) goEnv(c component) []string {
	cgo := "0"
	if c.static {
		cgo = "1"
	}

	env := append(os.Environ(),
		"GOFLAGS=", "GOWORK=off", "GO111MODULE=on", "GOEXPERIMENT=", "GOFIPS140=off",
		"GOOS=linux", "GOARCH="+runtime.GOARCH, "GOAMD64=v1", "GOARM64=v8.0",
		"CGO_ENABLED="+cgo, "CGO_CFLAGS=-O2 -g", "CGO_CPPFLAGS=", "CGO_LDFLAGS=", "CC="+b.tools.cc, "LC_ALL=C",
	)

	if b.tools.goCache != "" {
		env = append(env, "GOCACHE="+b.tools.goCache)
	}

	return env
}

// headerEnv lets cgo find headers and static libraries in unpacked Debian
// packages, so that nothing has to be installed. What pkg-config would answer
// is in the flags.
func (b *builder) headerEnv(ctx context.Context, c component) ([]string, error) {
	include, library := "-O2 -g", ""

	for _, name := range c.headers {
		dir, err := b.unpack(ctx, b.host, name)
		if err != nil {
			return nil, err
		}

		include += " -I" + filepath.Join(dir, "usr/include")

		libraries, err := filepath.Glob(filepath.Join(dir, "usr/lib/*-linux-gnu"))
		if err != nil {
			return nil, err
		}

		for _, folder := range libraries {
			library += " -L" + folder
		}
	}

	for _, name := range c.libraries {
		library += " -l" + name
	}

	return []string{"CGO_CFLAGS=" + include, "CGO_LDFLAGS=" + library, "PKG_CONFIG=true"}, nil
}

// runCC compiles a C program into dir, statically.
func (b *builder) runCC(ctx context.Context, c component, dir string) error {
	args := []string{
		"-Os", "-static", "-s", "-Wall", "-Wextra", "-Werror", "-ffile-prefix-map=" + b.options.Root + "=.",
		"-Wl,--build-id=none", "-o", filepath.Join(dir, c.name),
	}

	return runCompiler(ctx, filepath.Join(b.options.Root, c.dir), append(os.Environ(), "LC_ALL=C"), func() {}, b.tools.cc, append(args, c.c...)...)
}
