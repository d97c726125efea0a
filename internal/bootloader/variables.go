package bootloader

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf16"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"
)

// Variables are those of the firmware. A variable that is not there gives
// ErrNoVariable, and so does everything on a machine without UEFI.
type Variables interface {
	// Read returns the value of a variable.
	Read(v Variable) ([]byte, error)
	// Write sets a variable, which firmware keeps when the machine is off.
	Write(v Variable, value []byte) error
	// Delete removes a variable. One that is not there is no error.
	Delete(v Variable) error
	// List is the names of a vendor's variables that begin with a prefix.
	List(vendor uuid.UUID, prefix string) ([]string, error)
}

// Variable names a variable.
type Variable struct {
	Vendor uuid.UUID
	Name   string
}

// File is its name in efivarfs.
func (v Variable) File() string { return v.Name + "-" + v.Vendor.String() }

// ErrNoVariable says that firmware has no such variable.
var ErrNoVariable = errors.New("firmware has no such variable")

// Vendors of variables.
var (
	vendorGlobal = uuid.MustParse("8be4df61-93ca-11d2-aa0d-00e098032b8c")
	vendorLoader = uuid.MustParse("4a67b082-0a4c-41cf-b6c7-440b29bb8c4f") // boot loaders, by systemd
)

// loaderVariable is one of those by which boot loaders and systems talk, see
// systemd's "Boot Loader Interface".
func loaderVariable(name string) Variable { return Variable{vendorLoader, name} }

// choices name the variables that make systemd-boot start an entry whatever its
// counter says.
func choices() []Variable {
	return []Variable{loaderVariable("LoaderEntryOneShot"), loaderVariable("LoaderEntryDefault")}
}

// decodeText reads a value that is text, in UTF-16 with a zero at its end.
func decodeText(value []byte) (string, error) {
	if len(value)%2 != 0 || len(value) > maxText {
		return "", fmt.Errorf("a variable of %d bytes is no text", len(value))
	}

	units := make([]uint16, 0, len(value)/2)

	for i := 0; i < len(value); i += 2 {
		unit := binary.LittleEndian.Uint16(value[i:])
		if unit == 0 {
			break
		}

		units = append(units, unit)
	}

	return string(utf16.Decode(units)), nil
}

// maxText is the longest text that is read from a variable, in bytes.
const maxText = 8192

// readText reads a variable that is text.
func readText(vars Variables, v Variable) (string, error) {
	value, err := vars.Read(v)
	if err != nil {
		return "", fmt.Errorf("reading variable %s: %w", v.Name, err)
	}

	text, err := decodeText(value)
	if err != nil {
		return "", fmt.Errorf("reading variable %s: %w", v.Name, err)
	}

	return text, nil
}

// Filesystem are the variables as the kernel shows them in a folder, usually
// /sys/firmware/efi/efivars.
type Filesystem struct{ Folder string }

// attributes are those of the variables that we write: kept when the machine is
// off, and there for boot loaders and for systems.
const attributes = 0x7

// attributesSize is what the kernel puts before each value.
const attributesSize = 4

// immutable is the flag of a file that cannot be changed; golang.org/x/sys does
// not have it.
const immutable = 0x10

// Read implements [Variables].
func (f Filesystem) Read(v Variable) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(f.Folder, v.File()))

	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: %s", ErrNoVariable, v.Name)
	case err != nil:
		return nil, err
	case len(data) < attributesSize:
		return nil, fmt.Errorf("variable %s has %d bytes", v.Name, len(data))
	}

	return data[attributesSize:], nil
}

// Write implements [Variables].
func (f Filesystem) Write(v Variable, value []byte) error {
	if _, err := os.Stat(f.Folder); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("writing variable %s: %w", v.Name, ErrNoVariable)
	}

	if old, err := f.Read(v); err == nil && bytes.Equal(old, value) {
		return nil // firmware's memory wears out
	}

	name := filepath.Join(f.Folder, v.File())
	if err := f.unlock(name); err != nil {
		return fmt.Errorf("writing variable %s: %w", v.Name, err)
	}

	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return fmt.Errorf("writing variable %s: %w", v.Name, err)
	}

	// The kernel takes one write as the whole value.
	_, err = file.Write(append(binary.LittleEndian.AppendUint32(nil, attributes), value...))
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("writing variable %s: %w", v.Name, err)
	}

	return nil
}

// Delete implements [Variables].
func (f Filesystem) Delete(v Variable) error {
	name := filepath.Join(f.Folder, v.File())

	err := f.unlock(name)
	if err == nil {
		err = os.Remove(name)
	}

	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("deleting variable %s: %w", v.Name, err)
	}

	return nil
}

// List implements [Variables].
func (f Filesystem) List(vendor uuid.UUID, prefix string) ([]string, error) {
	entries, err := os.ReadDir(f.Folder)

	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("listing variables: %w", ErrNoVariable)
	case err != nil:
		return nil, fmt.Errorf("listing variables: %w", err)
	}

	var names []string

	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), "-"+vendor.String()); ok && strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}

	return names, nil
}

// unlock takes away the flag by which the kernel keeps variables from being
// deleted by mistake.
func (f Filesystem) unlock(name string) error {
	file, err := os.Open(name)

	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	defer file.Close()

	fd := int(file.Fd())

	flags, err := unix.IoctlGetInt(fd, unix.FS_IOC_GETFLAGS)
	if err != nil || flags&immutable == 0 {
		return nil // such a file system has no flags
	}

	return unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, flags&^immutable)
}
