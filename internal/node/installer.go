package node

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/pkg/oci"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"go.yaml.in/yaml/v4"

	"github.com/basalt-os/basalt/internal/blockdev/selector"
	"github.com/basalt-os/basalt/internal/machine"
	"github.com/basalt-os/basalt/internal/payload"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/block"
	"github.com/basalt-os/basalt/internal/resources/runtime"
	"github.com/basalt-os/basalt/internal/server"
	"github.com/basalt-os/basalt/internal/service"
	"github.com/basalt-os/basalt/internal/service/container"
	"github.com/basalt-os/basalt/internal/version"
	"github.com/basalt-os/basalt/internal/volume"
	"github.com/basalt-os/basalt/pkg/machineconfig"
	"github.com/basalt-os/basalt/pkg/machineconfig/document"
)

// installTimeout bounds one run of an installer, with the download of its
// image.
const installTimeout = 30 * time.Minute

// installer runs the installers of images. One runs at a time.
type installer struct {
	n  *Node
	mu sync.Mutex
}

var _ server.Installation = (*installer)(nil)

// refuseInstallation is why a container node installs nothing.
func (n *Node) refuseInstallation() error {
	return fmt.Errorf("%w (platform %s): a container node runs from the image it was created with; create it anew to change that",
		server.ErrUnsupported, n.platform.name)
}

// Install implements [server.Installation].
func (i *installer) Install(ctx context.Context, image, disk string, progress func(string)) (int, error) {
	if i.n.platform.isContainer() {
		return 0, i.n.refuseInstallation()
	}

	installed, err := i.n.isInstalled(ctx)
	if err != nil {
		return 0, err
	}

	if installed {
		return 0, fmt.Errorf("%w: the machine is installed; upgrade or reset it", server.ErrPrecondition)
	}

	code, err := i.run(ctx, image, []string{"--disk", disk}, progress)
	if err != nil || code != 0 {
		return code, err
	}

	return 0, i.n.findInstalled(ctx)
}

// Upgrade implements [server.Installation].
func (i *installer) Upgrade(ctx context.Context, image string, progress func(string)) (int, error) {
	return i.upgrade(ctx, image, false, progress)
}

// upgrade puts another version on the disk. Forced, it does so while the running
// one is on trial, which stays then.
func (i *installer) upgrade(ctx context.Context, image string, force bool, progress func(string)) (int, error) {
	if i.n.platform.isContainer() {
		return 0, i.n.refuseInstallation()
	}

	location, err := volume.Locate(ctx, i.n.store, volumeMeta)
	if errors.Is(err, volume.ErrMissing) {
		return 0, fmt.Errorf("%w: the machine is not installed", server.ErrPrecondition)
	}

	if err != nil {
		return 0, err
	}

	args := []string{"--disk", location.Disk, "--upgrade"}
	if force {
		args = append(args, "--force")
	}

	code, err := i.run(ctx, image, args, progress)
	if err != nil || code != 0 {
		return code, err
	}

	return 0, i.n.recordUpgrade(ctx, image)
}

// isInstalled says whether there is a disk with the system.
func (n *Node) isInstalled(ctx context.Context) (bool, error) {
	_, err := volume.Locate(ctx, n.store, volumeMeta)
	if errors.Is(err, volume.ErrMissing) {
		return false, nil
	}

	return err == nil, err
}

// withKernelArgs adds what the configuration has for the kernel's command line.
func (n *Node) withKernelArgs(ctx context.Context, args []string) ([]string, error) {
	cfg, err := n.activeConfig(ctx)
	if err != nil || cfg == nil {
		return args, err
	}

	for _, arg := range cfg.Machine().ExtraKernelArgs {
		args = append(args, "--extra-kernel-arg="+arg)
	}

	return args, nil
}

