package files

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/reconcile/reconciletest"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/config"
	"github.com/basalt-os/basalt/internal/resources/files"
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

// TestTrustedRootsFollowTheConfiguration checks that the file is there as long
// as documents are, and that what covers the root tree's file is not read as if
// it were that.
func TestTrustedRootsFollowTheConfiguration(t *testing.T) {
	t.Parallel()

	etc := t.TempDir()
	bundle := filepath.Join(etc, TrustedRootsName)

	if err := os.MkdirAll(filepath.Dir(bundle), 0o755); err != nil {
		t.Fatal(err)
	}

	cover := func(text string) {
		t.Helper()

		if err := os.WriteFile(bundle, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	cover("system")

	store := run(t, TrustedRoots(&configured.Reader{}, etc))
	document := func(text string) string {
		return "apiVersion: v1alpha1\nkind: TrustedRootsConfig\nname: a\ncertificates: " + text + "\n"
	}

	for _, step := range []struct{ config, want string }{
		{document("first"), "system\nfirst\n"},
		{document("second"), "system\nsecond\n"},
		{"version: v1alpha1\n", ""},
		{document("third"), "system\nthird\n"},
	} {
		if err := resource.Put(t.Context(), store, "test", config.ActiveID, config.MachineConfig{Text: step.config}); err != nil {
			t.Fatal(err)
		}

		_, err := resource.WaitFor(t.Context(), store, TrustedRootsName, func(r *resource.Resource[files.EtcFileSpec]) bool {
			if r == nil {
				return step.want == ""
			}

			return r.Spec.Contents == step.want
		})
		if err != nil {
			t.Fatalf("%q: %v", step.want, err)
		}

		cover("covered")
	}
}

// run runs a controller until the test ends.
func run(t *testing.T, controller reconcile.Controller) *resource.Store {
	t.Helper()

	store := resource.NewStore()
	reconciletest.Run(t, store, controller)

	return store
}
