package machineconfig_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/pkg/machineconfig"
	"github.com/basalt-os/basalt/pkg/machineconfig/document"
)

var update = flag.Bool("update", false, "write golden files")

// TestSchemaIsTheContract compares the schema of our types with the contract's,
// kind by kind and field by field. The differences that are left are listed in
// a file, with the contract's side first; the list may only shrink.
func TestSchemaIsTheContract(t *testing.T) {
	t.Parallel()

	const golden = "testdata/contract/differences.txt"

	data, err := os.ReadFile("testdata/contract/config-schema.json")
	if err != nil {
		t.Fatal(err)
	}

	contract := flatten(t, data)

	if data, err = machineconfig.Schema(); err != nil {
		t.Fatal(err)
	}

	ours := flatten(t, data)

	// What the wire does not have is no difference from it.
	for _, doc := range document.Kinds() {
		if document.VersionOf(doc) == document.OwnVersion {
			maps.DeleteFunc(ours, func(path string, _ map[string]any) bool { return strings.HasPrefix(path, document.KindOf(doc)) })
		}
	}

	var differences []string

	for _, path := range slices.Sorted(maps.Keys(contract)) {
		if got, ok := ours[path]; !ok {
			differences = append(differences, fmt.Sprintf("%s: %s, missing", path, text(t, contract[path])))
		} else if !cmp.Equal(contract[path], widened(got, contract[path])) {
			differences = append(differences, fmt.Sprintf("%s: %s, ours %s", path, text(t, contract[path]), text(t, got)))
		}
	}

	for _, path := range slices.Sorted(maps.Keys(ours)) {
		parent := path[:max(strings.LastIndexAny(path, ".[{"), 0)]
		if facts, ok := contract[parent]; ok && facts["type"] == "object" && facts["additionalProperties"] == nil {
			continue // free-form in the contract
		}

		if _, ok := contract[path]; !ok {
			differences = append(differences, fmt.Sprintf("%s: nothing, ours %s", path, text(t, ours[path])))
		}
	}

	now := strings.Join(differences, "\n") + "\n"

	if *update {
		if err := os.WriteFile(golden, []byte(now), 0o644); err != nil { //nolint:gosec // no secret
			t.Fatal(err)
		}
	}

	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(string(want), now); diff != "" {
		t.Errorf("differences from the contract (-known +now):\n%s", diff)
	}
}

// widened is what we say of a field without what only narrows what the contract
// says: bounds, the form of a string, the fields of an object.
func widened(ours, contract map[string]any) map[string]any {
	wide := maps.Clone(ours)

	for _, fact := range []string{"minimum", "maximum", "pattern", "additionalProperties"} {
		if contract[fact] == nil {
			delete(wide, fact)
		}
	}

	if wide["enum"] != nil && contract["type"] == "string" {
		delete(wide, "enum")
		wide["type"] = "string"
	}

	return wide
}

// text is facts in one line.
func text(t *testing.T, facts map[string]any) string {
	t.Helper()

	line, err := json.Marshal(facts)
	if err != nil {
		t.Fatal(err)
	}

	return string(line)
}

// flatten is a schema as path of a field to what it may be, with references
// resolved.
func flatten(t *testing.T, data []byte) map[string]map[string]any {
	t.Helper()

	var schema struct {
		Defs  map[string]map[string]any `json:"$defs"`
		OneOf []map[string]any          `json:"oneOf"`
	}
	if err := json.Unmarshal(data, &schema); err != nil {
		t.Fatal(err)
	}

	flat := make(map[string]map[string]any)

	resolve := func(node map[string]any) map[string]any {
		if ref, ok := node["$ref"].(string); ok {
			return schema.Defs[strings.TrimPrefix(ref, "#/$defs/")]
		}

		return node
	}

	var walk func(path string, node map[string]any, required bool)

	walk = func(path string, node map[string]any, required bool) {
		node = resolve(node)

		facts := make(map[string]any)
		for key, value := range node {
			switch key {
			case "properties", "title", "items", "required", "patternProperties":
			default:
				facts[key] = value
			}
		}

		if required {
			facts["required"] = true
		}

		flat[path] = facts

		if items, ok := node["items"].(map[string]any); ok {
			walk(path+"[]", items, false)
		}

		if values, ok := node["patternProperties"].(map[string]any); ok {
			walk(path+"{}", values[".*"].(map[string]any), false)
		}

		names, _ := node["required"].([]any)

		properties, _ := node["properties"].(map[string]any)
		for name, property := range properties {
			walk(path+"."+name, property.(map[string]any), slices.Contains(names, any(name)))
		}
	}

	for _, one := range schema.OneOf {
		def := resolve(one)

		name := "v1alpha1"
		if kind, ok := def["properties"].(map[string]any)["kind"].(map[string]any); ok {
			name = document.Canonical(kind["enum"].([]any)[0].(string))
		}

		walk(name, def, false)
	}

	return flat
}