// run pulls an image and runs its installer, which sees the machine as it is:
// it has to write to disks and to the variables of the firmware.
func (i *installer) run(ctx context.Context, image string, args []string, progress func(string)) (int, error) {
	if !i.mu.TryLock() {
		return 0, fmt.Errorf("%w: another installation runs", server.ErrPrecondition)
	}
	defer i.mu.Unlock()

	ctx, cancel := context.WithTimeout(ctx, installTimeout)
	defer cancel()

	values, err := i.n.metaVariable()
	if err != nil {
		return 0, err
	}

	if err := i.n.supervisor.WaitUp(ctx, "containerd"); err != nil {
		return 0, err
	}

	// The connection may still be that to a containerd which was restarted: this
	// waits until there is one again.
	if _, err := i.n.containerd.IsServing(ctx); err != nil {
		return 0, fmt.Errorf("waiting for containerd: %w", err)
	}

	if args, err = i.n.withKernelArgs(ctx, args); err != nil {
		return 0, err
	}

	environment, err := i.n.serviceEnvironment(ctx)
	if err != nil {
		return 0, err
	}

	progress("pulling " + image)

	lines := &lineWriter{tell: func(line string) {
		i.n.logger.Info("installer: " + line)
		progress(line)
	}}

	runner := &container.Runner{
		Client: i.n.containerd, Puller: i.n.puller, Namespace: systemSpace, ID: "installer", Image: image, FIFODir: fifoDir,
		Options: []oci.SpecOpts{
			oci.WithEnv(append(environment, "INSTALLER_META_BASE64="+values, "INSTALLER_RUNNING_VERSION="+version.Version)),
			oci.WithProcessArgs(append([]string{"/bin/installer", "install", "--platform", i.n.platform.name}, args...)...),
			oci.WithAllCurrentCapabilities,
			oci.WithNoNewPrivileges,
			oci.WithHostNamespace(specs.NetworkNamespace),
			oci.WithHostNamespace(specs.PIDNamespace),
			oci.WithAllDevicesAllowed,
			oci.WithWriteableSysfs,
			oci.WithMaskedPaths(nil),
			oci.WithReadonlyPaths(nil),
			oci.WithRootFSReadonly(),
			oci.WithCgroup("/" + groupInstaller),
			oci.WithMounts([]specs.Mount{
				bind("/dev", "/dev", "rw"),
				bind("/sys/firmware", "/sys/firmware", "rw"),
				{Type: "tmpfs", Source: "tmpfs", Destination: "/tmp", Options: []string{"nosuid", "nodev"}},
			}),
		},
	}

	err = runner.Run(ctx, lines, func(service.Started) {})
	lines.flush()

	if exit, ok := errors.AsType[*container.ExitError](err); ok {
		return exit.Code, nil
	}

	return 0, fmt.Errorf("running the installer of %s: %w", image, err)
}

// metaVariable is what META shall hold on the new disk, as the installer takes
// it.
func (n *Node) metaVariable() (string, error) {
	type entry struct {
		Key   uint8  `yaml:"key"`
		Value string `yaml:"value"`
	}

	var entries []entry

	for _, key := range n.meta.Keys() {
		if key <= 0xff {
			value, _ := n.meta.Get(key)
			entries = append(entries, entry{Key: uint8(key), Value: string(value)})
		}
	}

	if len(entries) == 0 {
		return "", nil
	}

	text, err := yaml.Marshal(entries)
	if err != nil {
		return "", fmt.Errorf("encoding META for the installer: %w", err)
	}

	return base64.StdEncoding.EncodeToString(text), nil
}

// lineWriter hands over each line that is written to it.
type lineWriter struct {
	tell func(string)
	rest []byte
}

var _ io.Writer = (*lineWriter)(nil)

// maxLine bounds a line; a longer one is cut into several.
const maxLine = 4096

func (w *lineWriter) Write(data []byte) (int, error) {
	w.rest = append(w.rest, data...)

	for {
		end := bytes.IndexByte(w.rest, '\n')
		if end < 0 && len(w.rest) < maxLine {
			return len(data), nil
		}

		if end < 0 {
			end = maxLine - 1
		}

		w.tell(string(bytes.TrimRight(w.rest[:end+1], "\r\n")))
		w.rest = w.rest[end+1:]
	}
}

// flush hands over a last line that has no end.
func (w *lineWriter) flush() {
	if len(w.rest) > 0 {
		w.tell(string(w.rest))
		w.rest = nil
	}
}

// installSequence installs the machine if its configuration says so, and
// restarts it from its disk.
func (n *Node) installSequence(cfg *machineconfig.Config) machine.Sequence {
	return machine.Sequence{Kind: machine.Install, Phases: []machine.Phase{
		{Name: "install", Tasks: []machine.Task{task("install", installTimeout, func(ctx context.Context) error {
			return n.installFrom(ctx, cfg)
		})}},
		{Name: "saveState", Tasks: []machine.Task{task("saveState", stateTimeout, n.awaitState)}},
	}}
}

