package typed

import (
	"fmt"
	"reflect"

	"go.yaml.in/yaml/v4"
)

// Require reports fields with the tag required that a document does not have.
// doc is a pointer to the struct that [Decode] filled from root.
func Require(root *yaml.Node, doc any) Errors {
	return require(root, reflect.ValueOf(doc).Elem(), "")
}

func require(n *yaml.Node, v reflect.Value, path string) Errors {
	var errs Errors

	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil
		}

		v = v.Elem()
	}

	switch {
	case isText(v.Type()):
	case v.Kind() == reflect.Struct:
		for _, f := range fieldsOf(v.Type()) {
			value := v.FieldByIndex(f.index)
			child := Child(n, f.name)

			if f.required && (child == nil || isEmpty(value) && value.Kind() != reflect.Bool) {
				errs = append(errs, &Error{
					Line: n.Line, Column: n.Column, Path: join(path, f.name), Message: "found nothing, expected a value: the field is required",
				})

				continue
			}

			if child != nil {
				errs = append(errs, require(child, value, join(path, f.name))...)
			}
		}
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			if i < len(n.Content) {
				errs = append(errs, require(n.Content[i], v.Index(i), fmt.Sprintf("%s[%d]", path, i))...)
			}
		}
	case v.Kind() == reflect.Map && v.Type().Elem().Kind() != reflect.Interface:
		for iter := v.MapRange(); iter.Next(); {
			if child := Child(n, iter.Key().String()); child != nil {
				errs = append(errs, require(child, iter.Value(), join(path, iter.Key().String()))...)
			}
		}
	}

	return errs
}
