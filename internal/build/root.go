package build

import (
	"fmt"
	"io/fs"

	"github.com/basalt-os/basalt/internal/build/tree"
	"github.com/basalt-os/basalt/internal/version"
)

const sticky = fs.ModeSticky

// The accounts of a node. apid, trustd and etcd run under their own, without a
// login; nothing on a node asks for a password or a shell.
const (
	passwd = `root:x:0:0:root:/:/sbin/nologin
apid:x:50:50:apid:/:/sbin/nologin
trustd:x:51:51:trustd:/:/sbin/nologin
dashboard:x:52:52:dashboard:/:/sbin/nologin
etcd:x:60:60:etcd:/:/sbin/nologin
nobody:x:65534:65534:nobody:/:/sbin/nologin
`
	group = `root:x:0:
apid:x:50:
trustd:x:51:
dashboard:x:52:
etcd:x:60:
nogroup:x:65534:
`
	nsswitch = `passwd: files
group: files
hosts: files dns
`
)

// cniPlugins are the plugins of the CNI configurations that we write.
func cniPlugins() []string {
	return []string{"bandwidth", "bridge", "firewall", "host-local", "loopback", "portmap"}
}

// mergedUsr adds the links of a file system whose programs are all under /usr.
func mergedUsr(t *tree.Tree) *tree.Tree {
	for _, name := range []string{"bin", "lib", "lib64", "sbin"} {
		t.Symlink(name, "usr/"+name).Dir("usr/"+name, 0o755)
	}

	return t
}

// rootParts are the components in the root tree.
func rootParts() []string { return []string{"basalt", "cni", "containerd", "runc"} }

// rootTree is the node's read-only root file system. Empty files and folders
// are places for what the node mounts at run time.
func (b *builder) rootTree(programs map[string]compiled, nft *tree.Tree, bill string) *tree.Tree {
	t := mergedUsr(tree.New()).Merge(nft)

	for _, name := range []string{"containerd", "containerd-shim-runc-v2"} {
		one(t, "usr/bin/"+name, programs["containerd"].program(name))
	}

	one(t, "usr/bin/runc", programs["runc"].program("runc"))

	for _, name := range cniPlugins() {
		one(t, "opt/cni/bin/"+name, programs["cni"].program(name))
	}

	one(t, "usr/bin/basalt", programs["basalt"].program("basalt"))
	t.Text("usr/share/sbom/basalt.cdx.json", 0o644, bill).
		Symlink("usr/sbin/init", "../bin/basalt").
		Symlink("usr/sbin/poweroff", "../bin/basalt").
		Symlink("usr/sbin/reboot", "../bin/basalt").
		Text("etc/os-release", 0o644, osRelease()).
		Text("etc/passwd", 0o644, passwd).
		Text("etc/group", 0o644, group).
		Text("etc/nsswitch.conf", 0o644, nsswitch).
		Text("etc/ssl/certs/ca-certificates.crt", 0o644, b.certificates)

	for _, name := range []string{"hostname", "hosts", "machine-id", "resolv.conf"} {
		t.Text("etc/"+name, 0o644, "")
	}

	for _, name := range []string{
		"dev", "etc/cni/net.d", "etc/cri/conf.d", "etc/kubernetes", "proc", "run", "sys", "system", "usr/lib/modules",
		"usr/libexec/kubernetes", "var",
	} {
		t.Dir(name, 0o755)
	}

	return t.Dir("tmp", sticky|0o777)
}

func osRelease() string {
	return fmt.Sprintf(`NAME="%[1]s"
ID=basalt
VERSION_ID=%[2]s
VERSION="%[2]s"
PRETTY_NAME="%[1]s %[2]s"
HOME_URL="https://github.com/basalt-os/basalt"
BUG_REPORT_URL="https://github.com/basalt-os/basalt/issues"
`, version.Name, version.Version)
}
