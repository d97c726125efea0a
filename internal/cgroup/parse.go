package cgroup

import (
	"bufio"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// flags are words among a mount's options that are not controllers.
var flags = []string{"rw", "ro", "clone_children", "noprefix", "xattr", "cpuset_v2_mode", "nsdelegate"}

// ParseMounts finds the version 1 trees at or below root in a mountinfo file.
// Where several are mounted over each other the last one is seen.
func ParseMounts(mountinfo io.Reader, root string) ([]Hierarchy, error) {
	var hierarchies []Hierarchy

	scanner := bufio.NewScanner(mountinfo)
	scanner.Buffer(nil, 1<<20)

	for scanner.Scan() {
		path, fstype, options, err := parseMount(scanner.Text())
		if err != nil {
			return nil, err
		}

		below, err := filepath.Rel(root, path)
		if err != nil || !filepath.IsLocal(below) {
			continue
		}

		hierarchies = slices.DeleteFunc(hierarchies, func(h Hierarchy) bool { return h.Path == path })

		switch fstype {
		case "cgroup":
			hierarchies = append(hierarchies, Hierarchy{Path: path, Controllers: controllers(options)})
		case "cgroup2": // the tree without controllers of the hybrid layout
			hierarchies = append(hierarchies, Hierarchy{Path: path})
		}
	}

	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("reading mounts: %w", err)
	}

	return hierarchies, nil
}

// parseMount takes one line of mountinfo apart:
// "36 35 98:0 /root /mount/point rw,noatime shared:1 - ext3 /dev/x rw,errors=continue".
func parseMount(line string) (path, fstype, options string, err error) {
	before, after, ok := strings.Cut(line, " - ")
	if !ok {
		return "", "", "", fmt.Errorf("parsing mount %q: no separator", line)
	}

	fields, super := strings.Fields(before), strings.Fields(after)
	if len(fields) < 6 || len(super) < 2 {
		return "", "", "", fmt.Errorf("parsing mount %q: fields are missing", line)
	}

	return unescapeOctal(fields[4]), super[0], super[len(super)-1], nil
}

func controllers(options string) []string {
	var names []string

	for option := range strings.SplitSeq(options, ",") {
		if option != "" && !strings.Contains(option, "=") && !slices.Contains(flags, option) {
			names = append(names, option)
		}
	}

	return names
}

// unescapeOctal decodes the \ooo by which the kernel protects white space.
func unescapeOctal(text string) string {
	if !strings.Contains(text, `\`) {
		return text
	}

	var out strings.Builder

	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+3 < len(text) {
			if code, err := strconv.ParseUint(text[i+1:i+4], 8, 8); err == nil {
				out.WriteByte(byte(code))

				i += 3

				continue
			}
		}

		out.WriteByte(text[i])
	}

	return out.String()
}

// ParsePIDs decodes a file with one process number per line.
func ParsePIDs(data []byte) ([]int, error) {
	var pids []int

	for field := range strings.FieldsSeq(string(data)) {
		pid, err := strconv.ParseUint(field, 10, 31)
		if err != nil {
			return nil, fmt.Errorf("parsing process number: %w", err)
		}

		pids = append(pids, int(pid))
	}

	return pids, nil
}

// ParseKeyed decodes a flat keyed file, such as memory.stat: one "key value"
// per line.
func ParseKeyed(data []byte) (map[string]uint64, error) {
	values := map[string]uint64{}

	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}

		if len(fields) != 2 {
			return nil, fmt.Errorf("parsing keyed values: line %q has %d fields, want 2", strings.TrimSpace(line), len(fields))
		}

		value, err := ParseValue([]byte(fields[1]))
		if err != nil {
			return nil, fmt.Errorf("parsing value of %q: %w", fields[0], err)
		}

		values[fields[0]] = value
	}

	return values, nil
}

// ParseValue decodes a file with one number; "max" is the largest one.
func ParseValue(data []byte) (uint64, error) {
	text := strings.TrimSpace(string(data))
	if text == "max" {
		return 1<<64 - 1, nil
	}

	value, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("parsing number: %w", err)
	}

	return value, nil
}
