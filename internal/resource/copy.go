package resource

import (
	"reflect"
)

// DeepCopy copies a value with everything it refers to. Structs with
// unexported fields, such as times and addresses, are values: they are copied
// as they are, and must share nothing that can change.
func DeepCopy[T any](value T) T {
	source := reflect.ValueOf(&value).Elem()
	target := reflect.New(source.Type()).Elem()
	copyValue(target, source)

	return target.Interface().(T) //nolint:forcetypeassert // made with that type
}

func copyValue(target, source reflect.Value) {
	switch source.Kind() {
	case reflect.Pointer:
		if source.IsNil() {
			return
		}

		target.Set(reflect.New(source.Type().Elem()))
		copyValue(target.Elem(), source.Elem())
	case reflect.Interface:
		if source.IsNil() {
			return
		}

		inner := reflect.New(source.Elem().Type()).Elem()
		copyValue(inner, source.Elem())
		target.Set(inner)
	case reflect.Slice:
		if source.IsNil() {
			return
		}

		target.Set(reflect.MakeSlice(source.Type(), source.Len(), source.Len()))

		if plain(source.Type().Elem()) {
			reflect.Copy(target, source)

			return
		}

		for i := range source.Len() {
			copyValue(target.Index(i), source.Index(i))
		}
	case reflect.Array:
		for i := range source.Len() {
			copyValue(target.Index(i), source.Index(i))
		}
	case reflect.Map:
		if source.IsNil() {
			return
		}

		target.Set(reflect.MakeMapWithSize(source.Type(), source.Len()))

		for iterator := source.MapRange(); iterator.Next(); {
			value := reflect.New(source.Type().Elem()).Elem()
			copyValue(value, iterator.Value())
			target.SetMapIndex(iterator.Key(), value)
		}
	case reflect.Struct:
		target.Set(source)

		if opaque(source.Type()) {
			return
		}

		for i := range source.NumField() {
			copyValue(target.Field(i), source.Field(i))
		}
	default:
		target.Set(source)
	}
}

// opaque says whether a type is a struct with unexported fields.
func opaque(t reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return false
	}

	for i := range t.NumField() {
		if !t.Field(i).IsExported() {
			return true
		}
	}

	return false
}

// plain says whether values of a type refer to nothing.
func plain(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Slice, reflect.Array, reflect.Map, reflect.Struct:
		return false
	default:
		return true
	}
}

// Equal compares two values with everything they refer to. Values with a
// method Equal(T) bool, such as times, are compared by it; an empty slice or
// map equals a nil one, since the wire does not tell them apart.
func Equal[T any](a, b T) bool {
	return equalValue(reflect.ValueOf(&a).Elem(), reflect.ValueOf(&b).Elem())
}

func equalValue(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.Pointer, reflect.Interface:
		if a.IsNil() || b.IsNil() {
			return a.IsNil() == b.IsNil()
		}

		if a.Kind() == reflect.Pointer && a.Pointer() == b.Pointer() {
			return true
		}

		return a.Elem().Type() == b.Elem().Type() && equalValue(a.Elem(), b.Elem())
	case reflect.Slice:
		if a.Len() != b.Len() {
			return false
		}

		fallthrough
	case reflect.Array:
		for i := range a.Len() {
			if !equalValue(a.Index(i), b.Index(i)) {
				return false
			}
		}

		return true
	case reflect.Map:
		return equalMap(a, b)
	case reflect.Struct:
		return equalStruct(a, b)
	default:
		return a.Comparable() && a.Equal(b)
	}
}

func equalMap(a, b reflect.Value) bool {
	if a.Len() != b.Len() {
		return false
	}

	for iterator := a.MapRange(); iterator.Next(); {
		other := b.MapIndex(iterator.Key())
		if !other.IsValid() || !equalValue(iterator.Value(), other) {
			return false
		}
	}

	return true
}

func equalStruct(a, b reflect.Value) bool {
	if !opaque(a.Type()) {
		for i := range a.NumField() {
			if !equalValue(a.Field(i), b.Field(i)) {
				return false
			}
		}

		return true
	}

	if method := a.MethodByName("Equal"); method.IsValid() && method.Type().NumIn() == 1 &&
		method.Type().In(0) == a.Type() && method.Type().NumOut() == 1 && method.Type().Out(0).Kind() == reflect.Bool {
		return method.Call([]reflect.Value{b})[0].Bool()
	}

	if a.Comparable() && a.Equal(b) {
		return true
	}

	return reflect.DeepEqual(a.Interface(), b.Interface())
}
