package main

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/basalt-os/basalt/pkg/machineconfig/document"
)

const configurationIntroduction = `# Configuration documents

A machine configuration is a stream of YAML documents, each with ` + "`apiVersion: v1alpha1`" + `
and its ` + "`kind`" + `, beside one document without a kind. [How to use
them](../configuration.md) is told elsewhere.

`

// configurationPage describes all documents of a machine configuration.
func configurationPage(c comments) string {
	kinds := document.Kinds()
	slices.SortFunc(kinds, func(a, b any) int { return cmp.Compare(document.KindOf(a), document.KindOf(b)) })

	var out strings.Builder

	out.WriteString(configurationIntroduction)
	fmt.Fprintf(&out, "- [The document without a kind](#v1alpha1)\n")

	for _, doc := range kinds {
		kind := document.KindOf(doc)
		fmt.Fprintf(&out, "- [%s](#%s)\n", kind, strings.ToLower(kind))
	}

	p := newPrinter(c, "About", documentTags)

	out.WriteString("\n## V1Alpha1\n\n")
	p.structure(&out, reflect.TypeFor[document.V1Alpha1]())

	for _, doc := range kinds {
		fmt.Fprintf(&out, "## %s\n\n", document.KindOf(doc))
		p.structure(&out, reflect.TypeOf(doc))
	}

	out.WriteString("## Parts of documents\n\n")
	p.rest(&out, "###")

	return out.String()
}

// documentTags says in words what the tags of a document's field say.
func documentTags(field reflect.StructField) []string {
	var about []string

	say := func(tag, format string) {
		if value := field.Tag.Get(tag); value != "" {
			about = append(about, fmt.Sprintf(format, strings.ReplaceAll(value, "|", ", ")))
		}
	}

	if field.Tag.Get("required") != "" {
		about = append(about, "**required**")
	}

	say("deprecated", "*deprecated: %s*")
	say("enum", "one of %s")
	say("min", "at least %s")
	say("max", "at most %s")
	say("scheme", "a URL with %s")

	if field.Tag.Get("merge") == "replace" {
		about = append(about, "patches replace it")
	}

	if field.Tag.Get("secret") != "" {
		about = append(about, "secret")
	}

	return about
}
