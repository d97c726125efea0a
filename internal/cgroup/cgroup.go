// Package cgroup creates, fills, measures and removes control groups on both
// layouts that a host may have:
//
//   - the unified layout (version 2): one tree, controllers are enabled from
//     parent to child;
//   - the legacy and hybrid layouts (version 1): one tree per controller, plus
//     trees without controllers. A group exists in every tree; a new cpuset
//     group takes its processors and memory nodes from its parent.
//
// A [Tree] hides the difference. Groups are named by their path below the root
// of the node's own control group namespace, such as "system/apid".
package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Mountpoint is where the trees are mounted.
const Mountpoint = "/sys/fs/cgroup"

// cpuPeriod is the interval over which processor time is limited, in
// microseconds: the kernel's default.
const cpuPeriod = 100_000

// Limits are the resources of a group. The zero value of a field leaves the
// system's default.
type Limits struct {
	MemoryMin int64   // bytes that are not reclaimed; version 2 only
	MemoryLow int64   // bytes that are reclaimed last; version 2 only
	MemoryMax int64   // bytes
	CPUWeight uint64  // 1 to 10000, default 100
	CPUMax    float64 // processors' worth of time
	PidsMax   int64
}

// Hierarchy is one mounted tree of version 1.
type Hierarchy struct {
	Path        string   // mount point
	Controllers []string // as the kernel names them; empty for a named tree
}

// Tree gives access to the control groups under one root. Its methods may be
// called concurrently; the kernel serialises changes.
type Tree struct {
	unified     string      // root of the version 2 tree
	hierarchies []Hierarchy // of version 1; nil on a unified system
}

// Open finds the control groups that are mounted at or below root, normally
// [Mountpoint].
func Open(root string) (*Tree, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(root, &fs); err != nil {
		return nil, fmt.Errorf("inspecting %s: %w", root, err)
	}

	if fs.Type == unix.CGROUP2_SUPER_MAGIC {
		return &Tree{unified: root}, nil
	}

	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("finding control groups: %w", err)
	}
	defer file.Close()

	hierarchies, err := ParseMounts(file, root)
	if err != nil {
		return nil, fmt.Errorf("finding control groups: %w", err)
	}

	if len(hierarchies) == 0 {
		return nil, fmt.Errorf("finding control groups: nothing is mounted below %s", root)
	}

	return &Tree{hierarchies: hierarchies}, nil
}

// Unified says whether the system has the version 2 layout.
func (t *Tree) Unified() bool { return t.hierarchies == nil }

// Make makes one group directly below the root and gives it no controllers: a
// place to which the processes of the root can move before [Tree.Create] is
// used, since on the unified layout only a root without processes can give
// controllers to its children.
func (t *Tree) Make(group string) error {
	if !t.Unified() {
		return t.Create(group, Limits{})
	}

	if err := os.Mkdir(filepath.Join(t.unified, group), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("creating control group %q: %w", group, err)
	}

	return nil
}

// Create makes a group and its ancestors, and sets its limits. A group that
// exists keeps its processes and gets the limits. Limits whose controller the
// system does not have are ignored.
func (t *Tree) Create(group string, limits Limits) error {
	if !filepath.IsLocal(group) {
		return fmt.Errorf("creating control group %q: the path leaves the root", group)
	}

	create := t.createLegacy
	if t.Unified() {
		create = t.createUnified
	}

	if err := create(group); err != nil {
		return fmt.Errorf("creating control group %q: %w", group, err)
	}

	if err := t.limit(group, limits); err != nil {
		return fmt.Errorf("limiting control group %q: %w", group, err)
	}

	return nil
}

// Add moves a process with all its threads into a group.
func (t *Tree) Add(group string, pid int) error {
	for _, dir := range t.dirs(group) {
		if err := write(dir, "cgroup.procs", strconv.Itoa(pid)); err != nil {
			return fmt.Errorf("moving process %d to control group %q: %w", pid, group, err)
		}
	}

	return nil
}

