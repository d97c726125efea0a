package node

import (
	"io/fs"
	"path/filepath"

	"github.com/basalt-os/basalt/internal/console"
	"github.com/basalt-os/basalt/internal/gateway"
	"github.com/basalt-os/basalt/internal/machine"
	"github.com/basalt-os/basalt/internal/trust"
)

// Where things are on a node. The names are the wire's: clients, images and
// other components look for them.
const (
	machineSocket    = "/system/run/machined/machine.sock"
	machineSocketDir = "/system/run/machined"
	gatewayStateDir  = "/system/run/apid"
	trustStateDir    = "/system/run/trustd"

	containerdBinary = "/usr/bin/containerd"
	containerdSocket = "/run/containerd/containerd.sock"
	containerdConfig = "/system/config/containerd.toml"
	containerdRoot   = "/var/lib/containerd"
	containerdState  = "/run/containerd"
	fifoDir          = "/run/basalt/fifo"

	// The base of the specification of every container of a pod, where the
	// configuration changes it.
	containerdBaseSpec = "/system/config/base-spec.json"
	// Where the kubelet looks for the profiles that pods name.
	seccompProfiles = "/var/lib/kubelet/seccomp/profiles"

	registryHostsDir = "/etc/cri/conf.d/hosts"
	stateDir         = "/system/state"
	embeddedConfig   = "/usr/local/etc/talos/config.yaml"

	etcdData    = "/var/lib/etcd"
	etcdPKI     = "/system/secrets/etcd"
	etcdUID     = 60
	initBinary  = "/sbin/init"
	systemSpace = "system" // containerd namespace of etcd and kubelet
	podSpace    = "k8s.io" // containerd namespace of pods
)

// layout is what the file systems of a container node need. /proc, /sys, /dev,
// and temporary file systems at /run, /tmp and /system are there already, and
// so are the node's own folders /var and /system/state.
func layout() machine.Layout {
	var l machine.Layout

	dir := func(mode fs.FileMode, owner int, paths ...string) {
		for _, path := range paths {
			l.Dirs = append(l.Dirs, machine.Dir{Path: path, Mode: mode, UID: owner, GID: owner})
		}
	}

	dir(0o755, 0, "/system/run", machineSocketDir, "/system/config", "/system/config/kubernetes",
		"/system/etc", "/system/etc/cri/conf.d", "/system/etc/cni/net.d", "/system/etc/kubernetes",
		"/system/etc/kubernetes/manifests", "/system/run/containerd", "/run/basalt", "/run/cdi", "/run/lock")
	dir(0o700, 0, fifoDir, "/system/secrets")
	dir(0o755, 0, "/system/secrets/kubernetes", "/system/secrets/kubelet")
	dir(0o700, etcdUID, etcdPKI)
	dir(0o750, gateway.User, gatewayStateDir)
	dir(0o750, trust.User, trustStateDir)
	dir(0o750, console.User, filepath.Dir(console.Socket))
	dir(0o755, 0, "/var/lib", "/var/log", "/var/log/pods", "/var/log/containers", "/var/log/audit",
		"/var/lib/cni", "/var/mnt", "/var/cache", "/var/lib/kubelet", "/var/lib/kubelet/seccomp")
	dir(0o700, 0, containerdRoot, "/system/state")
	dir(0o711, 0, containerdState)
	dir(0o700, etcdUID, etcdData)
	// The audit log is written by the API server's own user.
	dir(0o700, 65534, "/var/log/audit/kube")
	dir(fs.ModeSticky|0o777, 0, "/var/tmp")

	// The root is read-only: what changes below /etc is kept in memory.
	for _, name := range []string{"cri/conf.d", "cni/net.d", "kubernetes"} {
		l.Binds = append(l.Binds, machine.Bind{Source: "/system/etc/" + name, Target: "/etc/" + name})
	}

	return l
}
