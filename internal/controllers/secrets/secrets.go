// Package secrets has the controllers of a node's certificates and keys. They
// take the authorities from the machine configuration and keep every
// certificate fresh: each is renewed when half of its life is over, or when
// its authority or the names it is for change.
package secrets
