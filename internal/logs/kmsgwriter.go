package logs

import (
	"bytes"
	"io"
	"log/slog"
	"os"
)

// maxKmsg is how much of a message the kernel takes, with its level and the
// name of the program (LOG_LINE_MAX of the kernel less its own header).
const maxKmsg = 960

// kmsgPriorities are the kernel's priorities (syslog(2)) of our levels, with the
// facility "daemon", so that they are told from the kernel's own.
var kmsgPriorities = map[slog.Level]string{
	slog.LevelError: "<27>", slog.LevelWarn: "<28>", slog.LevelInfo: "<30>", slog.LevelDebug: "<31>",
}

// KmsgHandler writes records to the kernel's log, which is what the consoles of
// a machine show: device is /dev/kmsg, opened for writing, and program is who
// says it. A record that is too long is cut.
func KmsgHandler(device *os.File, program string) slog.Handler {
	return slog.NewTextHandler(&kmsgWriter{device: device, program: program}, &slog.HandlerOptions{
		// The kernel has its own time.
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{}
			}

			return a
		},
	})
}

// kmsgWriter writes each line, which a handler writes in one piece, as one
// message.
type kmsgWriter struct {
	device  io.Writer
	program string
}

func (w *kmsgWriter) Write(line []byte) (int, error) {
	priority := kmsgPriorities[slog.LevelInfo]

	for level, p := range kmsgPriorities {
		if bytes.HasPrefix(line, []byte("level="+level.String()+" ")) {
			priority = p
		}
	}

	message := append([]byte(priority+w.program+": "), bytes.TrimRight(line, "\n")...)
	if len(message) > maxKmsg {
		message = append(message[:maxKmsg-3], "..."...)
	}

	if _, err := w.device.Write(message); err != nil {
		return 0, err
	}

	return len(line), nil
}
