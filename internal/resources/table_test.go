package resources_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources"
	"github.com/basalt-os/basalt/internal/resources/network"
)

func TestLookup(t *testing.T) {
	table := newTable(t)

	tests := []struct {
		name string
		want string
	}{
		{"LinkStatuses.net.talos.dev", "LinkStatuses.net.talos.dev"},
		{"linkstatuses.net", "LinkStatuses.net.talos.dev"},
		{"links", "LinkStatuses.net.talos.dev"},
		{"LinkStatus", "LinkStatuses.net.talos.dev"},
		{"mc", "MachineConfigs.config.talos.dev"},
		{"rd", "ResourceDefinitions.meta.cosi.dev"},
		{"mounts", "MountStatuses.runtime.talos.dev"},
		{"mountstatus", "MountStatuses.block.talos.dev"},
		{"cpus", "Processors.hardware.talos.dev"},
		{"ns", "Namespaces.meta.cosi.dev"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			entry, err := table.Lookup(test.name)
			if err != nil {
				t.Fatal(err)
			}

			if entry.Definition.Type != test.want {
				t.Errorf("found %s, want %s", entry.Definition.Type, test.want)
			}
		})
	}
}

func TestLookupNamesTheCandidatesOfAnAmbiguousAlias(t *testing.T) {
	_, err := newTable(t).Lookup("mrs")

	var ambiguous *resources.AmbiguousError
	if !errors.As(err, &ambiguous) {
		t.Fatalf("error = %v, want an AmbiguousError", err)
	}

	want := []string{"MachineResetSignals.runtime.talos.dev", "MaintenanceRootSecrets.secrets.talos.dev", "MountRequests.block.talos.dev"}
	if diff := cmp.Diff(want, ambiguous.Candidates); diff != "" {
		t.Errorf("candidates (-want +got):\n%s", diff)
	}
}

func TestLookupOfAnUnknownName(t *testing.T) {
	if _, err := newTable(t).Lookup("pods"); !errors.Is(err, resources.ErrUnknownType) {
		t.Errorf("error = %v, want ErrUnknownType", err)
	}
}

type ownSpec struct {
	Name string `yaml:"name" protobuf:"1"`
}

func (ownSpec) Definition() resource.Definition {
	return resource.Definition{Type: "Things.basalt.dev", Namespace: "runtime", DisplayType: "Thing"}
}

func TestTableTakesOwnTypes(t *testing.T) {
	table, err := resources.NewTable(resources.Describe[ownSpec]())
	if err != nil {
		t.Fatal(err)
	}

	entry, err := table.Lookup("thing")
	if err != nil {
		t.Fatal(err)
	}

	object := entry.New(resource.Metadata{ID: "one"})
	if err := entry.Codec.DecodeYAML([]byte("name: first\n"), object.SpecValue()); err != nil {
		t.Fatal(err)
	}

	if got := object.SpecValue().(*ownSpec).Name; got != "first" {
		t.Errorf("name = %q, want first", got)
	}
}

func TestTableRefusesATypeTwice(t *testing.T) {
	if _, err := resources.NewTable(resources.Describe[network.LinkStatus]()); err == nil {
		t.Error("no error")
	}
}
