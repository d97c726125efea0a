// Package vm tells stories on virtual machines that boot what "make image" has
// made: nothing on the boot path is mocked. It is a harness for tests: Start
// powers machines on; a Machine has its console, its API, its power switch and
// its disks.
//
// The host process of the machines runs inside the test. Each step is timed and
// printed with the processor time that the machines took for it; steps are the
// figures of the boot path. Random choices come from a seed, which is printed.
//
// What a test needs and is not there makes it skip with the reason, or fail
// when the run is a full one (the flag -full).
package vm
