package files

import (
	"testing"

	"github.com/basalt-os/basalt/pkg/machineconfig/document"
)

func TestTrustedRootsComeAfterTheSystems(t *testing.T) {
	t.Parallel()

	own := append(make([]byte, 0, 100), "system"...)

	got := trustedRoots(own, []*document.TrustedRootsConfig{{Name: "a", Certificates: "first\n"}, {Name: "b", Certificates: "second"}})
	if want := "system\nfirst\n\nsecond\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}

	if got := trustedRoots(own, nil); got != "system\n" {
		t.Errorf("the system's own became %q", got)
	}
}
