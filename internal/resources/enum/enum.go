// Package enum gives small integer types their text forms from one table each.
package enum

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Integer is what an enumeration can be made of.
type Integer interface {
	~int | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32
}

// Names is the table of an enumeration: every named value and its text.
// A value without a name has its decimal number as text, so that nothing that
// the kernel or a newer peer says is lost.
type Names[T Integer] map[T]string

// Text returns the text of v.
func (n Names[T]) Text(v T) string {
	if text, ok := n[v]; ok {
		return text
	}

	return strconv.FormatInt(int64(v), 10)
}

// MarshalText returns the text of v as bytes; it never fails.
func (n Names[T]) MarshalText(v T) ([]byte, error) {
	return []byte(n.Text(v)), nil
}

// UnmarshalText sets v to the value that text names. The empty text is the
// zero value; a text that is no name must be a decimal number in range.
func (n Names[T]) UnmarshalText(text []byte, v *T) error {
	s := string(text)
	if s == "" {
		*v = 0

		return nil
	}

	for value, name := range n {
		if name == s {
			*v = value

			return nil
		}
	}

	number, err := strconv.ParseInt(s, 10, 64)
	if err != nil || int64(T(number)) != number {
		return fmt.Errorf("parsing %q: want one of %s", s, strings.Join(n.sorted(), ", "))
	}

	*v = T(number)

	return nil
}

// Values returns the named values in rising order.
func (n Names[T]) Values() []T {
	values := make([]T, 0, len(n))
	for v := range n {
		values = append(values, v)
	}

	slices.Sort(values)

	return values
}

func (n Names[T]) sorted() []string {
	texts := make([]string, 0, len(n))
	for _, v := range n.Values() {
		texts = append(texts, n[v])
	}

	return texts
}
