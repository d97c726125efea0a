package typed

import (
	"fmt"
	"reflect"
)

// Walk calls visit with every value of type T within a document, given as a
// pointer to its struct, and with the path to it.
func Walk[T any](doc any, visit func(path string, value T)) {
	walk(reflect.ValueOf(doc), "", reflect.TypeFor[T](), func(path string, v reflect.Value) {
		visit(path, v.Interface().(T))
	})
}

func walk(v reflect.Value, path string, target reflect.Type, visit func(string, reflect.Value)) {
	switch {
	case v.Kind() == reflect.Pointer:
		if !v.IsNil() {
			walk(v.Elem(), path, target, visit)
		}
	case v.Type() == target:
		visit(path, v)
	case isText(v.Type()):
	case v.Kind() == reflect.Struct:
		for _, f := range fieldsOf(v.Type()) {
			walk(v.FieldByIndex(f.index), join(path, f.name), target, visit)
		}
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			walk(v.Index(i), fmt.Sprintf("%s[%d]", path, i), target, visit)
		}
	case v.Kind() == reflect.Map:
		for iter := v.MapRange(); iter.Next(); {
			walk(iter.Value(), join(path, iter.Key().String()), target, visit)
		}
	}
}
