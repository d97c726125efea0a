package build

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/google/renameio/v2"
	"golang.org/x/sync/errgroup"

	"github.com/basalt-os/basalt/internal/build/cache"
	"github.com/basalt-os/basalt/internal/build/debian"
	"github.com/basalt-os/basalt/internal/build/oci"
	"github.com/basalt-os/basalt/internal/build/progress"
	"github.com/basalt-os/basalt/internal/build/tree"
)

// Options are what a build may be told.
type Options struct {
	Root       string    // the repository
	Output     string    // folder for everything but programs; Root/_out when empty
	Programs   string    // folder for the user's programs; Root/bin when empty
	Cache      string    // folder of the build cache; see CacheDir
	GoCache    string    // Go's own cache, the user's when empty
	Kubernetes []string  // versions, the first is the user's kubectl; DefaultKubernetes when empty
	Commit     string    // the revision that programs report; asked from git when empty
	Kernels    []string  // also make what machines boot, with these kernels
	Progress   io.Writer // where to show how it goes
}

// Result is what a build made.
type Result struct {
	Components []compiled
	Images     []BuiltImage
	Root       RootTree
	Media      []Medium // when asked for
	Budget     Budget   // of the media
}

// RootTree describes the node's root file system.
type RootTree struct {
	Size       int64  // of the files, bytes
	Compressed int64  // bytes
	Digest     string // of a tar archive of it
}

// BuiltImage is an image in the layout.
type BuiltImage struct {
	Title  string
	Names  []string
	Digest string // of the manifest
	Size   int64  // of the compressed layers, bytes
	Layers []oci.Layer
}

// CacheDir is the user's folder for the build cache: $BASALT_CACHE, or basalt
// in the user's cache folder.
func CacheDir() (string, error) {
	if dir := os.Getenv("BASALT_CACHE"); dir != "" {
		return dir, nil
	}

	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding a folder for the build cache: set BASALT_CACHE: %w", err)
	}

	return filepath.Join(dir, "basalt"), nil
}

// builder is a running build.
type builder struct {
	options      Options
	cache        *cache.Cache
	display      *progress.Display
	tools        toolchain
	host         *suite // programs of the root tree and of images
	machine      *suite // what machines boot, and tools for it
	kernels      []kernelProfile
	certificates string

	mu      sync.Mutex
	timings map[string]timing
}

// Run builds everything that is not in the cache and brings the output folders
// up to date. When ctx ends it stops at once; the outputs are then those of an
// earlier build or of this one, never half of one.
func Run(ctx context.Context, options Options) (*Result, error) {
	b, err := newBuilder(ctx, options)
	if err != nil {
		return nil, err
	}

	defer b.saveTimings()

	result, err := b.run(ctx)
	if err != nil {
		return nil, explain("the outputs", err)
	}

	return result, b.cache.Prune()
}

// Tools compiles the programs of the checks and returns their paths by name.
func Tools(ctx context.Context, options Options) (map[string]string, error) {
	b, err := newBuilder(ctx, options)
	if err != nil {
		return nil, err
	}

	defer b.saveTimings()

	done, err := b.compile(ctx, toolsComponent())
	if err != nil {
		return nil, err
	}

	paths := map[string]string{}
	for _, p := range done.Programs {
		paths[p.Name] = p.path
	}

	return paths, nil
}

func newBuilder(ctx context.Context, options Options) (*builder, error) {
	if options.Output == "" {
		options.Output = filepath.Join(options.Root, "_out")
	}

	if options.Programs == "" {
		options.Programs = filepath.Join(options.Root, "bin")
	}

	if len(options.Kubernetes) == 0 {
		options.Kubernetes = []string{DefaultKubernetes}
	}

	if options.Commit == "" {
		options.Commit = commit(ctx, options.Root)
	}

	store, err := cache.Open(options.Cache)
	if err != nil {
		return nil, err
	}

	display := progress.New(options.Progress)

	tools, err := ensureToolchain(ctx, display)
	if err != nil {
		return nil, err
	}

	kernels, err := kernelsOf(options.Kernels)
	if err != nil {
		return nil, err
	}

	tools.goCache = options.GoCache
	b := &builder{options: options, cache: store, display: display, tools: tools, host: &suite{}, kernels: kernels}
	b.loadTimings()

	return b, nil
}

// commit is the revision of the repository, with "-dirty" when files differ
// from it, or empty when there is no git.
func commit(ctx context.Context, root string) string {
	out, err := exec.CommandContext(ctx, "git", "-C", root, "rev-parse", "HEAD").Output()
	if err != nil {
		return ""
	}

	revision := strings.TrimSpace(string(out))

	changes, err := exec.CommandContext(ctx, "git", "-C", root, "status", "--porcelain").Output()
	if err != nil || len(changes) > 0 {
		revision += "-dirty"
	}

	return revision
}

