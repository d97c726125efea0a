//go:build !cgo

package sandbox

// libraryPaths are what Landlock's library needs to see: nothing, as the
// runtime knows its threads.
func libraryPaths() []string { return nil }
