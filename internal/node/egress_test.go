package node

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/runtime"
)

func TestOverlayReplacesByName(t *testing.T) {
	t.Parallel()

	got := overlay([]string{"PATH=/bin", "TMPDIR=/tmp"}, []string{"http_proxy=http://p:1", "TMPDIR=/var/tmp", "EMPTY"})
	want := []string{"PATH=/bin", "http_proxy=http://p:1", "TMPDIR=/var/tmp", "EMPTY"}

	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
}

func TestServicesGetTheVariables(t *testing.T) {
	t.Parallel()

	n := &Node{store: resource.NewStore()}

	for _, variables := range [][]string{nil, {"https_proxy=http://p:1"}} {
		if variables != nil {
			spec := runtime.Environment{Variables: variables}
			if err := resource.Put(t.Context(), n.store, "test", runtime.EnvironmentID, spec); err != nil {
				t.Fatal(err)
			}
		}

		got, err := n.serviceEnvironment(t.Context())
		if err != nil {
			t.Fatal(err)
		}

		if diff := cmp.Diff(append(n.environment(), variables...), got); diff != "" {
			t.Errorf("environment (-want +got):\n%s", diff)
		}
	}
}

func TestOnlyOtherVariablesMakeServicesStale(t *testing.T) {
	t.Parallel()

	environment := func(variables ...string) *resource.Resource[runtime.Environment] {
		return resource.New(runtime.EnvironmentID, runtime.Environment{Variables: variables})
	}

	for _, test := range []struct {
		name  string
		begin []string
		now   *resource.Resource[runtime.Environment]
		want  bool
	}{
		{"no configuration", nil, nil, false},
		{"a configuration without any", nil, environment(), false},
		{"the same", []string{"a=1"}, environment("a=1"), false},
		{"the first", nil, environment("a=1"), true},
		{"another value", []string{"a=1"}, environment("a=2"), true},
		{"none any more", []string{"a=1"}, environment(), true},
		{"no configuration any more", []string{"a=1"}, nil, true},
	} {
		if got := otherVariables(test.begin)(test.now); got != test.want {
			t.Errorf("%s: got %v", test.name, got)
		}
	}
}
