// Package files holds the files that are rendered into /etc.
package files

// NamespaceName is the namespace of these resources.
const NamespaceName = "files"