// beforeBoot does what has to be done to the disk before it is in use, and says
// whether the machine ends for that, to start again from it.
func (n *Node) beforeBoot(ctx context.Context) (bool, error) {
	installed, err := n.isInstalled(ctx)
	if err != nil {
		return false, err
	}

	if installed {
		again, err := n.runStagedUpgrade(ctx)
		if !again || err != nil {
			return false, err
		}

		return true, n.endNode(ctx, machine.Reboot, machine.Restart, n.stopPhases()...)
	}

	cfg, err := n.activeConfig(ctx)
	if err != nil {
		return false, err
	}

	install := cfg.Machine().Install
	if install == nil {
		return false, nil
	}

	for {
		n.tellInstallation(ctx, install, runtime.UnattendedInstallPhaseInstalling, nil)

		err := n.sequencer.Run(ctx, n.installSequence(cfg))
		if err == nil {
			break
		}

		n.tellInstallation(ctx, install, runtime.UnattendedInstallPhaseFailed, err)
		n.logger.Error("the machine is not installed: trying again", "in", installRetry, "error", err)

		select {
		case <-time.After(installRetry):
		case <-ctx.Done():
			return false, ctx.Err()
		}

		// Somebody may have put right what was wrong in it.
		if cfg, err = n.activeConfig(ctx); err != nil {
			return false, err
		}

		if install = cfg.Machine().Install; install == nil {
			return false, nil
		}
	}

	if install.Reboot != nil && !*install.Reboot {
		n.tellInstallation(ctx, install, runtime.UnattendedInstallPhaseWaitingForReboot, nil)

		return false, nil
	}

	n.tellInstallation(ctx, install, runtime.UnattendedInstallPhaseInstalled, nil)

	return true, n.endNode(ctx, machine.Reboot, machine.Restart, n.stopPhases()...)
}

// tellInstallation shows how far the installation has come that the configuration
// asks for.
func (n *Node) tellInstallation(
	ctx context.Context, install *document.UnattendedInstallConfig, phase runtime.UnattendedInstallPhase, failure error,
) {
	status := runtime.UnattendedInstallStatus{Image: imageOf(install), Phase: phase}
	if failure != nil {
		status.Error = failure.Error()
	}

	if err := resource.Put(ctx, n.store, installOwner, runtime.UnattendedInstallStatusID, status); err != nil {
		n.logger.Error("telling how far the installation is", "error", err)
	}
}

// installOwner owns the status of the installation.
const installOwner = "runtime.UnattendedInstallController"

// imageOf is the installer's image; one that is not named is of this version.
func imageOf(install *document.UnattendedInstallConfig) string {
	return cmp.Or(install.Installer.Image, payload.Image(version.Version))
}

// installRetry is the pause between attempts to install.
const installRetry = 15 * time.Second

// installDisk chooses the disk that the configuration selects. It has to be one,
// and which one must not depend on chance.
func (n *Node) installDisk(ctx context.Context, install *document.UnattendedInstallConfig) (disk string, wipe bool, err error) {
	if err := volume.WaitDiscovered(ctx, n.store); err != nil {
		return "", false, err
	}

	selected, err := selector.ForDisks(block.Expression(install.Provisioning.DiskSelector.Match))
	if err != nil {
		return "", false, fmt.Errorf("selecting the disk to install to: %w", err)
	}

	disks, err := resource.List[block.Disk](ctx, n.store)
	if err != nil {
		return "", false, err
	}

	for _, d := range disks {
		matches, err := selected.Matches(selector.Subject{Disk: &d.Spec})
		if err != nil {
			return "", false, fmt.Errorf("selecting the disk to install to: %w", err)
		}

		if matches {
			return d.Spec.DevPath, install.Provisioning.Wipe != nil && *install.Provisioning.Wipe, nil
		}
	}

	return "", false, fmt.Errorf("selecting the disk to install to: none of %d disks matches %s",
		len(disks), install.Provisioning.DiskSelector.Match)
}

// stateTimeout bounds how long it takes until a machine that was installed has
// its configuration on its disk.
const stateTimeout = 5 * time.Minute

// errInstaller says that an installer did not do it.
var errInstaller = errors.New("the installer failed")

// installFrom installs as the configuration says.
func (n *Node) installFrom(ctx context.Context, cfg *machineconfig.Config) error {
	install := cfg.Machine().Install

	disk, wipe, err := n.installDisk(ctx, install)
	if err != nil {
		return err
	}

	image, args := imageOf(install), []string{"--disk", disk}
	if wipe {
		args = append(args, "--zero")
	}

	n.logger.Info("installing", "image", image, "disk", disk)

	code, err := n.installer.run(ctx, image, args, func(string) {})
	if err != nil {
		return err
	}

	if code != 0 {
		return fmt.Errorf("installing to %s: %w with exit code %d: what it said is in the log of machined", disk, errInstaller, code)
	}

	return n.findInstalled(ctx)
}

// findInstalled makes use of what an installer has just made.
func (n *Node) findInstalled(ctx context.Context) error {
	if err := volume.Rediscover(ctx, n.store); err != nil {
		return err
	}

	_, err := n.attachMeta(ctx)

	return err
}

// awaitState waits until STATE is there, and with it the configuration.
func (n *Node) awaitState(ctx context.Context) error {
	done := make(chan struct{})
	if err := n.state.whenThere(func() error {
		close(done)

		return nil
	}); err != nil {
		return err
	}

	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for STATE: %w", ctx.Err())
	}
}
