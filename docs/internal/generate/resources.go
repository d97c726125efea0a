package main

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"reflect"
	"slices"
	"strings"

	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources"
)

const resourcesIntroduction = `# Resources

All that a node knows and does is resources: ` + "`basaltctl get <name>`" + ` shows those of a
type. Names that several types share are left out here. Sensitive types are shown to
` + "`os:admin`" + ` alone.

| Resource | Type | Names | Namespace | |
|---|---|---|---|---|
`

// resourcePages adds an index of all resource types, and a page per domain.
func resourcePages(all map[string]string, c comments) error {
	table, err := resources.NewTable(resources.Describe[reconcile.Status]())
	if err != nil {
		return err
	}

	domains := map[string][]*resources.Entry{}

	var index strings.Builder

	index.WriteString(resourcesIntroduction)

	for _, entry := range table.Entries() {
		if !entry.Served {
			continue
		}

		domain := path.Base(specType(entry).PkgPath())
		domains[domain] = append(domains[domain], entry)

		definition := entry.Definition

		sensitive := ""
		if definition.Sensitive {
			sensitive = "sensitive"
		}

		fmt.Fprintf(&index, "| [%s](resources-%s.md#%s) | `%s` | %s | %s | %s |\n",
			definition.DisplayType, domain, strings.ToLower(definition.DisplayType), definition.Type,
			strings.Join(names(table, entry), ", "), definition.Namespace, sensitive)
	}

	all["resources.md"] = index.String()

	for _, domain := range slices.Sorted(maps.Keys(domains)) {
		all["resources-"+domain+".md"] = domainPage(c, domain, domains[domain], table)
	}

	return nil
}

// names are the names by which only this type goes, shortest first.
func names(table *resources.Table, entry *resources.Entry) []string {
	var list []string

	for _, name := range append(slices.Clone(entry.AllAliases), entry.ID) {
		if found, err := table.Lookup(name); err == nil && found == entry {
			list = append(list, name)
		}
	}

	slices.SortFunc(list, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
	})

	return slices.Compact(list)
}

// specType is the Go struct of a type's spec.
func specType(entry *resources.Entry) reflect.Type {
	return reflect.TypeOf(entry.New(resource.Metadata{}).SpecValue()).Elem()
}

// domainPage describes the resources of one package.
func domainPage(c comments, domain string, entries []*resources.Entry, table *resources.Table) string {
	var out strings.Builder

	fmt.Fprintf(&out, "# Resources: %s\n\n", domain)

	if doc := c[specType(entries[0]).PkgPath()].doc; doc != "" {
		fmt.Fprintf(&out, "%s\n\n", capital(strings.TrimPrefix(doc, "Package "+domain+" ")))
	}

	p := newPrinter(c, "Number", func(field reflect.StructField) []string {
		return []string{field.Tag.Get("protobuf")}
	})

	for _, entry := range entries {
		definition := entry.Definition

		fmt.Fprintf(&out, "## %s\n\n`%s` in namespace `%s`; `get %s` shows %s.\n\n", definition.DisplayType,
			definition.Type, definition.Namespace, names(table, entry)[0], columns(definition))
		p.structure(&out, specType(entry))
	}

	if len(p.queue) > 0 {
		out.WriteString("## Parts of resources\n\n")
		p.rest(&out, "###")
	}

	return out.String()
}

// columns names the columns of a type's table.
func columns(definition resource.Definition) string {
	if len(definition.Columns) == 0 {
		return "identifiers and versions"
	}

	list := make([]string, len(definition.Columns))
	for i, column := range definition.Columns {
		list[i] = strings.ToLower(column.Name)
	}

	return strings.Join(list, ", ")
}
