package codec

import (
	"net/url"
	"reflect"
)

// redacted stands in for a secret.
const redacted = "******"

// HasSecrets says whether the codec's type has fields tagged
// `redact:"replace"`, at any depth.
func (c *Codec) HasSecrets() bool { return c.secrets }

// Redact replaces every secret in spec, a pointer to a value of the codec's
// type that the caller alone uses: fields tagged `redact:"replace"` that are
// not empty. Of a URL only the password goes.
func (c *Codec) Redact(spec any) error {
	v, err := c.target(spec)
	if err != nil {
		return err
	}

	if c.secrets {
		redactValue(v)
	}

	return nil
}

func redactValue(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			redactValue(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			redactValue(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			field := v.Type().Field(i)

			switch {
			case !field.IsExported():
			case field.Tag.Get("redact") == "":
				redactValue(v.Field(i))
			default:
				redactField(v.Field(i))
			}
		}
	default:
	}
}

func redactField(v reflect.Value) {
	if u, ok := v.Interface().(*url.URL); ok {
		if u != nil && u.User != nil {
			clone := *u
			clone.User = url.UserPassword(u.User.Username(), redacted)
			v.Set(reflect.ValueOf(&clone))
		}

		return
	}

	if v.Kind() == reflect.String && v.Len() > 0 {
		v.SetString(redacted)
	}
}

// hasSecrets looks for tagged fields in the struct types that typ is made of;
// those in maps are not looked for.
func hasSecrets(typ reflect.Type, seen map[reflect.Type]bool) bool {
	for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
		typ = typ.Elem()
	}

	if typ.Kind() != reflect.Struct || seen[typ] {
		return false
	}

	seen[typ] = true

	for i := range typ.NumField() {
		field := typ.Field(i)
		if field.Tag.Get("redact") != "" || field.IsExported() && hasSecrets(field.Type, seen) {
			return true
		}
	}

	return false
}
