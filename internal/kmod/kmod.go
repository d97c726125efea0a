// Package kmod reads kernel modules: what a module is called, what it needs and
// which devices it is for, as the module's own file says. From a folder of
// modules it finds what has to be loaded for a list of names, and in what order.
//
// Reading modules is for the build. On a machine there is an Index, which the
// build made of them.
package kmod

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/ulikunitz/xz"
)

// Errors of this package.
var (
	// ErrNotModule says that a file is no kernel module.
	ErrNotModule = errors.New("not a kernel module")
	// ErrUnknown says that a kernel does not have a module.
	ErrUnknown = errors.New("the kernel has no such module")
)

// maxSize is the largest module that we read, in bytes.
const maxSize = 64 << 20

// Info is what a module says about itself.
type Info struct {
	Name    string   // with underscores
	Depends []string // names of the modules that must be there before it
	Soft    []string // names of those that should be, if the kernel has them
	Aliases []string // patterns of the devices it is for
	Release string   // of the kernel that it was made for

	// Firmware is the files below /usr/lib/firmware that it may ask for,
	// depending on the device.
	Firmware []string
}

// Read reads a module, which is not compressed.
func Read(r io.ReaderAt) (info Info, err error) {
	file, err := elf.NewFile(r)
	if err != nil {
		return info, fmt.Errorf("%w: %w", ErrNotModule, err)
	}

	section := file.Section(".modinfo")
	if section == nil || section.Type == elf.SHT_NOBITS || section.Size > maxSize {
		return info, ErrNotModule
	}

	data, err := section.Data()
	if err != nil {
		return info, fmt.Errorf("%w: %w", ErrNotModule, err)
	}

	for field := range bytes.SplitSeq(data, []byte{0}) {
		key, value, _ := strings.Cut(string(field), "=")

		switch key {
		case "name":
			info.Name = Normal(value)
		case "depends":
			info.Depends = append(info.Depends, names(strings.Split(value, ","))...)
		case "softdep":
			info.Soft = append(info.Soft, before(value)...)
		case "alias":
			info.Aliases = append(info.Aliases, value)
		case "firmware":
			info.Firmware = append(info.Firmware, value)
		case "vermagic":
			info.Release, _, _ = strings.Cut(value, " ")
		}
	}

	if info.Name == "" {
		return info, ErrNotModule
	}

	return info, nil
}

// Normal is a module's name as the kernel writes it: dashes and underscores are
// the same.
func Normal(name string) string { return strings.ReplaceAll(name, "-", "_") }

func names(words []string) []string {
	var result []string

	for _, word := range words {
		if word != "" {
			result = append(result, Normal(word))
		}
	}

	return result
}

// before is the modules of a soft dependency ("pre: a b post: c") that come
// first.
func before(value string) []string {
	_, pre, found := strings.Cut(value, "pre:")
	if !found {
		return nil
	}

	pre, _, _ = strings.Cut(pre, "post:")

	return names(strings.Fields(pre))
}

// Set is the modules of one kernel.
type Set struct {
	files   fs.FS
	paths   map[string]string // by normal name
	builtin map[string]bool
}

// Open finds the modules in a kernel's folder, usually
// /usr/lib/modules/<release>, without reading them.
func Open(files fs.FS) (*Set, error) {
	s := &Set{files: files, paths: map[string]string{}}

	list, err := fs.ReadFile(files, BuiltinFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("finding kernel modules: %w", err)
	}

	s.builtin = builtinNames(list)

	err = fs.WalkDir(files, ".", func(file string, entry fs.DirEntry, err error) error {
		if name, ok := moduleName(file); ok && err == nil && entry.Type().IsRegular() {
			s.paths[name] = file
		}

		return err
	})
	if err != nil {
		return nil, fmt.Errorf("finding kernel modules: %w", err)
	}

	return s, nil
}

// moduleName is the name of the module in a file of this path.
func moduleName(file string) (string, bool) {
	base := path.Base(file)
	name, found := strings.CutSuffix(strings.TrimSuffix(base, ".xz"), ".ko")

	return Normal(name), found && name != ""
}

