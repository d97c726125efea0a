package node

import (
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/controllers/block"
	"github.com/basalt-os/basalt/internal/controllers/cluster"
	"github.com/basalt-os/basalt/internal/controllers/config"
	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/controllers/cri"
	"github.com/basalt-os/basalt/internal/controllers/etcd"
	"github.com/basalt-os/basalt/internal/controllers/files"
	"github.com/basalt-os/basalt/internal/controllers/hardware"
	"github.com/basalt-os/basalt/internal/controllers/k8s"
	"github.com/basalt-os/basalt/internal/controllers/k8s/kubelet"
	"github.com/basalt-os/basalt/internal/controllers/k8s/staticpod"
	"github.com/basalt-os/basalt/internal/controllers/kubeaccess"
	"github.com/basalt-os/basalt/internal/controllers/perf"
	"github.com/basalt-os/basalt/internal/controllers/runtime"
	"github.com/basalt-os/basalt/internal/controllers/secrets"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/trial"
	"github.com/basalt-os/basalt/internal/trust"
	"github.com/basalt-os/basalt/internal/version"
)

// nodeIdentity is the file that keeps the node's identity over restarts.
const nodeIdentity = "/system/state/node-identity.yaml"

// downloadTimeout bounds the download of one manifest.
const downloadTimeout = 30 * time.Second

// podResolvConf is what pods get as their resolver configuration.
const podResolvConf = "/system/resolved/resolv.conf"

// controllers are all controllers of the node.
func (n *Node) controllers() []reconcile.Controller {
	reader := &configured.Reader{}

	var all []reconcile.Controller

	for _, domain := range [][]reconcile.Controller{
		{machineStatus{stage: n.stage, events: n.events}, gatewayConfig(reader), files.EtcFiles(etcFiles, n.etc)},
		{files.Configured(reader), files.Persistent(reader, "/"), files.TrustedRoots(reader, "/etc")},
		config.Controllers(reader),
		n.clock(reader),
		n.network(reader),
		secrets.Controllers(secrets.Dependencies{Config: reader, Signer: &trust.Client{}, Logger: n.logger, Now: time.Now}),
		etcd.Controllers(etcd.Dependencies{Config: reader, PKI: files.Folder{Path: etcdPKI, Owner: etcdUID}}),
		n.diskControllers(reader),
		runtime.Controllers(runtime.Dependencies{
			Machine: n.kernel(), Arguments: n.platform.arguments,
			Config: reader, Name: version.Name, Version: version.Tag, Platform: n.platform.name,
			Proc: "/proc", Sys: "/sys", Dev: "/dev", Events: n.events, Logs: n.book, Logger: n.logger,
		}),
		n.hardware(reader),
		perf.Controllers("/proc"),
		cri.Controllers(reader, files.Folder{Path: seccompProfiles}),
		{cri.ImageGC(ownImages{n.containerd}, time.Now)},
		cluster.Controllers(cluster.Dependencies{
			Config: reader, Logger: n.logger, Version: version.Tag,
			IdentityPath: nodeIdentity, IdentityOnVolume: !n.platform.isContainer(),
			TLS: n.egress.TLS, Dial: n.egress.Dial,
			OperatingSystem: fmt.Sprintf("%s (%s)", version.Name, version.Tag),
		}),
		kubeaccess.Controllers(kubeaccess.Dependencies{Config: reader, Now: time.Now, Logger: n.logger}),
		k8s.Controllers(k8s.Dependencies{
			Config:      reader,
			Host:        kubelet.Host{Container: n.platform.isContainer(), CgroupV1: !n.groups.Unified()},
			SecretsRoot: staticpod.SecretsRoot, ConfigRoot: staticpod.ConfigRoot,
			HTTP: n.egress.Client(downloadTimeout), Now: time.Now, Logger: n.logger,
		}),
	} {
		all = append(all, domain...)
	}

	return all
}

// kernel is the node's own; nil in a container.
func (n *Node) kernel() *runtime.Machine {
	if n.platform.isContainer() {
		return nil
	}

	return &runtime.Machine{Modules: n.modules}
}

// hardware are the controllers of what the node is made of. In a container that
// is the host's, and the host's to change.
func (n *Node) hardware(reader *configured.Reader) []reconcile.Controller {
	common := hardware.Controllers("/proc", "/sys")
	if n.platform.isContainer() {
		return common
	}

	return slices.Concat(common, hardware.Machine("/sys"),
		[]reconcile.Controller{hardware.Rebinds(reader), hardware.Rebind("/sys", n.modules)})
}

// diskControllers are those of disks and volumes, and, where the boot loader is
// on a disk of the machine's own, of new versions.
func (n *Node) diskControllers(reader *configured.Reader) []reconcile.Controller {
	if n.platform.isContainer() {
		return append(block.Controllers("/proc/self/mountinfo"), runtime.DevicesStatus())
	}

	return append(block.Machine(block.OfMachine(reader, n.reaper)), trial.Controller(trial.Dependencies{
		Config: reader, Machine: trialMachine{n}, Begun: time.Now(), Now: time.Now,
	}))
}

// hostname is the name of this UTS namespace.
type hostname struct{}

// Hostname implements [network.Hostnames].
func (hostname) Hostname() (string, error) { return os.Hostname() }

// SetHostname implements [network.Hostnames].
func (hostname) SetHostname(name string) error {
	if err := unix.Sethostname([]byte(name)); err != nil {
		return fmt.Errorf("setting hostname: %w", err)
	}

	return nil
}
