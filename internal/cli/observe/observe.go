// Package observe has the commands that look at nodes: what runs on them, what
// they log, and what they use.
package observe

import (
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/basalt-os/basalt/api/common"
)

// Commands returns the commands.
func Commands() []*cobra.Command {
	return []*cobra.Command{
		newVersion(), newService(), newLogs(), newDmesg(), newEvents(),
		newContainers(), newStats(), newRestart(), newProcesses(), newMemory(), newMounts(),
		newList(), newRead(), newCopy(), newUsage(), newDiskFree(), newNetstat(), newCapture(), newTime(), newInspect(),
	}
}

// Namespaces of containerd: one for what the system runs, one for pods.
const (
	systemNamespace = "system"
	podNamespace    = "k8s.io"
)

// runtimeFlags choose whose containers a command is about.
type runtimeFlags struct {
	kubernetes, cri bool
}

func (f *runtimeFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&f.kubernetes, "kubernetes", "k", false, "the containers of Kubernetes pods")
	cmd.Flags().BoolVar(&f.cri, "use-cri", false, "the same as --kubernetes")

	// The only error is about a flag that does not exist.
	_ = cmd.Flags().MarkHidden("use-cri")
}

func (f *runtimeFlags) choose() (namespace string, driver common.ContainerDriver) {
	if f.kubernetes || f.cri {
		return podNamespace, common.ContainerDriver_CRI
	}

	return systemNamespace, common.ContainerDriver_CONTAINERD
}

// ago says how long ago a time was, "-" when it is not known.
func ago(stamp *timestamppb.Timestamp) string {
	if stamp == nil || stamp.AsTime().IsZero() {
		return "-"
	}

	return time.Since(stamp.AsTime()).Round(time.Second).String() + " ago"
}

// orDash replaces empty text by a dash.
func orDash(text string) string {
	if text == "" {
		return "-"
	}

	return text
}
