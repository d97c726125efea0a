package machineconfig

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"go.yaml.in/yaml/v4"

	"github.com/basalt-os/basalt/pkg/machineconfig/document"
	"github.com/basalt-os/basalt/pkg/machineconfig/internal/typed"
)

// ErrJSONPatchMultiDoc is returned when a JSON patch meets a configuration of
// several documents: it could not say which one it is for.
var ErrJSONPatchMultiDoc = errors.New("JSON6902 patches are not supported for multi-document machine configuration")

// Patch is a change to a configuration: either strategic, documents of which
// only the fields to be changed are given, or a JSON patch (RFC 6902).
type Patch struct {
	docs []Document
	json jsonpatch.Patch
}

// LoadPatch decodes a patch and reports all faults that can be found without
// the configuration. A list is a JSON patch; everything else is strategic.
func LoadPatch(data []byte, opts Options) (Patch, error) {
	sources, errs := typed.Parse(data)

	sources = slices.DeleteFunc(sources, func(s typed.Source) bool { return s.Root == nil })
	if len(sources) == 0 && len(errs) == 0 {
		errs = append(errs, &Error{Message: "found no document, expected a patch"})
	}

	if len(errs) == 0 && len(sources) == 1 && sources[0].Root.Kind == yaml.SequenceNode {
		return loadJSONPatch(sources[0].Root, opts)
	}

	var patch Patch

	for _, source := range sources {
		plain, faults := typed.Plain(source.Root)
		errs = append(errs, faults...)

		doc, faults := decodeDocument(typed.Source{Text: source.Text, Root: plain, Line: source.Line})
		errs = append(errs, faults...)
		doc.root = source.Root
		patch.docs = append(patch.docs, doc)
	}

	if err := errs.In(opts.File).Err(); err != nil {
		return Patch{}, err
	}

	return patch, nil
}

// jsonOperation is an operation of a JSON patch.
type jsonOperation struct {
	Op    string `yaml:"op" enum:"add|remove|replace|move|copy|test" required:"true"`
	Path  string `yaml:"path" required:"true"`
	From  string `yaml:"from,omitempty"`
	Value any    `yaml:"value,omitempty"`
}

func loadJSONPatch(root *yaml.Node, opts Options) (Patch, error) {
	var errs Errors

	for i, operation := range root.Content {
		var op jsonOperation

		faults := typed.Decode(operation, &op)
		for _, fault := range append(faults, typed.Require(operation, &op)...) {
			fault.Path = fmt.Sprintf("[%d].%s", i, fault.Path)
			errs = append(errs, fault)
		}
	}

	if err := errs.In(opts.File).Err(); err != nil {
		return Patch{}, err
	}

	data, err := toJSON(root)
	if err != nil {
		return Patch{}, err
	}

	operations, err := jsonpatch.DecodePatch(data)
	if err != nil {
		return Patch{}, fmt.Errorf("decoding JSON patch: %w", err)
	}

	return Patch{json: operations}, nil
}

// toJSON is a tree as JSON.
func toJSON(root *yaml.Node) ([]byte, error) {
	free, errs := typed.Free(root)
	if err := errs.Err(); err != nil {
		return nil, err
	}

	data, err := json.Marshal(free)
	if err != nil {
		return nil, fmt.Errorf("encoding JSON: %w", err)
	}

	return data, nil
}

// Patch is the configuration with patches applied, one after the other. The
// result is checked as by [Load]; places in errors are those of the result.
func (c *Config) Patch(patches ...Patch) (*Config, error) {
	cfg := c

	for _, patch := range patches {
		docs, err := cfg.apply(patch)
		if err != nil {
			return nil, err
		}

		if cfg, err = Load(stream(docs), Options{File: "patched configuration"}); err != nil {
			return nil, err
		}

		cfg.file = c.file
	}

	return cfg, nil
}

// apply is the documents with one patch applied.
func (c *Config) apply(patch Patch) ([]Document, error) {
	if patch.json != nil {
		return c.applyJSON(patch.json)
	}

	docs := slices.Clone(c.docs)

	for _, p := range patch.docs {
		at := slices.IndexFunc(docs, func(d Document) bool { return d.Kind == p.Kind && d.Name == p.Name })

		var base *yaml.Node
		if at >= 0 {
			base = docs[at].root
		}

		merged := typed.Merge(base, p.root, reflect.TypeOf(p.Value))

		switch {
		case merged == nil && at >= 0:
			docs = slices.Delete(docs, at, at+1)

			continue
		case merged == nil:
			continue
		}

		doc, err := rewritten(p, merged)
		if err != nil {
			return nil, err
		}

		if at >= 0 {
			docs[at] = doc
		} else {
			docs = append(docs, doc)
		}
	}

	return docs, nil
}

// rewritten is a document with another tree.
func rewritten(doc Document, root *yaml.Node) (Document, error) {
	typed.Order(root, reflect.TypeOf(doc.Value), "apiVersion", "kind")

	text, err := typed.Text(root)
	if err != nil {
		return Document{}, err
	}

	doc.text, doc.root = text, root

	return doc, nil
}

func (c *Config) applyJSON(patch jsonpatch.Patch) ([]Document, error) {
	if len(c.docs) != 1 || c.docs[0].Kind != "" {
		return nil, ErrJSONPatchMultiDoc
	}

	data, err := toJSON(c.docs[0].root)
	if err != nil {
		return nil, err
	}

	if data, err = patch.Apply(data); err != nil {
		return nil, fmt.Errorf("applying JSON patch: %w", err)
	}

	sources, errs := typed.Parse(data)
	if err := errs.Err(); err != nil {
		return nil, err
	}

	root := sources[0].Root
	typed.BlockStyle(root)

	doc, err := rewritten(Document{Value: new(document.V1Alpha1)}, root)
	if err != nil {
		return nil, err
	}

	return []Document{doc}, nil
}