func (b *builder) run(ctx context.Context) (*Result, error) {
	list := components(b.options.Kubernetes, b.options.Commit)
	if len(b.kernels) > 0 {
		list = append(list, machineComponents(b.options.Commit)...)
	}

	if err := b.resolvePackages(ctx, list); err != nil {
		return nil, explain("the Debian parts", err)
	}

	programs := map[string]compiled{}
	result := &Result{}

	fetching, stop := context.WithCancel(ctx)

	var fetch sync.WaitGroup

	fetch.Go(func() { b.prefetch(fetching, list) })

	defer fetch.Wait()
	defer stop()

	// One after another: the compiler itself uses all processors, and two
	// linkers at once need twice the memory.
	for _, c := range list {
		done, err := b.compile(ctx, c)
		if err != nil {
			return nil, err
		}

		programs[c.name] = done
		result.Components = append(result.Components, done)
	}

	trees, err := b.debianTrees(ctx)
	if err != nil {
		return nil, err
	}

	images := b.images(programs, trees)

	bill, err := b.rootBill(programs)
	if err != nil {
		return nil, err
	}

	root := b.rootTree(programs, trees.nft, bill)

	machines, installers, err := b.makeMachines(ctx, programs, root)
	if err != nil {
		return nil, err
	}

	images = append(images, installers...)

	packed, err := b.packAll(ctx, images, root, result)
	if err != nil {
		return nil, err
	}

	if err := b.writeOutputs(ctx, result, programs, images, packed, root); err != nil || len(machines) == 0 {
		return result, err
	}

	return result, b.writeMachines(ctx, result, machines, programs)
}

// debianTrees are programs that are not compiled here, with their libraries.
type debianTrees struct{ nft, mount, tar *tree.Tree }

// debianTrees unpacks the programs that are not compiled here, and the
// certificates.
func (b *builder) debianTrees(ctx context.Context) (trees debianTrees, err error) {
	dir, err := b.unpack(ctx, b.host, "ca-certificates")
	if err != nil {
		return trees, explain("ca-certificates", err)
	}

	if b.certificates, err = debian.Certificates(dir); err != nil {
		return trees, err
	}

	for _, wanted := range []struct {
		packages, programs []string
		tree               **tree.Tree
	}{
		{nftPackages, []string{"/usr/sbin/nft"}, &trees.nft},
		{mountPackages, []string{"/bin/mount", "/bin/umount"}, &trees.mount},
		{tarPackages, []string{"/bin/tar"}, &trees.tar},
	} {
		pool, err := b.pool(ctx, b.host, wanted.packages)
		if err != nil {
			return trees, err
		}

		if *wanted.tree, err = pool.Programs(wanted.programs...); err != nil {
			return trees, fmt.Errorf("taking %s out of its packages: %w", wanted.packages[0], err)
		}
	}

	return trees, nil
}

// packAll compresses the layers of all images and measures the root tree, as
// many at once as there are processors.
func (b *builder) packAll(ctx context.Context, images []image, root *tree.Tree, result *Result) ([]oci.Image, error) {
	packed := make([]oci.Image, len(images))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.NumCPU())

	for i := range images {
		group.Go(func() (err error) {
			packed[i], err = b.pack(ctx, images[i])

			return err
		})
	}

	group.Go(func() error { return explain("the root tree", b.measure(ctx, root, result)) })

	return packed, group.Wait()
}

// measure fills in what the result says about the root tree.
func (b *builder) measure(ctx context.Context, root *tree.Tree, result *Result) error {
	dir, err := b.cache.Get(ctx, "root", cache.Key("root", packRecipe, oci.Compression, root.Digest()),
		func(_ context.Context, dir string) error {
			archive, size, err := oci.Measure(root)
			if err != nil {
				return err
			}

			return writeJSON(filepath.Join(dir, "root.json"), RootTree{root.Size(), size, archive.String()})
		})
	if err != nil {
		return err
	}

	return readJSON(filepath.Join(dir, "root.json"), &result.Root)
}

// timing is how long a step took last time.
type timing struct {
	Took  time.Duration
	Units int // packages compiled
}

// timed shows and measures work; after is done before its result counts.
func (b *builder) timed(name string, work func(advance func()) error, after func() error) error {
	// The version is not part of the name: the last version is the best guess
	// for the next.
	key, _, _ := strings.Cut(name, " v")

	b.mu.Lock()
	last := b.timings[key]
	b.mu.Unlock()

	step := b.display.Start(name, last.Took, last.Units)

	err := work(step.Advance)
	if err == nil && after != nil {
		err = after()
	}

	took := step.Done(err)

	if err == nil {
		b.mu.Lock()
		b.timings[key] = timing{Took: took, Units: step.Units()}
		b.mu.Unlock()
	}

	return err
}

func (b *builder) timingsFile() string { return filepath.Join(b.cache.Dir(), "timings.json") }

// loadTimings and saveTimings keep what a person likes to see; a build does not
// fail without it.
func (b *builder) loadTimings() {
	if readJSON(b.timingsFile(), &b.timings) != nil || b.timings == nil {
		b.timings = map[string]timing{}
	}
}

func (b *builder) saveTimings() {
	b.mu.Lock()
	defer b.mu.Unlock()

	_ = writeJSON(b.timingsFile(), b.timings)
}

// writeJSON replaces a file at once.
func writeJSON(name string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", filepath.Base(name), err)
	}

	if err := renameio.WriteFile(name, data, 0o644); err != nil {
		return fmt.Errorf("writing %s: %w", filepath.Base(name), err)
	}

	return nil
}

func readJSON(name string, value any) error {
	data, err := os.ReadFile(name)
	if err == nil {
		err = json.Unmarshal(data, value)
	}

	if err != nil {
		return fmt.Errorf("reading %s: %w", filepath.Base(name), err)
	}

	return nil
}
