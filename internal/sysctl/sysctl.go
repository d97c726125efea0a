// Package sysctl knows the kernel's parameters: the files below /proc/sys and
// /sys by the names that configuration gives them, and the values that a
// machine has unless it is configured otherwise.
package sysctl

import (
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// What the names of parameters begin with.
const (
	ProcPrefix = "proc.sys." // proc.sys.vm.overcommit_memory is /proc/sys/vm/overcommit_memory
	SysPrefix  = "sys."      // sys.block.sda.queue.scheduler is /sys/block/sda/queue/scheduler
)

// File is where a parameter is below the root of all files, such as
// "proc/sys/net/ipv4/ip_forward". Dots separate, unless the name has slashes
// after its prefix: then those do, and its dots are part of the names between
// them. False says that it is no name of a parameter.
func File(name string) (string, bool) {
	folder := "proc/sys"

	rest, ok := strings.CutPrefix(name, ProcPrefix)
	if !ok {
		folder = "sys"
		rest, ok = strings.CutPrefix(name, SysPrefix)
	}

	if !ok {
		return "", false
	}

	if !strings.Contains(rest, "/") {
		rest = strings.ReplaceAll(rest, ".", "/")
	}

	if rest = path.Clean(rest); rest == "." || !filepath.IsLocal(rest) {
		return "", false
	}

	return path.Join(folder, rest), true
}

// Write gives a parameter a value. Unlike [os.WriteFile], it never makes a
// file: a parameter that the kernel does not have is [io/fs.ErrNotExist]. The
// value is written in one call, as the kernel wants it.
func Write(file, value string) error {
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}

	if _, err := f.WriteString(value); err != nil {
		f.Close() //nolint:errcheck // the write tells

		return fmt.Errorf("writing %q: %w", value, err)
	}

	return f.Close()
}

// Hardening are the parameters that the kernel's self-protection project
// recommends, by name.
func Hardening() map[string]string {
	return map[string]string{
		"proc.sys.dev.tty.ldisc_autoload":           "0",
		"proc.sys.dev.tty.legacy_tiocsti":           "0",
		"proc.sys.fs.protected_fifos":               "2",
		"proc.sys.fs.protected_hardlinks":           "1",
		"proc.sys.fs.protected_regular":             "2",
		"proc.sys.fs.protected_symlinks":            "1",
		"proc.sys.fs.suid_dumpable":                 "0",
		"proc.sys.kernel.dmesg_restrict":            "1",
		"proc.sys.kernel.kptr_restrict":             "2",
		"proc.sys.kernel.perf_event_paranoid":       "3",
		"proc.sys.kernel.randomize_va_space":        "2",
		"proc.sys.kernel.unprivileged_bpf_disabled": "1",
		"proc.sys.kernel.yama.ptrace_scope":         "2",
		"proc.sys.net.core.bpf_jit_harden":          "2",
		"proc.sys.user.max_user_namespaces":         "0",
		"proc.sys.vm.unprivileged_userfaultfd":      "0",
	}
}

// Shared are the parameters that each network namespace has for itself: what a
// node has that shares its kernel with a host.
func Shared() map[string]string {
	return map[string]string{
		"proc.sys.net.ipv4.ip_forward":                        "1",
		"proc.sys.net.ipv4.conf.all.send_redirects":           "0",
		"proc.sys.net.ipv4.icmp_echo_ignore_broadcasts":       "1",
		"proc.sys.net.ipv4.icmp_ignore_bogus_error_responses": "1",
		"proc.sys.net.ipv4.ip_local_reserved_ports":           "50000,50001",
		"proc.sys.net.ipv6.conf.default.forwarding":           "1",
		"proc.sys.net.ipv6.conf.default.accept_ra":            "2",
	}
}

// Defaults are all parameters that a machine has unless it is configured
// otherwise, by name. Kernels may be without some of them.
func Defaults() map[string]string {
	all := map[string]string{
		"proc.sys.fs.aio-max-nr":                        "1048576",
		"proc.sys.fs.inotify.max_user_instances":        "8192",
		"proc.sys.kernel.ctrl-alt-del":                  "0", // ask the first process, do not restart at once
		"proc.sys.kernel.panic":                         "10",
		"proc.sys.kernel.panic_on_oops":                 "1", // the kubelet does not start without
		"proc.sys.kernel.pid_max":                       "262144",
		"proc.sys.net.bridge.bridge-nf-call-ip6tables":  "1",
		"proc.sys.net.bridge.bridge-nf-call-iptables":   "1",
		"proc.sys.net.ipv4.conf.default.send_redirects": "0",
		"proc.sys.net.ipv4.tcp_keepalive_intvl":         "60",
		"proc.sys.net.ipv4.tcp_keepalive_time":          "600",
		"proc.sys.net.ipv6.conf.all.forwarding":         "1",
		"proc.sys.vm.overcommit_memory":                 "1",
	}

	maps.Copy(all, Hardening())
	maps.Copy(all, Shared())

	return all
}
