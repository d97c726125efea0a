package grub

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// envSize is the size of an environment block in bytes. GRUB writes it in place,
// so the file never has another.
const envSize = 1024

// envAtomic is the part of a block that has content, the first sector: the rest
// never changes, so a power cut while the file is written leaves the old block
// or the new one.
const envAtomic = 512

const envSignature = "# GRUB Environment Block\n"

// ErrEnv says that a file is no environment block.
var ErrEnv = errors.New("bad environment block of GRUB")

// State is what GRUB and the node tell each other: which image is started, and
// how often a new one has been.
type State struct {
	Good  string // ID of the entry that is known to work; "" for the first of the menu
	Trial string // ID of an entry that is being tried, "" for none
	Tries int    // how often GRUB will still start it, 0 to 9
}

// Failed reports whether the entry on trial has used up its tries: GRUB starts
// the good one again.
func (s State) Failed() bool { return s.Trial != "" && s.Tries == 0 }

// Next is the ID of the entry that GRUB starts next, "" for the first of the
// menu.
func (s State) Next() string {
	if s.Trial != "" && s.Tries > 0 {
		return s.Trial
	}

	return s.Good
}

// Encode returns the content of the file [EnvFile].
func (s State) Encode() ([]byte, error) {
	values := map[string]string{varGood: s.Good, varTrial: s.Trial, varTries: ""}

	if s.Tries < 0 || s.Tries > maxTries {
		return nil, fmt.Errorf("writing GRUB's environment: %w: %d tries", ErrEnv, s.Tries)
	}

	if s.Trial != "" {
		values[varTries] = strconv.Itoa(s.Tries)
	}

	for _, id := range []string{s.Good, s.Trial} {
		if id != "" && !idPattern.MatchString(id) {
			return nil, fmt.Errorf("writing GRUB's environment: %w: %q is no name of an entry", ErrEnv, id)
		}
	}

	return encodeEnv(values)
}

// DecodeState reads the content of the file [EnvFile]. A block with values that
// GRUB would not write is ErrEnv.
func DecodeState(data []byte) (State, error) {
	values, err := decodeEnv(data)
	if err != nil {
		return State{}, err
	}

	s := State{Good: values[varGood], Trial: values[varTrial]}

	for _, id := range []string{s.Good, s.Trial} {
		if id != "" && !idPattern.MatchString(id) {
			return State{}, fmt.Errorf("reading GRUB's environment: %w: %q is no name of an entry", ErrEnv, id)
		}
	}

	if tries := values[varTries]; tries != "" && s.Trial != "" {
		if s.Tries, err = strconv.Atoi(tries); err != nil || s.Tries < 0 || s.Tries > maxTries {
			return State{}, fmt.Errorf("reading GRUB's environment: %w: %q tries", ErrEnv, tries)
		}
	}

	return s, nil
}

// encodeEnv writes an environment block: a line, the variables sorted by name,
// and "#" up to the end.
func encodeEnv(values map[string]string) ([]byte, error) {
	var block bytes.Buffer

	block.WriteString(envSignature)

	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}

	slices.Sort(names)

	for _, name := range names {
		block.WriteString(name + "=")

		for _, c := range []byte(values[name]) {
			if c == '\\' || c == '\n' {
				block.WriteByte('\\')
			}

			block.WriteByte(c)
		}

		block.WriteByte('\n')
	}

	if block.Len() > envAtomic {
		return nil, fmt.Errorf("writing GRUB's environment: %w: it has %d bytes, %d fit", ErrEnv, block.Len(), envAtomic)
	}

	block.WriteString(strings.Repeat("#", envSize-block.Len()))

	return block.Bytes(), nil
}

// decodeEnv reads a block. What GRUB would skip is skipped.
func decodeEnv(data []byte) (map[string]string, error) {
	if len(data) != envSize || !bytes.HasPrefix(data, []byte(envSignature)) {
		return nil, fmt.Errorf("reading GRUB's environment: %w: %d bytes without its first line", ErrEnv, len(data))
	}

	values := map[string]string{}

	for rest := data[len(envSignature):]; len(rest) > 0; {
		var line []byte

		line, rest = envLine(rest)

		name, value, ok := strings.Cut(string(line), "=")
		if ok && name != "" && line[0] != '#' {
			values[name] = value
		}
	}

	return values, nil
}

// envLine is the first line of a block, with what is escaped in it, and the
// rest.
func envLine(data []byte) (line, rest []byte) {
	for i := 0; i < len(data); i++ {
		switch {
		case data[i] == '\n':
			return line, data[i+1:]
		case data[i] == '\\' && i+1 < len(data):
			i++
		}

		line = append(line, data[i])
	}

	return line, nil
}
