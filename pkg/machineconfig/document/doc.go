// Package document has the documents that a machine configuration consists of,
// each as a Go struct with the name of its kind.
//
// A struct says all there is to know about its document; the decoder, the
// encoder, merging, redaction and the JSON schema are generic and read it by
// reflection:
//
//   - `yaml:"name,omitempty"` is the field's name. Without omitempty the field
//     is always written. Embedded structs are inlined.
//   - `enum:"a|b"` lists the only values allowed.
//   - `required:"true"`: the document is not valid without the field.
//   - `min:"1"`, `max:"32"` bound a number.
//   - `pattern:"…"` is the form of a string, for the JSON schema.
//   - `scheme:"http|https"` lists the schemes of a URL.
//   - `merge:"replace"`: a strategic merge replaces the list or map, where it
//     appends to lists and merges maps otherwise. `merge:"key=name"` merges
//     list elements that agree in a field; `merge:"key=a|b"` in the first of
//     these fields that both have.
//   - `secret:"true"`: the value is hidden in redacted output; `secret:"nested"`
//     hides the values under the key `secret` in free-form content.
//   - `deprecated:"…"` says what to use in the field's place. Deprecated fields
//     are accepted and left out of the schema.
//
// Pointers to booleans and numbers are for fields where "not given" differs
// from the zero value. Documents are values: whoever got one from a
// configuration must not change it.
package document
