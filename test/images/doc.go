// Package images tests what the build has made: the root tree by its rules, and
// the images with the real containerd of that root tree, which pulls each by its
// public name and runs the programs in it.
//
// The tests need a finished build in _out and are skipped without one.
package images