// Processes returns the processes of a group, without those of its children.
// It is empty when the group does not exist.
func (t *Tree) Processes(group string) ([]int, error) {
	data, err := os.ReadFile(filepath.Join(t.primary(group), "cgroup.procs"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}

	if err != nil {
		return nil, fmt.Errorf("listing processes of control group %q: %w", group, err)
	}

	return ParsePIDs(data)
}

// ProcessesBelow returns the processes of a group and of all groups below it.
// It is empty when the group does not exist.
func (t *Tree) ProcessesBelow(group string) ([]int, error) {
	pids, err := t.Processes(group)
	if err != nil {
		return nil, err
	}

	entries, err := os.ReadDir(t.primary(group))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("listing control groups below %q: %w", group, err)
	}

	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}

		below, err := t.ProcessesBelow(filepath.Join(group, entry.Name()))
		if err != nil {
			return nil, err
		}

		pids = append(pids, below...)
	}

	return pids, nil
}

// DeleteEmpty removes a group that has neither processes nor children, and
// leaves any other alone.
func (t *Tree) DeleteEmpty(group string) error {
	for _, dir := range t.dirs(group) {
		err := unix.Rmdir(dir)
		if err != nil && !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("deleting control group %q: %w", group, err)
		}
	}

	return nil
}

// Delete removes a group and its children, which must have no processes left.
// A group that does not exist is fine.
func (t *Tree) Delete(group string) error {
	if !filepath.IsLocal(group) || filepath.Clean(group) == "." {
		return fmt.Errorf("deleting control group %q: not a group below the root", group)
	}

	for _, dir := range t.dirs(group) {
		if err := removeTree(dir); err != nil {
			return fmt.Errorf("deleting control group %q: %w", group, err)
		}
	}

	return nil
}

// Freeze stops all processes of a group and its children, so that they can be
// signalled without racing with their forks; thaw lets them go on.
func (t *Tree) Freeze(group string, frozen bool) error {
	name, value := "cgroup.freeze", "0"
	dir := t.primary(group)

	if frozen {
		value = "1"
	}

	if !t.Unified() {
		name, value = "freezer.state", "THAWED"
		if frozen {
			value = "FROZEN"
		}

		dir = t.dir("freezer", group)
	}

	if dir == "" {
		return nil
	}

	if err := write(dir, name, value); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("freezing control group %q: %w", group, err)
	}

	return nil
}

// dirs returns the directories of a group in all trees.
func (t *Tree) dirs(group string) []string {
	if t.Unified() {
		return []string{filepath.Join(t.unified, group)}
	}

	dirs := make([]string, 0, len(t.hierarchies))
	for _, h := range t.hierarchies {
		dirs = append(dirs, filepath.Join(h.Path, group))
	}

	return dirs
}

// dir returns the directory of a group in the tree of a controller, or an
// empty string when the system does not have that controller.
func (t *Tree) dir(controller, group string) string {
	if t.Unified() {
		return filepath.Join(t.unified, group)
	}

	for _, h := range t.hierarchies {
		if slices.Contains(h.Controllers, controller) {
			return filepath.Join(h.Path, group)
		}
	}

	return ""
}

// primary returns the directory in which a group's processes are listed.
func (t *Tree) primary(group string) string {
	return t.dirs(group)[0]
}

func (t *Tree) createLegacy(group string) error {
	for _, h := range t.hierarchies {
		dir := h.Path

		for name := range strings.SplitSeq(filepath.Clean(group), "/") {
			parent := dir
			dir = filepath.Join(dir, name)

			if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}

			if !slices.Contains(h.Controllers, "cpuset") {
				continue
			}

			for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
				if err := seed(parent, dir, file); err != nil {
					return err
				}
			}
		}
	}

	return nil
}

