package get

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/basalt-os/basalt/internal/cli/objects"
	"github.com/basalt-os/basalt/internal/cli/table"
)

// row is an object to be printed.
type row struct {
	node   string
	object *objects.Object
	// Of a watch: what happened, as a sign and as a word.
	mark, event string
}

// printer prints objects in one form. It is used by one goroutine at a time.
type printer interface {
	print(definition objects.Definition, r row) error
	flush() error
}

// tablePrinter prints a table for every type.
type tablePrinter struct {
	out         io.Writer
	wide, watch bool

	kind    string
	paths   []*objects.Path
	table   *table.Table
	growing *table.Growing
}

func newTablePrinter(out io.Writer, wide, watch bool) *tablePrinter {
	return &tablePrinter{out: out, wide: wide, watch: watch}
}

// begin prints the headings for a type.
func (p *tablePrinter) begin(definition objects.Definition) error {
	if err := p.flush(); err != nil {
		return err
	}

	p.kind, p.paths = definition.Type, nil
	headings := []string{"NODE"}

	if p.watch {
		headings = append(headings, "*")
	}

	headings = append(headings, "NAMESPACE", "TYPE", "ID", "VERSION")

	for _, column := range definition.PrintColumns {
		path, err := objects.ParsePath(column.JSONPath)
		if err != nil {
			return err
		}

		p.paths = append(p.paths, path)
		headings = append(headings, strings.ToUpper(column.Name))
	}

	if p.wide {
		headings = append(headings, "PHASE", "OWNER", "CREATED", "UPDATED", "LABELS", "FINALIZERS")
	}

	if p.watch {
		p.growing = table.NewGrowing(p.out)
		p.growing.Row(headings...)
	} else {
		p.table = table.New(p.out, headings...)
	}

	return nil
}

func (p *tablePrinter) print(definition objects.Definition, r row) error {
	if p.kind != definition.Type {
		if err := p.begin(definition); err != nil {
			return err
		}
	}

	meta := r.object.Meta
	cells := []string{r.node}

	if p.watch {
		cells = append(cells, r.mark)
	}

	cells = append(cells, meta.GetNamespace(), definition.DisplayType, meta.GetId(), meta.GetVersion())

	for _, path := range p.paths {
		text, err := path.Evaluate(r.object.Spec)
		if err != nil {
			return err
		}

		cells = append(cells, text)
	}

	if p.wide {
		cells = append(cells, meta.GetPhase(), meta.GetOwner(),
			meta.GetCreated().AsTime().Format(time.RFC3339), meta.GetUpdated().AsTime().Format(time.RFC3339),
			labels(meta.GetLabels()), strings.Join(meta.GetFinalizers(), ","))
	}

	if p.watch {
		p.growing.Row(cells...)

		return nil
	}

	values := make([]any, len(cells))
	for i, cell := range cells {
		values[i] = cell
	}

	p.table.Row(values...)

	return nil
}

func (p *tablePrinter) flush() error {
	if p.table == nil {
		return nil
	}

	return p.table.Flush()
}

func labels(set map[string]string) string {
	var pairs []string
	for key, value := range set {
		pairs = append(pairs, strings.TrimSuffix(key+"="+value, "="))
	}

	slices.Sort(pairs)

	return strings.Join(pairs, ",")
}

// yamlPrinter prints a stream of documents.
type yamlPrinter struct {
	out io.Writer
	any bool
}

func (p *yamlPrinter) print(_ objects.Definition, r row) error {
	text, err := r.object.YAML(r.node, r.event)
	if err != nil {
		return err
	}

	if p.any {
		fmt.Fprintln(p.out, "---")
	}

	p.any = true
	_, err = p.out.Write(text)

	return err
}

func (p *yamlPrinter) flush() error { return nil }

// jsonPrinter prints one value after the other.
type jsonPrinter struct {
	out io.Writer
}

func (p *jsonPrinter) print(_ objects.Definition, r row) error {
	text, err := r.object.JSON(r.node, r.event)
	if err != nil {
		return err
	}

	fmt.Fprintf(p.out, "%s\n", text)

	return nil
}

func (p *jsonPrinter) flush() error { return nil }

// pathPrinter prints what an expression picks, a line per object.
type pathPrinter struct {
	out  io.Writer
	path *objects.Path
}

func (p *pathPrinter) print(_ objects.Definition, r row) error {
	value, err := r.object.Value(r.node)
	if err != nil {
		return err
	}

	text, err := p.path.Evaluate(value)
	fmt.Fprintln(p.out, text)

	return err
}

func (p *pathPrinter) flush() error { return nil }
