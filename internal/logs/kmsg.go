package logs

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Facility says, as syslog does, which part of the system a message is from.
type Facility uint8

// Priority says, as syslog does, how urgent a message is.
type Priority uint8

var facilities = []string{
	"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
	"ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
}

var priorities = []string{"emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"}

func (f Facility) String() string {
	if int(f) < len(facilities) {
		return facilities[f]
	}

	return "facility" + strconv.Itoa(int(f))
}

func (p Priority) String() string { return priorities[p&7] }

// Message is one record of the kernel log.
type Message struct {
	Facility Facility
	Priority Priority
	Sequence uint64
	SinceUp  time.Duration // monotonic time of the record, from the boot
	Text     string        // without line feeds and without the dictionary
}

// Format returns the message as one line for people; boot is the wall clock
// time at which the kernel started.
func (m Message) Format(boot time.Time) string {
	return fmt.Sprintf("%s: %7s: [%s]: %s", m.Facility, m.Priority,
		boot.Add(m.SinceUp).UTC().Format(time.RFC3339Nano), m.Text)
}

// ParseMessage decodes one record as /dev/kmsg delivers it:
// "priority,sequence,microseconds,flags[,...];text", then lines of the
// dictionary, which are dropped. Escapes of the form \xHH in the text are
// decoded unless they stand for control characters.
func ParseMessage(record []byte) (Message, error) {
	record, _, _ = bytes.Cut(record, []byte("\n"))

	prefix, text, ok := bytes.Cut(record, []byte(";"))
	if !ok {
		return Message{}, errors.New("parsing kernel message: prefix does not end with a semicolon")
	}

	fields := strings.Split(string(prefix), ",")
	if len(fields) < 3 {
		return Message{}, fmt.Errorf("parsing kernel message: prefix has %d fields, want at least 3", len(fields))
	}

	code, err := strconv.ParseUint(fields[0], 10, 11)
	if err != nil {
		return Message{}, fmt.Errorf("parsing priority of kernel message: %w", err)
	}

	sequence, err := strconv.ParseUint(fields[1], 10, 64)
	if err != nil {
		return Message{}, fmt.Errorf("parsing sequence of kernel message: %w", err)
	}

	micros, err := strconv.ParseInt(fields[2], 10, 64)
	if err != nil {
		return Message{}, fmt.Errorf("parsing time of kernel message: %w", err)
	}

	const limit = int64(1<<63-1) / int64(time.Microsecond)
	if micros < 0 || micros > limit {
		return Message{}, fmt.Errorf("parsing time of kernel message: %d is out of range", micros)
	}

	return Message{
		Facility: Facility(code >> 3),
		Priority: Priority(code & 7),
		Sequence: sequence,
		SinceUp:  time.Duration(micros) * time.Microsecond,
		Text:     unescape(string(text)),
	}, nil
}

// unescape decodes \xHH where it stands for a printable or non-ASCII byte.
func unescape(text string) string {
	if !strings.Contains(text, `\x`) {
		return text
	}

	var out strings.Builder

	for {
		before, after, found := strings.Cut(text, `\x`)
		out.WriteString(before)

		if !found {
			return out.String()
		}

		text = after

		var code uint64

		err := strconv.ErrSyntax
		if len(after) >= 2 {
			code, err = strconv.ParseUint(after[:2], 16, 8)
		}

		if err != nil || code < 0x20 || code == 0x7f {
			out.WriteString(`\x`)

			continue
		}

		out.WriteByte(byte(code))

		text = after[2:]
	}
}

// maxRecord is larger than the largest record of the kernel.
const maxRecord = 16 << 10

// Kmsg reads the kernel log from a file such as /dev/kmsg and calls f for each
// message: first those that are kept, unless tail says to begin with the next
// one. Without follow it ends after the last message that is kept; with follow
// it goes on until ctx ends, which is not an error. Records that cannot be
// parsed are skipped, since the log is written by anybody on the machine.
func Kmsg(ctx context.Context, path string, follow, tail bool, f func(Message) error) error {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("opening kernel log: %w", err)
	}
	defer file.Close()

	if tail {
		if _, err := file.Seek(0, io.SeekEnd); err != nil {
			return fmt.Errorf("seeking to the end of the kernel log: %w", err)
		}
	}

	stop := context.AfterFunc(ctx, func() { _ = file.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()

	if !follow {
		// Records that are kept are read without waiting.
		return readKmsg(ctx, rawReader{file}, f)
	}

	return readKmsg(ctx, file, f)
}

func readKmsg(ctx context.Context, r io.Reader, f func(Message) error) error {
	record := make([]byte, maxRecord)

	for {
		n, err := r.Read(record)

		switch {
		case errors.Is(err, unix.EPIPE): // overwritten while we read; the next read continues
			continue
		case err != nil && (ctx.Err() != nil || errors.Is(err, io.EOF) || errors.Is(err, unix.EAGAIN)):
			return nil
		case err != nil:
			return fmt.Errorf("reading kernel log: %w", err)
		}

		message, err := ParseMessage(record[:n])
		if err != nil {
			continue
		}

		if err := f(message); err != nil {
			return err
		}
	}
}

// rawReader reads from a non-blocking file without waiting in the poller.
type rawReader struct{ file *os.File }

func (r rawReader) Read(p []byte) (int, error) {
	conn, err := r.file.SyscallConn()
	if err != nil {
		return 0, err
	}

	var n int

	var readErr error

	if err := conn.Read(func(fd uintptr) bool {
		n, readErr = unix.Read(int(fd), p)

		return true
	}); err != nil {
		return 0, err
	}

	if readErr == nil && n == 0 {
		return 0, io.EOF
	}

	return max(n, 0), readErr
}

// BootTime returns the wall clock time at which the kernel started, from the
// btime line of /proc/stat.
func BootTime(stat io.Reader) (time.Time, error) {
	scanner := bufio.NewScanner(stat)
	scanner.Buffer(nil, 1<<20)

	for scanner.Scan() {
		value, ok := strings.CutPrefix(scanner.Text(), "btime ")
		if !ok {
			continue
		}

		seconds, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return time.Time{}, fmt.Errorf("parsing boot time: %w", err)
		}

		return time.Unix(seconds, 0), nil
	}

	if err := scanner.Err(); err != nil {
		return time.Time{}, fmt.Errorf("reading boot time: %w", err)
	}

	return time.Time{}, errors.New("reading boot time: no btime line")
}
