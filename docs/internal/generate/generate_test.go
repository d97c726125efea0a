package main

import (
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/rbac"
)

var (
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	within  = regexp.MustCompile(`\]\(([a-z0-9-]+\.md)?#([^)]+)\)`)
)

// TestAnchors follows the links of all pages to headings.
func TestAnchors(t *testing.T) {
	all, err := pages(t.Context(), "../../..")
	if err != nil {
		t.Fatal(err)
	}

	anchors := map[string]bool{}

	for page, text := range all {
		for _, match := range heading.FindAllStringSubmatch(text, -1) {
			anchors[page+"#"+strings.ReplaceAll(strings.ToLower(match[1]), " ", "-")] = true
		}
	}

	for page, text := range all {
		for _, match := range within.FindAllStringSubmatch(text, -1) {
			target := match[1]
			if target == "" {
				target = page
			}

			if !anchors[target+"#"+match[2]] {
				t.Errorf("%s links to %s#%s, which is not there", page, target, match[2])
			}
		}
	}
}

// TestMethods looks for every method that a node has a rule for.
func TestMethods(t *testing.T) {
	page, err := apiPage(t.Context(), "../../..")
	if err != nil {
		t.Fatal(err)
	}

	for _, full := range rbac.Methods() {
		rule, _ := rbac.RuleFor(full)
		service, method, _ := strings.Cut(strings.TrimPrefix(full, "/"), "/")

		_, section, _ := strings.Cut(page, "## "+service+"\n")
		section, _, _ = strings.Cut(section, "\n## ")

		if has := strings.Contains(section, "| `"+method+"` |"); has != (rule.Elsewhere == "") {
			t.Errorf("%s: in the page: %t", full, has)
		}
	}
}

func TestStructure(t *testing.T) {
	type Part struct {
		Name string `yaml:"name"`
	}

	type Embedded struct {
		Flag bool `yaml:"flag"`
	}

	type Whole struct {
		Embedded

		Parts  map[string][]*Part `yaml:"parts,omitempty" required:"true"`
		Mode   string             `yaml:"mode" enum:"a|b"`
		Hidden int                `yaml:"-"`
	}

	p := newPrinter(comments{}, "About", documentTags)

	var out strings.Builder

	p.structure(&out, reflect.TypeFor[Whole]())
	p.rest(&out, "##")

	want := "| Field | Type | About |\n|---|---|---|\n" +
		"| `flag` | boolean |  |\n" +
		"| `parts` | map of string to list of [Part](#part) | **required** |\n" +
		"| `mode` | string | one of a, b |\n\n" +
		"## Part\n\n| Field | Type | About |\n|---|---|---|\n| `name` | string |  |\n\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestWords(t *testing.T) {
	for name, want := range map[string]string{
		"HardwareAddr": "hardware addr", "MAC": "MAC", "URL": "URL", "LinkType": "link type", "BGPSessionState": "BGP session state",
	} {
		if got := words(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
