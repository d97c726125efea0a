package kmod

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// The files of an index, in a kernel's folder /usr/lib/modules/<release>. They
// are what depmod writes, so that programs in containers can read them too:
//
//   - modules.dep: "kernel/fs/xfs/xfs.ko: kernel/lib/libcrc32c.ko", the module's
//     path in the folder and those of all modules that it needs, in the opposite
//     order of loading;
//   - modules.alias: "alias pci:v00008086d* e1000e", a pattern of devices and the
//     name of the module for them, in the order in which they are tried;
//   - modules.softdep: "softdep xfs pre: crc32c";
//   - modules.builtin: the paths that modules would have that are a part of the
//     kernel. This one comes with the kernel's package.
//
// Modules that are added to a kernel have an index of their own beside it, in
// files with one more word in their names: "modules.dep.zfs".
const (
	DepFile     = "modules.dep"
	AliasFile   = "modules.alias"
	SoftdepFile = "modules.softdep"
	BuiltinFile = "modules.builtin"
)

// ErrIndex says that a file of an index is damaged.
var ErrIndex = errors.New("bad index of kernel modules")

// Entry is a module in an Index.
type Entry struct {
	Name string   // with underscores
	Path string   // in the kernel's folder
	Deps []string // names of the modules that must be there before it, in the order of loading
	Soft []string // names of those that should be, if the kernel has them
}

// alias is a pattern of devices and the module for them.
type alias struct{ pattern, module string }

// Index tells which modules there are for a name or a device, and what they
// need, without reading the modules. It does not change and is safe for
// concurrent use.
type Index struct {
	entries map[string]Entry
	builtin map[string]bool
	added   bool // modules may need others that are not here
	aliases []alias
	buses   map[string][]int // which aliases may match, by what is before ":"
	open    []int            // which may match everything
}

// NewIndex makes the index of modules. builtin is the content of the kernel's
// modules.builtin. A module that is not among the given may be needed only if
// it is a part of the kernel.
func NewIndex(modules []Module, builtin []byte) (*Index, error) {
	return newIndex(modules, builtin, false)
}

// NewAddedIndex makes the index of modules that are added to a kernel, and may
// need modules of it.
func NewAddedIndex(modules []Module) (*Index, error) { return newIndex(modules, nil, true) }

func newIndex(modules []Module, builtin []byte, added bool) (*Index, error) {
	x := &Index{entries: map[string]Entry{}, builtin: builtinNames(builtin), added: added}
	byName := map[string]Module{}

	for _, m := range modules {
		byName[m.Name] = m
	}

	sorted := slices.SortedFunc(slices.Values(modules), func(a, b Module) int { return strings.Compare(a.Path, b.Path) })

	for _, m := range sorted {
		e := Entry{Name: m.Name, Path: strings.TrimSuffix(m.Path, ".xz"), Soft: m.Soft}

		if err := x.collect(byName, m, &e.Deps, 0); err != nil {
			return nil, fmt.Errorf("indexing kernel module %s: %w", m.Name, err)
		}

		x.entries[m.Name] = e

		for _, pattern := range m.Aliases {
			x.aliases = append(x.aliases, alias{pattern, m.Name})
		}
	}

	x.sortAliases()

	return x, nil
}

// deepest is how many modules may need each other in a row; more is a circle.
const deepest = 64

// collect adds what m needs to deps, each after what it needs itself.
func (x *Index) collect(modules map[string]Module, m Module, deps *[]string, depth int) error {
	if depth > deepest {
		return fmt.Errorf("%w: modules need each other in a circle", ErrIndex)
	}

	for _, name := range m.Depends {
		if x.builtin[name] || slices.Contains(*deps, name) {
			continue
		}

		need, ok := modules[name]
		if !ok && x.added {
			*deps = append(*deps, name)

			continue
		}

		if !ok {
			return fmt.Errorf("it needs %s: %w", name, ErrUnknown)
		}

		if err := x.collect(modules, need, deps, depth+1); err != nil {
			return err
		}

		if !slices.Contains(*deps, name) {
			*deps = append(*deps, name)
		}
	}

	return nil
}

func builtinNames(list []byte) map[string]bool {
	names := map[string]bool{}

	for line := range strings.Lines(string(list)) {
		if name, ok := moduleName(strings.TrimSpace(line)); ok {
			names[name] = true
		}
	}

	return names
}

// sortAliases prepares the search: nearly all patterns begin with the name of a
// bus.
func (x *Index) sortAliases() {
	x.buses = map[string][]int{}
	x.open = nil

	for i := range x.aliases {
		pattern := normalPattern(x.aliases[i].pattern)
		x.aliases[i].pattern = pattern

		if bus, _, found := strings.Cut(pattern, ":"); found && !strings.ContainsAny(bus, "*?[") {
			x.buses[bus] = append(x.buses[bus], i)
		} else {
			x.open = append(x.open, i)
		}
	}
}