// Module is a module of a Set.
type Module struct {
	Info
	Path string // in the set's folder
	Data []byte // not compressed, with its signature
}

// Load reads one module. It is ErrUnknown when the kernel does not have it.
func (s *Set) Load(name string) (Module, error) {
	file, ok := s.paths[Normal(name)]
	if !ok {
		return Module{}, fmt.Errorf("reading kernel module %s: %w", name, ErrUnknown)
	}

	m, err := ReadFile(s.files, file)
	if err != nil {
		return Module{}, fmt.Errorf("reading kernel module %s: %w", name, err)
	}

	return m, nil
}

// ReadFile reads the module in a file, which may be compressed with xz.
func ReadFile(files fs.FS, file string) (Module, error) {
	data, err := readAll(files, file)
	if err != nil {
		return Module{}, fmt.Errorf("reading %s: %w", file, err)
	}

	info, err := Read(bytes.NewReader(data))
	if err != nil {
		return Module{}, fmt.Errorf("reading %s: %w", file, err)
	}

	return Module{Info: info, Path: file, Data: data}, nil
}

func readAll(files fs.FS, file string) ([]byte, error) {
	f, err := files.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()

	var r io.Reader = f

	if strings.HasSuffix(file, ".xz") {
		if r, err = xz.NewReader(f); err != nil {
			return nil, err
		}
	}

	data, err := io.ReadAll(io.LimitReader(r, maxSize+1))
	if err == nil && len(data) > maxSize {
		err = fmt.Errorf("%w: it has more than %d bytes", ErrNotModule, maxSize)
	}

	return data, err
}

// Closure is the named modules and all that they need, each after those that it
// needs. What is built into the kernel is left out.
func (s *Set) Closure(names ...string) ([]Module, error) {
	var result []Module

	seen := map[string]bool{}

	var visit func(name string, optional bool) error

	visit = func(name string, optional bool) error {
		name = Normal(name)

		if seen[name] || s.builtin[name] {
			return nil
		}

		if _, known := s.paths[name]; !known && optional {
			return nil
		}

		seen[name] = true

		m, err := s.Load(name)
		if err != nil {
			return err
		}

		for _, need := range m.Depends {
			if err := visit(need, false); err != nil {
				return fmt.Errorf("%s needs it: %w", name, err)
			}
		}

		for _, need := range m.Soft {
			if err := visit(need, true); err != nil {
				return fmt.Errorf("%s wants it: %w", name, err)
			}
		}

		result = append(result, m)

		return nil
	}

	for _, name := range names {
		if err := visit(name, false); err != nil {
			return nil, err
		}
	}

	return result, nil
}

// Expand replaces folders, which end with "/", by the names of the modules that
// lie below them in kernel/. A folder without modules is ErrUnknown.
func (s *Set) Expand(list []string) ([]string, error) {
	var result []string

	for _, name := range list {
		if !strings.HasSuffix(name, "/") {
			result = append(result, name)

			continue
		}

		found := len(result)

		for module, file := range s.paths {
			if strings.HasPrefix(file, "kernel/"+name) {
				result = append(result, module)
			}
		}

		if len(result) == found {
			return nil, fmt.Errorf("finding kernel modules below %s: %w", name, ErrUnknown)
		}

		slices.Sort(result[found:])
	}

	return result, nil
}

// ParseList reads a list of kernel modules: one name in a line, or a folder below
// kernel/ that ends with "/" for all modules in it; # begins a comment. What is
// there twice is an error.
func ParseList(text string) ([]string, error) {
	var result []string

	for line := range strings.Lines(text) {
		name, _, _ := strings.Cut(line, "#")

		name = strings.TrimSpace(name)
		if name == "" {
			continue
		}

		if !strings.HasSuffix(name, "/") {
			if strings.Contains(name, "/") {
				return nil, fmt.Errorf("reading a list of kernel modules: %q is no name", name)
			}

			name = Normal(name)
		}

		if strings.ContainsAny(name, " \t.") || slices.Contains(result, name) {
			return nil, fmt.Errorf("reading a list of kernel modules: %q is no name or is there twice", name)
		}

		result = append(result, name)
	}

	return result, nil
}
