// Package loader loads kernel modules on a running machine: by name, or by what
// a device or the kernel asks for, with all that they need, in the right order.
package loader

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/cmdline"
	"github.com/basalt-os/basalt/internal/kmod"
)

// Kernel takes modules.
type Kernel interface {
	// Insert loads the module in a file with its parameters, "name=value" and
	// separated by spaces. One that is there already is [unix.EEXIST].
	Insert(file, parameters string) error
	// Has says whether a module is loaded or a part of the kernel.
	Has(name string) bool
}

// Loader loads the modules of one kernel. It is safe for concurrent use; one
// module is loaded at a time.
type Loader struct {
	index      *kmod.Index
	folder     string
	kernel     Kernel
	parameters cmdline.Line

	mu   sync.Mutex
	done map[string]bool // modules that need no further try
}

// New makes a loader of the modules in folder, which the index is of. The
// kernel's command line gives modules parameters, as "module.name=value", and
// says with "modprobe.blacklist=" which ones no device gets.
func New(index *kmod.Index, folder string, kernel Kernel, line cmdline.Line) *Loader {
	return &Loader{index: index, folder: folder, kernel: kernel, parameters: line, done: map[string]bool{}}
}

// Open makes a loader for the running kernel. Sys is where sysfs is mounted.
func Open(sys string, line cmdline.Line) (*Loader, error) {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return nil, fmt.Errorf("reading the kernel's release: %w", err)
	}

	folder := kmod.Folder(unix.ByteSliceToString(name.Release[:]))

	index, err := kmod.ReadIndex(os.DirFS(folder))
	if err != nil {
		return nil, err
	}

	return New(index, folder, Linux{Sys: sys}, line), nil
}

// Index is the index of the modules that there are.
func (l *Loader) Index() *kmod.Index { return l.index }

// Load loads a module and what it needs, with parameters ("name=value") beside
// those of the command line. A module that is loaded, or a part of the kernel,
// is left alone: its parameters too. A name that the kernel does not know is
// [kmod.ErrUnknown].
func (l *Loader) Load(name string, parameters ...string) error {
	l.mu.Lock()
	defer l.mu.Unlock()

	return l.load(kmod.Normal(name), parameters)
}

// LoadAlias loads all modules for a device ("pci:v00008086d000010D3sv…") or for
// what the kernel asks for ("fs-xfs"), and returns the names of those that are
// there then and were not before. Modules that the command line forbids are left
// out, and so are those that find no device to work with.
func (l *Loader) LoadAlias(alias string) ([]string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()

	var (
		loaded []string
		errs   []error
	)

	for _, name := range l.index.Match(alias) {
		if l.done[name] || l.forbidden(name) {
			continue
		}

		switch err := l.load(name, nil); {
		case errors.Is(err, unix.ENODEV):
			l.done[name] = true // the pattern was too wide
		case err != nil:
			errs = append(errs, err)
		default:
			loaded = append(loaded, name)
		}
	}

	return loaded, errors.Join(errs...)
}

// forbidden says whether devices shall not get a module.
func (l *Loader) forbidden(name string) bool {
	for _, list := range l.parameters.All("modprobe.blacklist") {
		for word := range strings.SplitSeq(list, ",") {
			if kmod.Normal(word) == name {
				return true
			}
		}
	}

	return false
}

func (l *Loader) load(name string, parameters []string) error {
	if l.done[name] {
		return nil
	}

	if l.kernel.Has(name) {
		l.done[name] = true

		return nil
	}

	order, err := l.index.Order(name)
	if err != nil {
		return err
	}

	entry, _ := l.index.Entry(name)

	for _, e := range order {
		own := l.fromLine(e.Name)
		if e.Name == name {
			own = append(own, parameters...)
		}

		// Of the others it would have been good to have them, no more.
		needed := e.Name == name || slices.Contains(entry.Deps, e.Name)
		if err := l.insert(e, own); err != nil && needed {
			return err
		}
	}

	l.done[name] = true

	return nil
}

func (l *Loader) insert(e kmod.Entry, parameters []string) error {
	if l.done[e.Name] || l.kernel.Has(e.Name) {
		return nil
	}

	err := l.kernel.Insert(filepath.Join(l.folder, filepath.FromSlash(e.Path)), strings.Join(parameters, " "))
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("loading kernel module %s: %w", e.Name, err)
	}

	l.done[e.Name] = true

	return nil
}

// fromLine is the parameters of a module on the kernel's command line.
func (l *Loader) fromLine(module string) []string {
	var parameters []string

	for _, a := range l.parameters {
		name, parameter, ok := strings.Cut(a.Name, ".")
		if !ok || kmod.Normal(name) != module {
			continue
		}

		a.Name = parameter
		if strings.ContainsAny(a.Value, " \t") {
			a.Value = `"` + a.Value + `"`
		}

		parameters = append(parameters, a.String())
	}

	return parameters
}

// Linux is the running kernel.
type Linux struct {
	Sys string // where sysfs is mounted
}

// Insert implements [Kernel].
func (Linux) Insert(file, parameters string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // read side only

	return unix.FinitModule(int(f.Fd()), parameters, 0)
}

// Has implements [Kernel]. A module is there once its state is "live"; parts of
// the kernel have no state, and some of them no folder: for those, the index
// says that they are built in.
func (l Linux) Has(name string) bool {
	folder := filepath.Join(l.Sys, "module", name)

	state, err := os.ReadFile(filepath.Join(folder, "initstate"))
	if errors.Is(err, fs.ErrNotExist) {
		_, err := os.Stat(folder)

		return err == nil
	}

	return err == nil && strings.TrimSpace(string(state)) == "live"
}
