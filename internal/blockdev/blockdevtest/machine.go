// Package blockdevtest makes up block devices for tests: a folder in the form
// of /sys, and image files that are opened in place of device nodes. What a
// test does to partitions through them shows in the folder, as on a machine.
package blockdevtest

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/basalt-os/basalt/internal/blockdev"
)

// Machine has made-up disks. It implements [blockdev.Opener], and the source
// of events that controllers listen to. It is safe for concurrent use.
type Machine struct {
	// Root is the folder in the form of /sys.
	Root string

	t       testing.TB
	mu      sync.Mutex
	disks   map[string]*disk
	writes  map[string]int
	changes chan string
}

type disk struct {
	file  string
	path  string // below Root
	size  uint64
	parts map[int]blockdev.Range
	minor int
	inUse bool
	lock  *handle // that has it
}

// New is a machine without disks.
func New(t testing.TB) *Machine {
	t.Helper()

	m := &Machine{
		Root: t.TempDir(), t: t, disks: map[string]*disk{}, writes: map[string]int{}, changes: make(chan string, 1000),
	}
	m.write("class/block/.keep", "")

	if err := os.Remove(filepath.Join(m.Root, "class/block/.keep")); err != nil {
		t.Fatal(err)
	}

	return m
}

// System is the machine's tree.
func (m *Machine) System() blockdev.System { return blockdev.System{Root: m.Root} }