// Files is the index's text by file name, without modules.builtin.
func (x *Index) Files() map[string][]byte {
	var dep, aliases, soft bytes.Buffer

	soft.WriteString("# soft dependencies of modules\n")
	aliases.WriteString("# aliases of modules\n")

	for _, e := range x.sorted() {
		dep.WriteString(e.Path + ":")

		for _, name := range slices.Backward(e.Deps) {
			dep.WriteString(" " + x.path(name))
		}

		dep.WriteString("\n")

		if len(e.Soft) > 0 {
			fmt.Fprintf(&soft, "softdep %s pre: %s\n", e.Name, strings.Join(e.Soft, " "))
		}
	}

	for _, a := range x.aliases {
		fmt.Fprintf(&aliases, "alias %s %s\n", a.pattern, a.module)
	}

	return map[string][]byte{DepFile: dep.Bytes(), AliasFile: aliases.Bytes(), SoftdepFile: soft.Bytes()}
}

// path is a module's path; of modules that are not here it only tells the name.
func (x *Index) path(name string) string {
	if e, ok := x.entries[name]; ok {
		return e.Path
	}

	return name + ".ko"
}

// AddedFiles is Files under the names for modules that are added to a kernel, by
// somebody whose name is a word.
func (x *Index) AddedFiles(name string) map[string][]byte {
	result := map[string][]byte{}
	for file, data := range x.Files() {
		result[file+"."+name] = data
	}

	return result
}

func (x *Index) sorted() []Entry {
	entries := make([]Entry, 0, len(x.entries))
	for _, e := range x.entries {
		entries = append(entries, e)
	}

	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })

	return entries
}

// ReadIndex reads the index in a kernel's folder, with those of modules that
// were added to it. A folder without one has no modules: the kernel may have
// everything built in.
func ReadIndex(files fs.FS) (*Index, error) {
	x := &Index{entries: map[string]Entry{}}
	text := map[string]string{}

	for _, name := range []string{DepFile, AliasFile, SoftdepFile, BuiltinFile} {
		all, err := readParts(files, name)
		if err != nil {
			return nil, fmt.Errorf("reading the index of kernel modules: %w", err)
		}

		text[name] = all
	}

	x.builtin = builtinNames([]byte(text[BuiltinFile]))

	if err := x.readDeps(text[DepFile]); err != nil {
		return nil, fmt.Errorf("reading %s: %w", DepFile, err)
	}

	for words := range fields(text[SoftdepFile]) {
		if e, ok := x.entries[Normal(at(words, 1))]; ok && words[0] == "softdep" {
			e.Soft = before(strings.Join(words[2:], " "))
			x.entries[e.Name] = e
		}
	}

	for words := range fields(text[AliasFile]) {
		name := Normal(at(words, 2))
		if _, ok := x.entries[name]; ok && words[0] == "alias" {
			x.aliases = append(x.aliases, alias{words[1], name})
		}
	}

	x.sortAliases()

	return x, nil
}

// readParts reads a file of the index and those of added modules. Files that
// depmod makes for programs end with ".bin".
func readParts(files fs.FS, name string) (string, error) {
	more, err := fs.Glob(files, name+".*")
	if err != nil {
		return "", err
	}

	var text strings.Builder

	for _, file := range append([]string{name}, more...) {
		data, err := fs.ReadFile(files, file)
		if errors.Is(err, fs.ErrNotExist) || strings.HasSuffix(file, ".bin") || strings.HasSuffix(file, ".modinfo") {
			continue
		}

		if err != nil {
			return "", err
		}

		text.Write(data)
	}

	return text.String(), nil
}

func (x *Index) readDeps(text string) error {
	for line := range strings.Lines(text) {
		file, needs, ok := strings.Cut(strings.TrimSpace(line), ":")
		name, known := moduleName(file)

		if !ok || !known || !fs.ValidPath(file) {
			return fmt.Errorf("%w: %q", ErrIndex, line)
		}

		e := Entry{Name: name, Path: file}

		for _, need := range slices.Backward(strings.Fields(needs)) {
			name, ok := moduleName(need)
			if !ok {
				return fmt.Errorf("%w: %q", ErrIndex, line)
			}

			e.Deps = append(e.Deps, name)
		}

		x.entries[name] = e
	}

	return nil
}

