package logs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/logs"
)

func stream(t *testing.T, buffer *logs.Buffer, tail int) string {
	t.Helper()

	var out bytes.Buffer
	if err := buffer.Stream(t.Context(), &out, tail, false); err != nil {
		t.Fatal(err)
	}

	return out.String()
}

func TestStream(t *testing.T) {
	long := strings.Repeat("x", 16<<10)

	for _, test := range []struct {
		name   string
		size   int
		writes []string
		tail   int
		want   string
	}{
		{"nothing", 100, nil, -1, ""},
		{"lines", 100, []string{"a\nb\n"}, -1, "a\nb\n"},
		{"pieces", 100, []string{"a", "b\nc", "d\n"}, -1, "ab\ncd\n"},
		{"incomplete", 100, []string{"a\nb"}, -1, "a\n"},
		{"carriage return", 100, []string{"a\r\nb\r\n"}, -1, "a\nb\n"},
		{"empty lines", 100, []string{"\n\n"}, -1, "\n\n"},
		{"tail", 100, []string{"a\nb\nc\n"}, 2, "b\nc\n"},
		{"no tail", 100, []string{"a\nb\n"}, 0, ""},
		{"long tail", 100, []string{"a\nb\n"}, 5, "a\nb\n"},
		{"rotated", 6, []string{"aa\nbb\ncc\n"}, -1, "bb\ncc\n"},
		{"larger than the buffer", 2, []string{"aaaa\n"}, -1, "aaaa\n"},
		{"endless line", 1 << 20, []string{long + "y\n"}, -1, long + "\ny\n"},
		{"exact line", 1 << 20, []string{long + "\nz\n"}, -1, long + "\nz\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			buffer := logs.NewBook(test.size, nil).Open("s")

			for _, text := range test.writes {
				if n, err := buffer.Write([]byte(text)); n != len(text) || err != nil {
					t.Fatalf("write returned %d, %v", n, err)
				}
			}

			if diff := cmp.Diff(test.want, stream(t, buffer, test.tail)); diff != "" {
				t.Errorf("output (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReaderReportsGap(t *testing.T) {
	buffer := logs.NewBook(4, nil).Open("s")
	reader := buffer.Follow(-1)

	fmt.Fprint(buffer, "a\nb\nc\nd\n")

	_, err := reader.Next(t.Context())

	var gap *logs.GapError
	if !errors.As(err, &gap) || gap.Missed != 2 {
		t.Fatalf("got %v, want a gap of 2 lines", err)
	}

	line, err := reader.Next(t.Context())
	if err != nil || string(line.Text) != "c" {
		t.Errorf("got %q, %v, want %q", line.Text, err, "c")
	}
}

func TestLinesHaveTime(t *testing.T) {
	at := time.Unix(42, 0)
	buffer := logs.NewBook(100, func() time.Time { return at }).Open("s")

	fmt.Fprintln(buffer, "a")

	line, err := buffer.Follow(-1).Next(t.Context())
	if err != nil || !line.Time.Equal(at) {
		t.Errorf("got %v, %v, want %v", line.Time, err, at)
	}
}

func TestFollowSeesEverything(t *testing.T) {
	const count = 1000

	buffer := logs.NewBook(1<<20, nil).Open("s")
	ctx, cancel := context.WithCancel(t.Context())

	var (
		wg   sync.WaitGroup
		out  strings.Builder
		want strings.Builder
		err  error
	)

	wg.Go(func() {
		err = buffer.Stream(ctx, writer(func(p []byte) (int, error) {
			out.Write(p)

			if strings.HasSuffix(out.String(), fmt.Sprintf("line %d\n", count-1)) {
				cancel()
			}

			return len(p), nil
		}), -1, true)
	})

	for i := range count {
		fmt.Fprintf(buffer, "line %d\n", i)
		fmt.Fprintf(&want, "line %d\n", i)
	}

	wg.Wait()
	cancel()

	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(want.String(), out.String()); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

func TestBook(t *testing.T) {
	book := logs.NewBook(100, nil)

	if book.Lookup("b") != nil {
		t.Error("a buffer exists before it was opened")
	}

	opened := book.Open("b")
	book.Open("a")

	if book.Open("b") != opened || book.Lookup("b") != opened {
		t.Error("opening a buffer again gives another one")
	}

	if diff := cmp.Diff([]string{"a", "b"}, book.IDs()); diff != "" {
		t.Errorf("IDs (-want +got):\n%s", diff)
	}
}
