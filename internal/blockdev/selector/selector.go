// Package selector evaluates the CEL expressions with which a configuration
// chooses disks and volumes.
//
// In an expression about disks, disk is the disk with the fields that
// "basaltctl get disks -o yaml" shows, and system_disk says whether it is the
// one that the system is on. In an expression about volumes there is also
// volume, with the fields of "get discoveredvolumes". KiB, MiB, GiB, TiB, KB,
// MB, GB and TB are numbers of bytes: disk.size > 100u * GB. glob(pattern, text)
// says whether a text is like a pattern, in which a star stands for anything.
package selector

import (
	"fmt"
	"reflect"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/ext"

	"github.com/basalt-os/basalt/internal/expression"
	"github.com/basalt-os/basalt/internal/resources/block"
)

// Subject is what an expression is about.
type Subject struct {
	Disk *block.Disk // nil when it is not known
	// Volume is set for expressions about volumes.
	Volume *block.DiscoveredVolume
	// SystemDisk says that the disk is the one that the system is on.
	SystemDisk bool
}

// Selector is a compiled expression. It is safe for concurrent use.
type Selector struct {
	text    string
	program cel.Program
}

// ForDisks compiles an expression about disks.
func ForDisks(expression block.Expression) (*Selector, error) {
	return compile(expression, cel.Variable("disk", cel.ObjectType(typeName[block.Disk]())), cel.Variable("system_disk", cel.BoolType))
}

// ForVolumes compiles an expression about volumes.
func ForVolumes(expression block.Expression) (*Selector, error) {
	return compile(expression,
		cel.Variable("disk", cel.ObjectType(typeName[block.Disk]())), cel.Variable("system_disk", cel.BoolType),
		cel.Variable("volume", cel.ObjectType(typeName[block.DiscoveredVolume]())))
}

// typeName is how the library names a native type.
func typeName[T any]() string { return reflect.TypeFor[T]().String() }

func compile(text block.Expression, variables ...cel.EnvOption) (*Selector, error) {
	options := append(variables, ext.NativeTypes(
		reflect.TypeFor[block.Disk](), reflect.TypeFor[block.DiscoveredVolume](), ext.ParseStructTag("yaml"),
	))

	for name, bytes := range map[string]uint64{
		"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
	} {
		options = append(options, cel.Constant(name, cel.UintType, types.Uint(bytes)))
	}

	program, err := expression.Compile(string(text), cel.BoolType, append(options, expression.Glob())...)
	if err != nil {
		return nil, err
	}

	return &Selector{text: string(text), program: program}, nil
}

// Matches evaluates the expression.
func (s *Selector) Matches(subject Subject) (bool, error) {
	disk := subject.Disk
	if disk == nil {
		disk = &block.Disk{}
	}

	values := map[string]any{"disk": disk, "system_disk": subject.SystemDisk}
	if subject.Volume != nil {
		values["volume"] = subject.Volume
	}

	result, _, err := s.program.Eval(values)
	if err != nil {
		return false, fmt.Errorf("evaluating expression %q: %w", s.text, err)
	}

	matches, ok := result.Value().(bool)
	if !ok {
		return false, fmt.Errorf("evaluating expression %q: its result is no truth value", s.text)
	}

	return matches, nil
}
