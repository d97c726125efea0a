// Package boot starts what "make image" has made in an emulator, in each of the
// ways in which a machine may start, until stage 1 has entered the root file
// system: kernel, initramfs and firmware work, whatever the node does then.
//
// The tests need _out/image and _out/qemu and are skipped without them.
package boot
