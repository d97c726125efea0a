// Package machine is what a node's first process does besides running
// services: it collects dead processes, prepares the file systems that
// everything expects, and carries the machine through its life.
//
// The life of a machine is a set of sequences: boot, reboot, shutdown, reset.
// A [Sequence] is data, a list of phases of named tasks; the [Sequencer] runs
// one at a time, tells about each step, and decides with [CanTakeOver] whether
// a new sequence may replace the one that runs.
package machine
