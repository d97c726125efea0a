package runtime

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/extension"
	"github.com/basalt-os/basalt/internal/resources/runtime"
)

func TestExtensionStatus(t *testing.T) {
	t.Parallel()

	got := extensionStatus(extension.Layer{Image: "000.tools.sqsh", Metadata: extension.Metadata{
		Name: "tools", Version: "v1", Author: "us", Description: "what it is", ExtraInfo: "more",
		Compatibility: extension.Compatibility{Talos: extension.Constraint{Version: ">= v1.0.0"}},
	}})

	want := runtime.ExtensionStatus{Image: "000.tools.sqsh", Metadata: runtime.ExtensionMetadata{
		Name: "tools", Version: "v1", Author: "us", Description: "what it is", ExtraInfo: "more",
		Compatibility: runtime.ExtensionCompatibility{Talos: runtime.ExtensionConstraint{Version: ">= v1.0.0"}},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
}
