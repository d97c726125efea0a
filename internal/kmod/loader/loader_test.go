package loader_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/cmdline"
	"github.com/basalt-os/basalt/internal/kmod"
	"github.com/basalt-os/basalt/internal/kmod/loader"
)

const folder = "/usr/lib/modules/test"

// kernel is a kernel that writes down what it gets.
type kernel struct {
	inserted []string
	has      map[string]bool
	fail     map[string]error
}

func (k *kernel) Insert(file, parameters string) error {
	name := strings.TrimSuffix(filepath.Base(file), ".ko")
	if err := k.fail[name]; err != nil {
		return err
	}

	k.inserted = append(k.inserted, strings.TrimSpace(strings.TrimPrefix(file, folder+"/")+" "+parameters))

	return nil
}

func (k *kernel) Has(name string) bool { return k.has[name] }

func index(t *testing.T) *kmod.Index {
	t.Helper()

	x, err := kmod.ReadIndex(fstest.MapFS{
		kmod.DepFile: {Data: []byte("net/e1000.ko: lib/crc.ko\nlib/crc.ko:\nfs/xfs.ko: lib/crc.ko\nlib/fast-crc.ko:\n" +
			"net/e1000-old.ko:\n")},
		kmod.AliasFile:   {Data: []byte("alias pci:v8086d* e1000\nalias pci:v8086d1* e1000_old\nalias fs-xfs xfs\n")},
		kmod.SoftdepFile: {Data: []byte("softdep xfs pre: fast_crc\n")},
		kmod.BuiltinFile: {Data: []byte("kernel/fs/ext4/ext4.ko\n")},
	})
	if err != nil {
		t.Fatal(err)
	}

	return x
}

var errBroken = errors.New("broken")

func TestLoad(t *testing.T) {
	t.Parallel()

	for _, test := range []struct {
		about  string
		line   string
		kernel kernel
		do     func(l *loader.Loader) ([]string, error)
		want   []string // files and parameters
		loaded []string
		err    error
	}{
		{
			about: "what a module needs comes first, once",
			do: func(l *loader.Loader) ([]string, error) {
				return nil, errors.Join(l.Load("e1000"), l.Load("xfs"), l.Load("e1000"))
			},
			want: []string{"lib/crc.ko", "net/e1000.ko", "lib/fast-crc.ko", "fs/xfs.ko"},
		},
		{
			about: "parameters of the command line and of the caller",
			line:  `e1000-old.debug=1 e1000_old.names="a b" e1000_old.flag other.x=1`,
			do:    func(l *loader.Loader) ([]string, error) { return nil, l.Load("e1000-old", "speed=10") },
			want:  []string{`net/e1000-old.ko debug=1 names="a b" flag speed=10`},
		},
		{
			about:  "all modules for a device",
			do:     func(l *loader.Loader) ([]string, error) { return l.LoadAlias("pci:v8086d1000") },
			want:   []string{"lib/crc.ko", "net/e1000.ko", "net/e1000-old.ko"},
			loaded: []string{"e1000", "e1000_old"},
		},
		{
			about:  "a module that is forbidden to devices",
			line:   "modprobe.blacklist=x,e1000-old",
			do:     func(l *loader.Loader) ([]string, error) { return l.LoadAlias("pci:v8086d1000") },
			want:   []string{"lib/crc.ko", "net/e1000.ko"},
			loaded: []string{"e1000"},
		},
		{
			about:  "a module that finds no device",
			kernel: kernel{fail: map[string]error{"e1000": unix.ENODEV}},
			do:     func(l *loader.Loader) ([]string, error) { return l.LoadAlias("pci:v8086d1000") },
			want:   []string{"lib/crc.ko", "net/e1000-old.ko"},
			loaded: []string{"e1000_old"},
		},
		{
			about:  "a module that somebody else has loaded",
			kernel: kernel{has: map[string]bool{"xfs": true}, fail: map[string]error{"crc": unix.EEXIST}},
			do: func(l *loader.Loader) ([]string, error) {
				return nil, errors.Join(l.Load("xfs"), l.Load("e1000"))
			},
			want: []string{"net/e1000.ko"},
		},
		{
			about:  "what would have been good to have",
			kernel: kernel{fail: map[string]error{"fast-crc": errBroken}},
			do:     func(l *loader.Loader) ([]string, error) { return l.LoadAlias("fs-xfs") },
			want:   []string{"lib/crc.ko", "fs/xfs.ko"},
			loaded: []string{"xfs"},
		},
		{
			about:  "a module that cannot be loaded",
			kernel: kernel{fail: map[string]error{"crc": errBroken}},
			do:     func(l *loader.Loader) ([]string, error) { return nil, l.Load("xfs") },
			err:    errBroken,
		},
		{
			about: "a part of the kernel",
			do:    func(l *loader.Loader) ([]string, error) { return nil, l.Load("ext4") },
		},
		{
			about: "no such module",
			do:    func(l *loader.Loader) ([]string, error) { return nil, l.Load("none") },
			err:   kmod.ErrUnknown,
		},
	} {
		k := test.kernel

		loaded, err := test.do(loader.New(index(t), folder, &k, cmdline.Parse(test.line)))
		if !errors.Is(err, test.err) || (err != nil) != (test.err != nil) {
			t.Errorf("%s: %v, want %v", test.about, err, test.err)
		}

		if diff := cmp.Diff(test.want, k.inserted); diff != "" {
			t.Errorf("%s: inserted (-want +got):\n%s", test.about, diff)
		}

		if diff := cmp.Diff(test.loaded, loaded); diff != "" {
			t.Errorf("%s: loaded (-want +got):\n%s", test.about, diff)
		}
	}
}

func TestHas(t *testing.T) {
	t.Parallel()

	sys := t.TempDir()

	for name, state := range map[string]string{"xfs": "live\n", "crc": "coming\n", "printk": ""} {
		folder := filepath.Join(sys, "module", name)
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}

		if state == "" {
			continue
		}

		if err := os.WriteFile(filepath.Join(folder, "initstate"), []byte(state), 0o644); err != nil {
			t.Fatal(err)
		}
	}

	for name, want := range map[string]bool{"xfs": true, "crc": false, "printk": true, "none": false} {
		if got := (loader.Linux{Sys: sys}).Has(name); got != want {
			t.Errorf("has %s: %v", name, got)
		}
	}
}
