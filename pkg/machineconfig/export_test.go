package machineconfig

import "slices"

// Effective are all documents of a configuration, translated ones included.
func Effective(c *Config) []any { return slices.Clone(c.effective) }
