package logs

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestKmsgWriter(t *testing.T) {
	for line, want := range map[string]string{
		"level=INFO msg=started\n":                    "<30>machined: level=INFO msg=started",
		"level=ERROR msg=\"no a\"\n":                  "<27>machined: level=ERROR msg=\"no a\"",
		"something else":                              "<30>machined: something else",
		"level=WARN msg=" + strings.Repeat("x", 2000): "<28>machined: level=WARN msg=" + strings.Repeat("x", 960-3-29) + "...",
	} {
		var out bytes.Buffer

		n, err := (&kmsgWriter{device: &out, program: "machined"}).Write([]byte(line))
		if n != len(line) || err != nil {
			t.Errorf("wrote %d, %v", n, err)
		}

		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Errorf("message (-want +got):\n%s", diff)
		}
	}
}
