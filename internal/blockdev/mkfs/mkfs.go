// Package mkfs makes file systems, and makes them larger.
//
// XFS, ext4 and Btrfs are made by their own programs; the header of swap space
// is written here. Nothing in this package asks whether a device is empty: who
// calls it has looked.
package mkfs

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/basalt-os/basalt/internal/blockdev"
)

// Kinds of file systems that can be made, as the wire names them.
const (
	XFS   = "xfs"
	Ext4  = "ext4"
	Btrfs = "btrfs"
	Swap  = "swap"
)

// ErrUnsupported says that a file system cannot be made here.
var ErrUnsupported = errors.New("this file system cannot be made")

// Spec is the file system to make.
type Spec struct {
	Kind  string
	Label string // shortened to what the file system can hold
	// ProjectQuota makes an ext4 file system that can account by project.
	ProjectQuota bool
	// MinAllocationGroup is the smallest size of XFS's allocation groups in
	// bytes; 0 leaves the choice to its program.
	MinAllocationGroup uint64
}

// Runner starts processes and waits for them. The first process of a machine
// must not do so on its own, because it collects all dead processes.
type Runner interface {
	Start(cmd *exec.Cmd) error
	Wait(cmd *exec.Cmd) error
}

// Plain is the Runner of any other process.
type Plain struct{}

// Start implements [Runner].
func (Plain) Start(cmd *exec.Cmd) error { return cmd.Start() }

// Wait implements [Runner].
func (Plain) Wait(cmd *exec.Cmd) error { return cmd.Wait() }

// Maker makes file systems. It is safe for concurrent use.
type Maker struct {
	Runner Runner
	Opener blockdev.Opener
}

// Make makes a file system on the device with a node, whose size in bytes is
// size. What was on the device is lost.
func (m Maker) Make(ctx context.Context, node string, size uint64, spec Spec) error {
	var err error

	switch spec.Kind {
	case XFS:
		err = m.run(ctx, "mkfs.xfs", append(xfsArguments(size, spec), node)...)
	case Ext4:
		err = m.run(ctx, "mkfs.ext4", append(extArguments(spec), node)...)
	case Btrfs:
		err = m.run(ctx, "mkfs.btrfs", append(btrfsArguments(spec), node)...)
	case Swap:
		err = m.swap(node, size, spec.Label)
	default:
		err = ErrUnsupported
	}

	if err != nil {
		return fmt.Errorf("making file system %s on %s: %w", spec.Kind, node, err)
	}

	return nil
}

const (
	// smallXFS is what mkfs.xfs refuses to make, unless told that it is for
	// something as special as our own small volumes.
	smallXFS = 300 << 20
	// defaultGroups is into how many allocation groups mkfs.xfs divides a disk
	// of less than 4 TiB.
	defaultGroups = 4

	labelXFS  = 12  // bytes
	labelExt  = 16  // bytes
	labelSwap = 15  // bytes
	labelBtr  = 255 // bytes
)

func xfsArguments(size uint64, spec Spec) []string {
	args := []string{"-f", "-q"}

	if size < smallXFS {
		args = append(args, "--unsupported")
	}

	// Large groups stay few when the file system grows with its disk later.
	if spec.MinAllocationGroup > 0 && size >= smallXFS && size/defaultGroups < spec.MinAllocationGroup {
		args = append(args, "-d", "agcount="+strconv.FormatUint(max(2, size/spec.MinAllocationGroup), 10))
	}

	return label(args, "-L", spec.Label, labelXFS)
}

func extArguments(spec Spec) []string {
	args := []string{"-F", "-q"}

	if spec.ProjectQuota {
		args = append(args, "-O", "quota,project", "-E", "quotatype=prjquota")
	}

	return label(args, "-L", spec.Label, labelExt)
}

func btrfsArguments(spec Spec) []string {
	return label([]string{"-f", "-q"}, "-L", spec.Label, labelBtr)
}

func label(args []string, flag, label string, limit int) []string {
	if label == "" {
		return args
	}

	return append(args, flag, label[:min(len(label), limit)])
}

// find is the path of a program. The environment of the first process may
// have none to search.
func find(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}

	for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin"} {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}

	return "", fmt.Errorf("%w: there is no program %s", ErrUnsupported, name)
}

// maxOutput is how much of what a program says an error quotes, in bytes.
const maxOutput = 400

func (m Maker) run(ctx context.Context, name string, args ...string) error {
	path, err := find(name)
	if err != nil {
		return err
	}

	var output bytes.Buffer

	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdout, cmd.Stderr = &output, &output

	if err := m.Runner.Start(cmd); err != nil {
		return fmt.Errorf("starting %s: %w", name, err)
	}

	if err := m.Runner.Wait(cmd); err != nil {
		said := strings.Join(strings.Fields(output.String()), " ")

		return fmt.Errorf("%s: %w: %s", name, err, said[:min(len(said), maxOutput)])
	}

	return nil
}

const (
	swapPage   = 4096
	swapPages  = 10 // the least that the kernel takes
	swapHeader = 1024
	swapMagic  = "SWAPSPACE2"
)

// swap writes the header of swap space: the number of its last page, who it
// is, and at the end of the first page what it is.
func (m Maker) swap(node string, size uint64, label string) error {
	pages := size / swapPage
	if pages < swapPages {
		return fmt.Errorf("%d bytes are too few", size)
	}

	// The kernel counts pages with 32 bits.
	pages = min(pages, 1<<32-1)

	page := make([]byte, swapPage)
	id := uuid.New()

	binary.NativeEndian.PutUint32(page[swapHeader:], 1)
	binary.NativeEndian.PutUint32(page[swapHeader+4:], uint32(pages-1))
	copy(page[swapHeader+12:], id[:])
	copy(page[swapHeader+28:swapHeader+28+labelSwap], label)
	copy(page[swapPage-len(swapMagic):], swapMagic)

	handle, err := m.Opener.Open(node, blockdev.Write)
	if err != nil {
		return err
	}

	_, err = handle.WriteAt(page, 0)

	return errors.Join(err, handle.Sync(), handle.Close())
}