// fields goes over the words of the lines that are no comments.
func fields(text string) func(yield func([]string) bool) {
	return func(yield func([]string) bool) {
		for line := range strings.Lines(text) {
			words := strings.Fields(line)
			if len(words) > 0 && !strings.HasPrefix(words[0], "#") && !yield(words) {
				return
			}
		}
	}
}

func at(words []string, i int) string {
	if i < len(words) {
		return words[i]
	}

	return ""
}

// Names is the names of all modules, sorted, without those built in.
func (x *Index) Names() []string {
	var names []string

	for name := range x.entries {
		names = append(names, name)
	}

	slices.Sort(names)

	return names
}

// Entry is the module with this name; false when the kernel does not have it as
// a module.
func (x *Index) Entry(name string) (Entry, bool) {
	e, ok := x.entries[Normal(name)]

	return e, ok
}

// Builtin reports whether a module of this name is a part of the kernel.
func (x *Index) Builtin(name string) bool { return x.builtin[Normal(name)] }

// Match is the names of the modules for a module's name or an alias: what a
// device's MODALIAS says ("pci:v00008086d000010D3sv…"), or what the kernel asks
// for ("fs-xfs", "net-pf-10"). They are in the order of the index; a device may
// have several.
func (x *Index) Match(query string) []string {
	if e, ok := x.Entry(query); ok {
		return []string{e.Name}
	}

	query = Normal(query)
	bus, _, _ := strings.Cut(query, ":")

	candidates := slices.Concat(x.buses[bus], x.open)
	slices.Sort(candidates)

	var names []string

	for _, i := range candidates {
		a := x.aliases[i]
		if !slices.Contains(names, a.module) && match(a.pattern, query) {
			names = append(names, a.module)
		}
	}

	return names
}

// Order is the named modules and all that they need, in the order of loading.
// What is built into the kernel is left out. A name that the kernel does not
// have is ErrUnknown.
func (x *Index) Order(names ...string) ([]Entry, error) {
	var result []Entry

	seen := map[string]bool{}

	var visit func(name string) error

	visit = func(name string) error {
		e, ok := x.entries[name]

		switch {
		case seen[name]:
			return nil
		case !ok && x.builtin[name]:
			return nil
		case !ok:
			return fmt.Errorf("looking up kernel module %s: %w", name, ErrUnknown)
		}

		seen[name] = true

		for _, need := range e.Deps {
			if err := visit(need); err != nil {
				return fmt.Errorf("looking up what %s needs: %w", name, err)
			}
		}

		for _, want := range e.Soft {
			if _, ok := x.entries[want]; !ok {
				continue
			}

			if err := visit(want); err != nil {
				return fmt.Errorf("looking up what %s wants: %w", name, err)
			}
		}

		result = append(result, e)

		return nil
	}

	for _, name := range names {
		if err := visit(Normal(name)); err != nil {
			return nil, err
		}
	}

	return result, nil
}

// normalPattern is Normal but for what is in brackets, where a dash means a
// range.
func normalPattern(pattern string) string {
	data := []byte(pattern)
	inside := false

	for i, c := range data {
		switch {
		case c == '[':
			inside = true
		case c == ']':
			inside = false
		case c == '-' && !inside:
			data[i] = '_'
		}
	}

	return string(data)
}

// match reports whether a pattern with *, ? and [a-z] matches all of s. Its time
// is at most the product of both lengths.
func match(pattern, s string) bool {
	star, from := -1, 0
	p, i := 0, 0

	for i < len(s) {
		if p < len(pattern) && pattern[p] == '*' {
			star, from = p, i
			p++

			continue
		}

		if n := matchOne(pattern[p:], s[i]); n > 0 {
			p += n
			i++

			continue
		}

		if star < 0 {
			return false
		}

		// The last star takes one more.
		from++
		p, i = star+1, from
	}

	return strings.Trim(pattern[p:], "*") == ""
}

// matchOne is the length of the pattern's first part if it matches c, else 0.
func matchOne(pattern string, c byte) int {
	if pattern == "" {
		return 0
	}

	if pattern[0] == '[' {
		if end := strings.IndexByte(pattern, ']'); end > 0 {
			if inClass(pattern[1:end], c) {
				return end + 1
			}

			return 0
		}
	}

	if pattern[0] == '?' || pattern[0] == c {
		return 1
	}

	return 0
}

func inClass(class string, c byte) bool {
	for i := 0; i < len(class); i++ {
		if i+2 < len(class) && class[i+1] == '-' {
			if class[i] <= c && c <= class[i+2] {
				return true
			}

			i += 2
		} else if class[i] == c {
			return true
		}
	}

	return false
}

// Folder is where the modules of a kernel are.
func Folder(release string) string { return path.Join("/usr/lib/modules", release) }