// Watch tells of devices that changed, until ctx ends.
func (m *Machine) Watch(ctx context.Context, changed func(names ...string)) error {
	changed()

	for {
		select {
		case name := <-m.changes:
			changed(name)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Add puts a disk of size bytes into the machine, all zeros. Path is where it
// is connected, such as pci0000:00/0000:00:04.0/virtio1/block. Files are
// further files below its folder, or links where the text begins with "-> ".
func (m *Machine) Add(name, path string, size uint64, files map[string]string) {
	m.t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()

	d := &disk{
		file: filepath.Join(m.t.TempDir(), name), path: filepath.Join("devices", path, name), size: size,
		parts: map[int]blockdev.Range{}, minor: 16 * len(m.disks),
	}
	m.disks[name] = d

	if err := os.WriteFile(d.file, nil, 0o600); err != nil {
		m.t.Fatal(err)
	}

	if err := os.Truncate(d.file, int64(size)); err != nil {
		m.t.Fatal(err)
	}

	m.write(d.path+"/dev", fmt.Sprintf("254:%d\n", d.minor))
	m.write(d.path+"/size", fmt.Sprintf("%d\n", size/512))
	m.write(d.path+"/ro", "0\n")
	m.write(d.path+"/queue/logical_block_size", "512\n")
	m.write(d.path+"/queue/minimum_io_size", "512\n")
	m.link(d.path+"/subsystem", "class/block")
	m.link("class/block/"+name, d.path)

	for file, text := range files {
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			m.link(d.path+"/"+file, target)
		} else {
			m.write(d.path+"/"+file, text)
		}
	}

	m.changes <- name
}

// Grow makes a disk larger.
func (m *Machine) Grow(name string, size uint64) {
	m.t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()

	d := m.disks[name]
	d.size = size

	if err := os.Truncate(d.file, int64(size)); err != nil {
		m.t.Fatal(err)
	}

	m.write(d.path+"/size", fmt.Sprintf("%d\n", size/512))
	m.changes <- name
}

// Remove takes a disk out.
func (m *Machine) Remove(name string) {
	m.t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()

	for number := range m.disks[name].parts {
		m.remove("class/block/" + blockdev.PartitionName(name, number))
	}

	m.remove("class/block/" + name)
	m.remove(m.disks[name].path)
	delete(m.disks, name)
	m.changes <- name
}

// Use makes a disk one that cannot be had alone.
func (m *Machine) Use(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()

	m.disks[name].inUse = true
}

// Writes is how often something was written to a disk.
func (m *Machine) Writes(name string) int {
	m.mu.Lock()
	defer m.mu.Unlock()

	return m.writes[name]
}

// Partitions are what the kernel would know of a disk's partitions.
func (m *Machine) Partitions(name string) map[int]blockdev.Range {
	m.mu.Lock()
	defer m.mu.Unlock()

	out := map[int]blockdev.Range{}
	for n, r := range m.disks[name].parts {
		out[n] = r
	}

	return out
}

// File writes a file below the root.
func (m *Machine) File(path, text string) { m.write(path, text) }

// Link makes a symbolic link below the root to another path below it.
func (m *Machine) Link(path, target string) { m.link(path, target) }

func (m *Machine) write(path, text string) {
	full := filepath.Join(m.Root, path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		m.t.Error(err)
	}

	if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
		m.t.Error(err)
	}
}

func (m *Machine) link(path, target string) {
	full := filepath.Join(m.Root, path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		m.t.Error(err)
	}

	if err := os.MkdirAll(filepath.Join(m.Root, target), 0o755); err != nil {
		m.t.Error(err)
	}

	if err := os.Symlink(filepath.Join(m.Root, target), full); err != nil && !os.IsExist(err) {
		m.t.Error(err)
	}
}

func (m *Machine) remove(path string) {
	if err := os.RemoveAll(filepath.Join(m.Root, path)); err != nil {
		m.t.Error(err)
	}
}

// Open implements [blockdev.Opener].
func (m *Machine) Open(node string, mode blockdev.Mode) (blockdev.Handle, error) {
	m.mu.Lock()
	defer m.mu.Unlock()

	name, found := blockdev.NameOf(node), false
	h := &handle{machine: m, mode: mode, name: name}

	for disk, d := range m.disks {
		if disk == name {
			h.disk, h.d, h.length, found = disk, d, d.size, true
		}

		for number, part := range d.parts {
			if blockdev.PartitionName(disk, number) == name {
				h.disk, h.d, h.offset, h.length, h.part, found = disk, d, part.Offset, part.Length, true, true
			}
		}
	}

	if !found {
		return nil, fmt.Errorf("opening %s: %w", node, os.ErrNotExist)
	}

	if mode == blockdev.Exclusive && h.d.inUse {
		return nil, fmt.Errorf("opening %s: %w", node, blockdev.ErrInUse)
	}

	var err error
	h.file, err = os.OpenFile(h.d.file, os.O_RDWR, 0)

	return h, err
}

type handle struct {
	machine        *Machine
	mode           blockdev.Mode
	name, disk     string
	d              *disk
	part           bool
	offset, length uint64
	file           *os.File
	written        bool
}

func (h *handle) ReadAt(data []byte, at int64) (int, error) {
	h.machine.mu.Lock()
	length := h.length
	if !h.part {
		length = h.d.size
	}
	h.machine.mu.Unlock()

	return io.NewSectionReader(h.file, int64(h.offset), int64(length)).ReadAt(data, at)
}

func (h *handle) WriteAt(data []byte, at int64) (int, error) {
	if h.mode == blockdev.Read {
		return 0, os.ErrPermission
	}

	h.wrote()

	return h.file.WriteAt(data, int64(h.offset)+at)
}

func (h *handle) wrote() {
	h.machine.mu.Lock()
	defer h.machine.mu.Unlock()

	h.machine.writes[h.disk]++
	h.written = true
}

// Close tells, as the machine's does, that something was written.
func (h *handle) Close() error {
	h.machine.mu.Lock()
	if h.d.lock == h {
		h.d.lock = nil
	}
	h.machine.mu.Unlock()

	if h.written {
		h.machine.changes <- h.name
	}

	return h.file.Close()
}

func (h *handle) Sync() error { return nil }

func (h *handle) Lock() error {
	h.machine.mu.Lock()
	defer h.machine.mu.Unlock()

	if h.d.lock != nil && h.d.lock != h {
		return blockdev.ErrLocked
	}

	h.d.lock = h

	return nil
}

func (h *handle) Size() (uint64, error) {
	h.machine.mu.Lock()
	defer h.machine.mu.Unlock()

	if h.part {
		return h.length, nil
	}

	return h.d.size, nil
}

func (h *handle) Zero(offset, length uint64) error {
	if h.mode == blockdev.Read {
		return os.ErrPermission
	}

	h.wrote()

	_, err := h.file.WriteAt(make([]byte, length), int64(h.offset+offset))

	return err
}

func (h *handle) AddPartition(p blockdev.Range) error {
	m := h.machine
	m.mu.Lock()
	defer m.mu.Unlock()

	if _, ok := h.d.parts[p.Number]; ok {
		return fmt.Errorf("adding partition %d: %w", p.Number, blockdev.ErrInUse)
	}

	h.d.parts[p.Number] = p
	h.show(p)

	return nil
}

func (h *handle) ResizePartition(p blockdev.Range) error {
	m := h.machine
	m.mu.Lock()
	defer m.mu.Unlock()

	if old, ok := h.d.parts[p.Number]; !ok || old.Offset != p.Offset {
		return fmt.Errorf("resizing partition %d: there is none there", p.Number)
	}

	h.d.parts[p.Number] = p
	h.show(p)

	return nil
}

func (h *handle) DeletePartition(number int) error {
	m := h.machine
	m.mu.Lock()
	defer m.mu.Unlock()

	delete(h.d.parts, number)
	m.remove("class/block/" + blockdev.PartitionName(h.disk, number))
	m.changes <- h.disk

	return nil
}

// show writes a partition to the tree.
func (h *handle) show(p blockdev.Range) {
	name := blockdev.PartitionName(h.disk, p.Number)
	path := h.d.path + "/" + name

	h.machine.write(path+"/dev", fmt.Sprintf("254:%d\n", h.d.minor+p.Number))
	h.machine.write(path+"/partition", strconv.Itoa(p.Number)+"\n")
	h.machine.write(path+"/start", fmt.Sprintf("%d\n", p.Offset/512))
	h.machine.write(path+"/size", fmt.Sprintf("%d\n", p.Length/512))
	h.machine.link(path+"/subsystem", "class/block")
	h.machine.link("class/block/"+name, path)
	h.machine.changes <- name
}
