// Command stage1 is /init in the initramfs of a machine. See package stage1.
package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/basalt-os/basalt/internal/stage1"
)

func main() {
	fmt.Fprintf(os.Stderr, "stage1: %v\n", run())
	os.Exit(1)
}

// run returns only when the machine cannot boot.
func run() error {
	if os.Getpid() != 1 {
		return fmt.Errorf("process %d is not the first of a machine", os.Getpid())
	}

	system := stage1.Linux{}
	if err := stage1.Prepare(system); err != nil {
		return err
	}

	var output io.Writer = os.Stderr

	// The console may not show what the kernel's log keeps.
	if kmsg, err := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0); err == nil {
		output = kmsg
	}

	logger := slog.New(slog.NewTextHandler(output, &slog.HandlerOptions{ReplaceAttr: withoutTime})).With("program", "stage1")

	err := stage1.Run(system, logger)
	logger.Error("booting", "error", err)

	return err
}

// withoutTime leaves the time to the kernel's log, which has its own.
func withoutTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}

	return a
}
