package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	t.Parallel()

	for text, want := range map[string]request{
		"-q -- fs-xfs":             {quiet: true, words: []string{"fs-xfs"}},
		"nf_tables":                {words: []string{"nf_tables"}},
		"-a -b one two":            {all: true, words: []string{"one", "two"}},
		"bonding max_bonds=0":      {words: []string{"bonding", "max_bonds=0"}},
		"-- -strange":              {words: []string{"-strange"}},
		"--dry-run --quiet module": {dry: true, quiet: true, words: []string{"module"}},
	} {
		got, err := parse(strings.Fields(text))
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(request{})); diff != "" || err != nil {
			t.Errorf("%q (-want +got):\n%s%v", text, diff, err)
		}
	}

	for _, text := range []string{"", "-q --", "-r module"} {
		if _, err := parse(strings.Fields(text)); err == nil {
			t.Errorf("%q is no error", text)
		}
	}
}