// seed copies a cpuset file from parent to child unless the child has a value:
// without it no process can enter the child.
func seed(parent, child, file string) error {
	own, err := os.ReadFile(filepath.Join(child, file))
	if err != nil || len(strings.TrimSpace(string(own))) > 0 {
		return err
	}

	value, err := os.ReadFile(filepath.Join(parent, file))
	if err != nil {
		return err
	}

	return write(child, file, strings.TrimSpace(string(value)))
}

func (t *Tree) createUnified(group string) error {
	dir := t.unified

	for name := range strings.SplitSeq(filepath.Clean(group), "/") {
		if err := enableControllers(dir); err != nil {
			return err
		}

		dir = filepath.Join(dir, name)

		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}

	return nil
}

// enableControllers gives all controllers of a version 2 group to its
// children. One at a time, since a controller that cannot be delegated here
// must not keep the others away.
func enableControllers(dir string) error {
	available, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return err
	}

	enabled, err := os.ReadFile(filepath.Join(dir, "cgroup.subtree_control"))
	if err != nil {
		return err
	}

	var errs []error

	for controller := range strings.FieldsSeq(string(available)) {
		if slices.Contains(strings.Fields(string(enabled)), controller) {
			continue
		}

		err := write(dir, "cgroup.subtree_control", "+"+controller)
		if err != nil && !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EINVAL) {
			errs = append(errs, fmt.Errorf("enabling controller %s: %w", controller, err))
		}
	}

	return errors.Join(errs...)
}

// limit writes the limits that are set.
func (t *Tree) limit(group string, limits Limits) error {
	type setting struct{ controller, file, value string }

	var settings []setting

	add := func(set bool, controller, unified, legacy, unifiedValue, legacyValue string) {
		file, value := unified, unifiedValue
		if !t.Unified() {
			file, value = legacy, legacyValue
		}

		if set && file != "" {
			settings = append(settings, setting{controller, file, value})
		}
	}

	decimal := func(n int64) string { return strconv.FormatInt(n, 10) }

	add(limits.MemoryMin > 0, "memory", "memory.min", "", decimal(limits.MemoryMin), "")
	add(limits.MemoryLow > 0, "memory", "memory.low", "", decimal(limits.MemoryLow), "")
	add(limits.MemoryMax > 0, "memory", "memory.max", "memory.limit_in_bytes",
		decimal(limits.MemoryMax), decimal(limits.MemoryMax))
	add(limits.PidsMax > 0, "pids", "pids.max", "pids.max", decimal(limits.PidsMax), decimal(limits.PidsMax))
	add(limits.CPUWeight > 0, "cpu", "cpu.weight", "cpu.shares",
		strconv.FormatUint(limits.CPUWeight, 10), strconv.FormatUint(shares(limits.CPUWeight), 10))

	quota := decimal(int64(limits.CPUMax * cpuPeriod))
	add(limits.CPUMax > 0, "cpu", "cpu.max", "cpu.cfs_quota_us", quota+" "+decimal(cpuPeriod), quota)

	for _, s := range settings {
		dir := t.dir(s.controller, group)
		if dir == "" {
			continue
		}

		if err := write(dir, s.file, s.value); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}

	return nil
}

// shares translates a weight of version 2 (default 100) into shares of
// version 1 (default 1024).
func shares(weight uint64) uint64 {
	return min(max(weight*1024/100, 2), 262144)
}

// write writes one value to a file of the control group file system. Such a
// file is never created.
func write(dir, name, value string) error {
	file, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}

	_, err = file.WriteString(value)

	return errors.Join(err, file.Close())
}

// removeTree removes a directory of groups from the leaves up.
func removeTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}

	if err != nil {
		return err
	}

	for _, entry := range entries {
		if entry.IsDir() {
			if err := removeTree(filepath.Join(dir, entry.Name())); err != nil {
				return err
			}
		}
	}

	if err := unix.Rmdir(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &fs.PathError{Op: "rmdir", Path: dir, Err: err}
	}

	return nil
}
