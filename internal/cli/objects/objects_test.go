package objects_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	cosiresource "github.com/basalt-os/basalt/api/cosi/resource"
	"github.com/basalt-os/basalt/internal/cli/objects"
)

func object(t *testing.T, spec string) *objects.Object {
	t.Helper()

	object, err := objects.New(&cosiresource.Resource{
		Metadata: &cosiresource.Metadata{Namespace: "network", Type: "Things.basalt.dev", Id: "one", Version: "3", Phase: "running"},
		Spec:     &cosiresource.Spec{YamlSpec: spec},
	})
	if err != nil {
		t.Fatal(err)
	}

	return object
}

func TestForms(t *testing.T) {
	o := object(t, "b: 1\na: [x, y]\nsince: 2026-11-21T09:00:00Z\n")

	text, err := o.YAML("10.0.0.1", "")
	if err != nil {
		t.Fatal(err)
	}

	// The order is the node's.
	want := `node: 10.0.0.1
metadata:
    namespace: network
    type: Things.basalt.dev
    id: one
    version: '3'
    owner: ''
    phase: running
spec:
    b: 1
    a: [x, y]
    since: 2026-11-21T09:00:00Z
`
	if diff := cmp.Diff(want, strings.ReplaceAll(string(text), `"`, `'`)); diff != "" {
		t.Error(diff)
	}

	for expression, want := range map[string]string{
		"{.spec.a[*]}":                         "x y",
		".metadata.id":                         "one",
		"{.spec.since}":                        "2026-11-21T09:00:00Z",
		"{.spec.missing}":                      "",
		`{range .spec.a[*]}{@}{"\n"}{end}`:     "x\ny\n",
		`{.metadata.id}{" has "}{.spec.b}`:     "one has 1",
		"{.spec.a[:]}":                         "x y",
		"{.node}":                              "10.0.0.1",
		`{.metadata.type}/{.metadata.version}`: "Things.basalt.dev/3",
	} {
		path, err := objects.ParsePath(expression)
		if err != nil {
			t.Errorf("%s: %v", expression, err)

			continue
		}

		value, err := o.Value("10.0.0.1")
		if err != nil {
			t.Fatal(err)
		}

		if got, err := path.Evaluate(value); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", expression, got, err, want)
		}
	}
}

func TestScalarSpec(t *testing.T) {
	o := object(t, "worker\n")

	path, err := objects.ParsePath("{@}")
	if err != nil {
		t.Fatal(err)
	}

	if got, err := path.Evaluate(o.Spec); err != nil || got != "worker" {
		t.Errorf("got %q, %v", got, err)
	}

	var spec string
	if err := o.Decode(&spec); err != nil || spec != "worker" {
		t.Errorf("got %q, %v", spec, err)
	}
}

func TestResolve(t *testing.T) {
	definitions := []objects.Definition{
		{Type: "Services.v1alpha1.talos.dev", Aliases: []string{"svc"}, AllAliases: []string{"services", "svc", "service"}},
		{Type: "Services.other.dev", AllAliases: []string{"services"}},
		{Type: "Links.net.dev", AllAliases: []string{"links", "link", "svc"}},
	}

	for name, want := range map[string]string{
		"LINK": "Links.net.dev", "Links.net": "Links.net.dev", "services.other.dev": "Services.other.dev",
		// A declared alias hides one that is derived.
		"svc": "Services.v1alpha1.talos.dev",
	} {
		if got, err := objects.Resolve(definitions, name); err != nil || got.Type != want {
			t.Errorf("%s: got %s, %v, want %s", name, got.Type, err, want)
		}
	}

	for name, want := range map[string]string{
		"services": `resource type "services" may be any of Services.other.dev, Services.v1alpha1.talos.dev`,
		"nobody":   `there is no resource type "nobody"; "basaltctl get rd" lists all`,
	} {
		if _, err := objects.Resolve(definitions, name); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", name, err, want)
		}
	}
}

func FuzzNew(f *testing.F) {
	f.Add("a: 1")
	f.Add("&a [*a]")
	f.Add("---\n---\n")
	f.Add("? [1]\n: 2")
	f.Fuzz(func(t *testing.T, spec string) {
		o, err := objects.New(&cosiresource.Resource{Metadata: &cosiresource.Metadata{Id: "x"}, Spec: &cosiresource.Spec{YamlSpec: spec}})
		if err != nil {
			return
		}

		// Printing may fail, for there are values that JSON does not have.
		_, _ = o.YAML("", "")
		_, _ = o.JSON("", "")
	})
}
