package resources_test

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/basalt-os/basalt/internal/resource"
)

// TestSpecsReadBackFromYAMLAndJSON fills every spec at random, prints it, and
// reads both forms.
func TestSpecsReadBackFromYAMLAndJSON(t *testing.T) {
	for _, entry := range newTable(t).Entries() {
		t.Run(entry.Definition.Type, func(t *testing.T) {
			random := filler{rand.New(rand.NewPCG(3, 5))}

			for range 10 {
				spec := reflect.New(specType(entry))
				random.fill(spec.Elem())

				yamlForm, err := entry.Codec.EncodeYAML(spec.Interface())
				if err != nil {
					t.Fatal(err)
				}

				jsonForm, err := entry.Codec.EncodeJSON(spec.Interface())
				if err != nil {
					t.Fatal(err)
				}

				if !json.Valid(jsonForm) {
					t.Fatalf("no JSON: %s", jsonForm)
				}

				for _, form := range [][]byte{yamlForm, jsonForm} {
					object := entry.New(resource.Metadata{})
					if err := entry.Codec.DecodeYAML(form, object.SpecValue()); err != nil {
						t.Fatalf("%v\n%s", err, form)
					}

					if diff := cmp.Diff(spec.Interface(), object.SpecValue(), compareValues, compareNumbersInObjects, cmpopts.EquateEmpty()); diff != "" {
						t.Fatalf("spec (-printed +read):\n%s\n%s", diff, form)
					}
				}
			}
		})
	}
}

// compareNumbersInObjects takes a whole float64 for the int that is read back.
var compareNumbersInObjects = cmp.FilterValues(
	func(a, b any) bool { return isNumber(a) && isNumber(b) },
	cmp.Comparer(func(a, b any) bool { return number(a) == number(b) }),
)

func isNumber(v any) bool {
	switch v.(type) {
	case int, float64:
		return true
	default:
		return false
	}
}

func number(v any) float64 {
	if n, ok := v.(int); ok {
		return float64(n)
	}

	return v.(float64) //nolint:forcetypeassert // isNumber
}
