// Package table prints tables for people: columns with a heading, aligned by
// spaces.
package table

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode/utf8"
)

// Table is a table that is being written. It belongs to one goroutine.
type Table struct {
	writer *tabwriter.Writer
}

// New begins a table with the headings of its columns.
func New(out io.Writer, headings ...string) *Table {
	t := &Table{tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)}
	fmt.Fprintln(t.writer, strings.Join(headings, "\t"))

	return t
}

// Row adds a row. Values are printed as fmt.Sprint does, on one line.
func (t *Table) Row(values ...any) {
	cells := make([]string, len(values))
	for i, value := range values {
		cells[i] = strings.Join(strings.Fields(fmt.Sprint(value)), " ")
	}

	fmt.Fprintln(t.writer, strings.Join(cells, "\t"))
}

// Flush writes what was added since the last Flush.
func (t *Table) Flush() error {
	if err := t.writer.Flush(); err != nil {
		return fmt.Errorf("printing table: %w", err)
	}

	return nil
}

// Growing is a table whose rows are printed at once, since nobody knows
// when the last one comes. Columns get wider when they must. It belongs to one
// goroutine.
type Growing struct {
	out    io.Writer
	widths []int
}

// NewGrowing begins such a table.
func NewGrowing(out io.Writer) *Growing { return &Growing{out: out} }

// Row prints a row.
func (g *Growing) Row(cells ...string) {
	var line strings.Builder

	for i, cell := range cells {
		if i == len(g.widths) {
			g.widths = append(g.widths, 0)
		}

		g.widths[i] = max(g.widths[i], utf8.RuneCountInString(cell))
		fmt.Fprintf(&line, "%-*s   ", g.widths[i], cell)
	}

	fmt.Fprintln(g.out, strings.TrimRight(line.String(), " "))
}
