package enum_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/resources/enum"
)

type fruit uint8

var fruits = enum.Names[fruit]{1: "apple", 3: "pear"}

type bits uint32

var flags = enum.Flags[bits]{1: "one", 4: "four", 2: "two"}

func TestNames(t *testing.T) {
	tests := []struct {
		value fruit
		text  string
	}{{1, "apple"}, {3, "pear"}, {0, "0"}, {200, "200"}}
	for _, test := range tests {
		if got := fruits.Text(test.value); got != test.text {
			t.Errorf("text of %d = %q, want %q", test.value, got, test.text)
		}

		var got fruit
		if err := fruits.UnmarshalText([]byte(test.text), &got); err != nil || got != test.value {
			t.Errorf("parsing %q = %d, %v, want %d", test.text, got, err, test.value)
		}
	}

	if diff := cmp.Diff([]fruit{1, 3}, fruits.Values()); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
}

func TestNamesRefuse(t *testing.T) {
	for _, text := range []string{"plum", "256", "-1", "Apple"} {
		value := fruit(3)

		err := fruits.UnmarshalText([]byte(text), &value)
		if err == nil || !strings.Contains(err.Error(), "apple, pear") {
			t.Errorf("parsing %q: error = %v, want one that names the values", text, err)
		}

		if value != 3 {
			t.Errorf("parsing %q changed the value to %d", text, value)
		}
	}
}

func TestFlags(t *testing.T) {
	tests := []struct {
		set  bits
		text string
	}{{0, ""}, {1, "one"}, {7, "one,two,four"}, {4 | 64 | 128, "four,0xc0"}}
	for _, test := range tests {
		if got := flags.Text(test.set); got != test.text {
			t.Errorf("text of %#x = %q, want %q", test.set, got, test.text)
		}

		var got bits
		if err := flags.UnmarshalText([]byte(test.text), &got); err != nil || got != test.set {
			t.Errorf("parsing %q = %#x, %v, want %#x", test.text, got, err, test.set)
		}
	}

	var got bits
	if err := flags.UnmarshalText([]byte("one,three"), &got); err == nil {
		t.Error("no error for an unknown flag")
	}
}
