package machineconfig

import "slices"

// Effective are all documents of a configuration, translated ones included.
func Effective(c *Config) []any { return slices.Clone(c.effective) }

// IdleKinds are the kinds that a container, or no machine at all, acts on.
func IdleKinds() []string { return slices.Concat(machineOnly(), unserved()) }
