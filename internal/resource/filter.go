package resource

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// filter says whether an object is wanted.
type filter func(Object) bool

// ListOption restricts what is listed or watched. Several must all hold.
type ListOption func(Object) bool

func newFilter(options []ListOption) filter {
	return func(object Object) bool {
		for _, option := range options {
			if !option(object) {
				return false
			}
		}

		return true
	}
}

// WithID wants IDs that match a regular expression.
func WithID(expression *regexp.Regexp) ListOption {
	return func(object Object) bool { return expression.MatchString(object.Metadata().ID) }
}

// WithLabels wants resources whose labels satisfy any of the queries.
func WithLabels(queries ...LabelQuery) ListOption {
	return func(object Object) bool {
		for _, query := range queries {
			if query.Matches(object.Metadata().Labels) {
				return true
			}
		}

		return len(queries) == 0
	}
}

// LabelQuery is a set of terms that must all hold.
type LabelQuery []LabelTerm

// Matches says whether all terms hold for a set of labels.
func (q LabelQuery) Matches(labels map[string]string) bool {
	for _, term := range q {
		if !term.Matches(labels) {
			return false
		}
	}

	return true
}

// LabelOp compares a label with the values of a term.
type LabelOp uint8

// The comparisons. Less and LessOrEqual compare text; the numeric ones compare
// whole numbers with an optional unit (k, M, G, T, P, or Ki, Mi, …) and fail
// for what is no number.
const (
	LabelExists LabelOp = iota
	LabelEqual
	LabelIn
	LabelLess
	LabelLessOrEqual
	LabelLessNumeric
	LabelLessOrEqualNumeric
)

// LabelTerm is one condition on one label. A label that is missing satisfies a
// term only when the term is inverted.
type LabelTerm struct {
	Key    string
	Op     LabelOp
	Values []string
	Invert bool
}

// Matches says whether the term holds for a set of labels.
func (t LabelTerm) Matches(labels map[string]string) bool {
	value, ok := labels[t.Key]

	return (ok && t.compare(value)) != t.Invert
}

func (t LabelTerm) compare(value string) bool {
	if t.Op == LabelExists {
		return true
	}

	if len(t.Values) == 0 {
		return false
	}

	want := t.Values[0]

	switch t.Op {
	case LabelEqual:
		return value == want
	case LabelIn:
		return slices.Contains(t.Values, value)
	case LabelLess:
		return value < want
	case LabelLessOrEqual:
		return value <= want
	}

	x, okX := number(value)
	y, okY := number(want)

	return okX && okY && (x < y || t.Op == LabelLessOrEqualNumeric && x == y)
}

// number parses a whole number with an optional unit.
func number(text string) (float64, bool) {
	digits := strings.TrimRight(text, "kKMGTPi")
	unit := text[len(digits):]

	value, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0, false
	}

	factor := 1.0
	base := 1000.0

	if strings.HasSuffix(unit, "i") {
		base, unit = 1024, strings.TrimSuffix(unit, "i")
	}

	if unit != "" {
		power := strings.Index("kMGTP", strings.Replace(unit, "K", "k", 1))
		if power < 0 || len(unit) != 1 {
			return 0, false
		}

		for range power + 1 {
			factor *= base
		}
	}

	return float64(value) * factor, true
}
