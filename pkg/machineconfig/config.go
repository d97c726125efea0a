package machineconfig

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/basalt-os/basalt/pkg/machineconfig/document"
	"github.com/basalt-os/basalt/pkg/machineconfig/internal/typed"
)

// Error is one fault of a configuration, with its place.
type Error = typed.Error

// Errors are all faults of a configuration; [errors.As] finds them in the error
// that [Load], [Config.Validate] and [Config.Patch] return.
type Errors = typed.Errors

// Config is a machine configuration.
type Config struct {
	file string
	raw  []byte // as it was loaded
	docs []Document
	// effective are pointers to documents: those with a kind, then those that
	// the document without a kind was translated to.
	effective []any
	v1        *document.V1Alpha1 // never nil
}

// Document is one document as it was written.
type Document struct {
	Kind  string // empty for document.V1Alpha1
	Name  string
	Value any // pointer to a struct of package document
	text  []byte
	root  *yaml.Node
}

// Text is the document as YAML text, as it was written.
func (d Document) Text() []byte { return d.text }

// title is how messages name the document.
func (d Document) title() string {
	switch {
	case d.Kind == "":
		return "the v1alpha1 document"
	case d.Name == "":
		return d.Kind
	default:
		return d.Kind + " " + d.Name
	}
}

// Options of [Load].
type Options struct {
	File string // how errors name the source; may be empty
}

// Load decodes a configuration. Any fault is an error; all are reported, as
// [Errors]. Loading does not check that a configuration is complete, see
// [Config.Validate].
func Load(data []byte, opts Options) (*Config, error) {
	docs, errs := decode(data)
	if len(docs) == 0 && len(errs) == 0 {
		errs = append(errs, &Error{Message: "found no document, expected a machine configuration"})
	}

	errs = append(errs, duplicates(docs)...)

	cfg := &Config{file: opts.File, raw: slices.Clone(data), docs: docs, v1: new(document.V1Alpha1)}

	for _, doc := range docs {
		if doc.Kind != "" {
			cfg.effective = append(cfg.effective, doc.Value)
		}
	}

	for _, doc := range docs {
		v1, ok := doc.Value.(*document.V1Alpha1)
		if !ok || len(errs) > 0 {
			continue
		}

		cfg.v1 = v1
		translated, faults := translate(v1, cfg.effective)
		errs = append(errs, locate(doc, faults)...)
		cfg.effective = append(cfg.effective, translated...)
	}

	if err := errs.In(opts.File).Err(); err != nil {
		return nil, err
	}

	return cfg, nil
}

// decode decodes the documents of a stream.
func decode(data []byte) ([]Document, Errors) {
	sources, errs := typed.Parse(data)

	var docs []Document

	for _, source := range sources {
		if source.Root == nil {
			continue
		}

		doc, faults := decodeDocument(source)
		errs = append(errs, faults...)

		if doc.Value != nil {
			docs = append(docs, doc)
		}
	}

	return docs, errs
}

// decodeDocument decodes one document. Its value is nil when its kind is not
// known.
func decodeDocument(source typed.Source) (Document, Errors) {
	root := source.Root
	fault := func(n *yaml.Node, path, message string) (Document, Errors) {
		return Document{}, Errors{{Line: n.Line, Column: n.Column, Path: path, Message: message}}
	}

	if root.Kind != yaml.MappingNode {
		return fault(root, "", "found something else than a mapping, expected a document with apiVersion and kind")
	}

	doc := Document{text: source.Text, root: root}
	kind, version := typed.Child(root, "kind"), typed.Child(root, "apiVersion")

	if kind == nil && version == nil {
		doc.Value = new(document.V1Alpha1)

		return doc, typed.Decode(root, doc.Value)
	}

	if kind == nil {
		return fault(root, "kind", "found nothing, expected the kind of the document")
	}

	t, ok := typeOf(kind.Value)
	if !ok {
		return fault(kind, "kind", fmt.Sprintf("found %q, expected a kind of document%s", kind.Value, nearestKind(kind.Value)))
	}

	doc.Kind = document.Canonical(kind.Value)
	doc.Value = reflect.New(t).Interface()

	var errs Errors
	if want := document.VersionOf(doc.Value); version == nil {
		_, errs = fault(root, "apiVersion", "found nothing, expected "+want)
	} else if version.Value != want {
		_, errs = fault(version, "apiVersion", fmt.Sprintf("found %q, expected %s", version.Value, want))
	}

	errs = append(errs, typed.Decode(root, doc.Value, "apiVersion", "kind")...)
	doc.Name = document.NameOf(doc.Value)

	return doc, errs
}

// typeOf is the type of the documents of a kind.
func typeOf(kind string) (reflect.Type, bool) {
	for _, doc := range document.Kinds() {
		if document.KindOf(doc) == document.Canonical(kind) {
			return reflect.TypeOf(doc), true
		}
	}

	return nil, false
}

// nearestKind suggests a kind that may have been meant.
func nearestKind(kind string) string {
	var names []string
	for _, doc := range document.Kinds() {
		names = append(names, document.KindOf(doc))
	}

	if best := typed.Nearest(kind, names); best != "" {
		return ", " + best + "?"
	}

	return ""
}

// duplicates reports documents of which there may be one only.
func duplicates(docs []Document) Errors {
	var errs Errors

	for i, doc := range docs {
		for _, earlier := range docs[:i] {
			if doc.Kind == earlier.Kind && doc.Name == earlier.Name {
				errs = append(errs, &Error{
					Line: doc.root.Line, Column: doc.root.Column, Path: strings.TrimSpace(doc.Kind + " " + doc.Name),
					Message: fmt.Sprintf("found %s again, expected it once: it is in line %d already", doc.title(), earlier.root.Line),
				})

				break
			}
		}
	}

	return errs
}

// locate gives faults that know only their paths their places.
func locate(doc Document, faults Errors) Errors {
	for _, fault := range faults {
		n := typed.Locate(doc.root, fault.Path)
		fault.Line, fault.Column = n.Line, n.Column
	}

	return faults
}

// Documents are the documents as they were written, in their order.
func (c *Config) Documents() []Document { return slices.Clone(c.docs) }

// Bytes is the configuration as YAML: as it was loaded, byte by byte, and after
// a patch with the documents that it left alone as they were.
func (c *Config) Bytes() []byte { return slices.Clone(c.raw) }

// stream is documents as a stream.
func stream(docs []Document) []byte {
	var buf bytes.Buffer

	for i, doc := range docs {
		if i > 0 {
			buf.WriteString("---\n")
		}

		buf.Write(doc.text)

		if !bytes.HasSuffix(doc.text, []byte("\n")) {
			buf.WriteByte('\n')
		}
	}

	return buf.Bytes()
}

// Find is the document of type T, or nil when there is none. Of several it is
// the first. T is a struct of package document.
func Find[T any](c *Config) *T {
	for _, doc := range c.effective {
		if found, ok := doc.(*T); ok {
			return found
		}
	}

	return nil
}

// All are the documents of type T, in their order.
func All[T any](c *Config) []*T {
	var all []*T

	for _, doc := range c.effective {
		if found, ok := doc.(*T); ok {
			all = append(all, found)
		}
	}

	return all
}
