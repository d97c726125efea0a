package server

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/basalt-os/basalt/api/machine"
)

// parseMeminfo reads /proc/meminfo. The fields of the message are named after
// the kernel's lines, so a line finds its field by its name in lower case
// without punctuation; lines without a field are passed over, and a line that
// is no counter is an error.
func parseMeminfo(input io.Reader) (*machine.MemInfo, error) {
	info := &machine.MemInfo{}
	message := info.ProtoReflect()
	fields := message.Descriptor().Fields()
	lines := bufio.NewScanner(input)
	for lines.Scan() {
		name, rest, found := strings.Cut(lines.Text(), ":")
		words := strings.Fields(rest)
		if !found || len(words) == 0 {
			return nil, fmt.Errorf("parsing memory counters: line %q has no value", lines.Text())
		}
		value, err := strconv.ParseUint(words[0], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("parsing memory counters: line %q: %w", lines.Text(), err)
		}
		if field := fields.ByName(meminfoField(name)); field != nil {
			message.Set(field, protoreflect.ValueOfUint64(value))
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("parsing memory counters: %w", err)
	}
	return info, nil
}

// meminfoField is the name of the field for a line such as "Active(anon)".
func meminfoField(name string) protoreflect.Name {
	field := strings.Map(func(r rune) rune {
		switch r {
		case '(', ')', '_':
			return -1
		}
		return r
	}, strings.ToLower(name))
	return protoreflect.Name(field)
}
