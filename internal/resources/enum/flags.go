package enum

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Flags is the table of a set of bits: every named bit and its text. The text
// of a set is the texts of its bits in rising order, joined by commas; bits
// without a name are added as one hexadecimal number.
type Flags[T ~uint32] map[T]string

// Text returns the text of the set v; the empty set has the empty text.
func (f Flags[T]) Text(v T) string {
	bits := make([]T, 0, len(f))
	for bit := range f {
		bits = append(bits, bit)
	}

	slices.Sort(bits)

	var texts []string

	for _, bit := range bits {
		if v&bit != 0 {
			texts = append(texts, f[bit])
			v &^= bit
		}
	}

	if v != 0 {
		texts = append(texts, "0x"+strconv.FormatUint(uint64(v), 16))
	}

	return strings.Join(texts, ",")
}

// MarshalText returns the text of v as bytes; it never fails.
func (f Flags[T]) MarshalText(v T) ([]byte, error) {
	return []byte(f.Text(v)), nil
}

// UnmarshalText sets v to the set that text names.
func (f Flags[T]) UnmarshalText(text []byte, v *T) error {
	var set T

	for part := range strings.SplitSeq(string(text), ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}

		bit, err := f.bit(part)
		if err != nil {
			return err
		}

		set |= bit
	}

	*v = set

	return nil
}

func (f Flags[T]) bit(text string) (T, error) {
	for bit, name := range f {
		if name == text {
			return bit, nil
		}
	}

	number, err := strconv.ParseUint(text, 0, 32)
	if err != nil {
		return 0, fmt.Errorf("parsing %q: no such flag", text)
	}

	return T(number), nil
}
