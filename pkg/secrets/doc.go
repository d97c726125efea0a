// Package secrets makes and keeps what a cluster must keep secret: its
// certificate authorities, keys and tokens.
//
// Two things live here. A [Bundle] is everything secret about one cluster, in
// the form of the file that `gen secrets` writes; machine configurations are
// generated from it. A [CA] is one certificate authority; every component that
// needs a certificate issues it from a CA with [CA.IssueServer],
// [CA.IssueClient], [CA.IssuePeer] or, for a key that somebody else holds,
// [CA.SignCSR].
//
// Keys and certificates travel as PEM ([PEM], [KeyPair]). In YAML a PEM value
// is base64 of its text, as machine configurations have it. Nothing in this
// package logs, and no error carries key material.
//
// All values are safe for concurrent reads; nothing is modified after it was
// made.
package secrets
