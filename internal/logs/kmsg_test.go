package logs_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/logs"
)

func TestParseMessage(t *testing.T) {
	for _, test := range []struct {
		name   string
		record string
		want   logs.Message
		err    string
	}{
		{
			name:   "kernel",
			record: "6,339,5140900,-;NET: Registered protocol family 10",
			want: logs.Message{
				Priority: 6, Sequence: 339, SinceUp: 5140900 * time.Microsecond,
				Text: "NET: Registered protocol family 10",
			},
		},
		{
			name:   "dictionary and more fields",
			record: "30,340,5690716,-,caller=T1;udevd[80]: starting; now\n SUBSYSTEM=acpi\n DEVICE=+acpi:PNP0A03:00\n",
			want: logs.Message{
				Facility: 3, Priority: 6, Sequence: 340, SinceUp: 5690716 * time.Microsecond,
				Text: "udevd[80]: starting; now",
			},
		},
		{
			name:   "escapes",
			record: `13,1,0,-;caf\xc3\xa9 \x0a \x5c \xzz \x`,
			want:   logs.Message{Facility: 1, Priority: 5, Sequence: 1, Text: `café \x0a \ \xzz \x`},
		},
		{name: "empty", record: "", err: "semicolon"},
		{name: "short", record: "6,1;x", err: "2 fields"},
		{name: "priority", record: "x,1,1,-;x", err: "priority"},
		{name: "sequence", record: "6,x,1,-;x", err: "sequence"},
		{name: "time", record: "6,1,x,-;x", err: "time"},
		{name: "negative time", record: "6,1,-1,-;x", err: "out of range"},
		{name: "huge time", record: "6,1,9223372036854775807,-;x", err: "out of range"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := logs.ParseMessage([]byte(test.record))

			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Fatalf("got %v, want an error with %q", err, test.err)
				}

				return
			}

			if err != nil {
				t.Fatal(err)
			}

			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFormat(t *testing.T) {
	message := logs.Message{Priority: 6, SinceUp: 1500 * time.Millisecond, Text: "hello"}

	const want = "kern:    info: [1970-01-01T00:00:11.5Z]: hello"
	if got := message.Format(time.Unix(10, 0)); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestKmsg(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kmsg")
	if err := os.WriteFile(path, []byte("6,1,1,-;one"), 0o600); err != nil {
		t.Fatal(err)
	}

	var got []string

	collect := func(m logs.Message) error {
		got = append(got, m.Text)

		return nil
	}

	if err := logs.Kmsg(t.Context(), path, false, false, collect); err != nil {
		t.Fatal(err)
	}

	if err := logs.Kmsg(t.Context(), path, false, true, collect); err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff([]string{"one"}, got); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
}

func TestKmsgFollowEndsWithContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kmsg")

	if err := mkfifo(path); err != nil {
		t.Fatal(err)
	}

	end, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer end.Close()

	if _, err := end.WriteString("6,1,1,-;one"); err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(t.Context())

	var got []string

	err = logs.Kmsg(ctx, path, true, false, func(m logs.Message) error {
		got = append(got, m.Text)
		cancel()

		return nil
	})
	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff([]string{"one"}, got); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
}

func TestBootTime(t *testing.T) {
	got, err := logs.BootTime(strings.NewReader("cpu 1 2\nbtime 1234\nprocesses 5\n"))
	if err != nil || !got.Equal(time.Unix(1234, 0)) {
		t.Errorf("got %v, %v, want %v", got, err, time.Unix(1234, 0))
	}

	if _, err := logs.BootTime(strings.NewReader("cpu 1 2\n")); err == nil {
		t.Error("a file without btime is accepted")
	}
}

func FuzzParseMessage(f *testing.F) {
	f.Add([]byte("6,339,5140900,-;NET: Registered"))
	f.Add([]byte("30,340,5690716,-,caller=T1;a\n B=c\n"))
	f.Add([]byte(`13,1,0,-;caf\xc3\xa9`))

	f.Fuzz(func(t *testing.T, record []byte) {
		message, err := logs.ParseMessage(record)
		if err != nil {
			return
		}

		if strings.Contains(message.Text, "\n") {
			t.Errorf("text %q has a line feed", message.Text)
		}

		if message.SinceUp < 0 || message.Priority > 7 {
			t.Errorf("message %+v is out of range", message)
		}

		if line := message.Format(time.Unix(0, 0)); utf8.ValidString(message.Text) && !utf8.ValidString(line) {
			t.Errorf("line %q is not valid UTF-8", line)
		}
	})
}
