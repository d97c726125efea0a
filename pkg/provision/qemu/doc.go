// Package qemu provisions clusters whose nodes are virtual machines: one QEMU
// process per node, with firmware, disks and a network card, booting an image
// as a machine of metal does.
//
// A node's folder has its disks, the variables of its firmware, and the medium
// with its configuration. Its network card is a tap device in the cluster's
// bridge, and its addresses come by DHCP. Processes and tap devices end with
// the host process.
//
// Find and Probe say beforehand what runs the machines; Preflight says what is
// missing; Prepare makes what a machine finds when it is powered on for the
// first time.
package qemu
