package resource_test

import (
	"testing"

	"github.com/basalt-os/basalt/internal/resource"
)

func TestLabelTerms(t *testing.T) {
	labels := map[string]string{"role": "worker", "rank": "10", "size": "2Ki", "empty": ""}

	for _, test := range []struct {
		term resource.LabelTerm
		want bool
	}{
		{resource.LabelTerm{Key: "role", Op: resource.LabelExists}, true},
		{resource.LabelTerm{Key: "empty", Op: resource.LabelExists}, true},
		{resource.LabelTerm{Key: "none", Op: resource.LabelExists}, false},
		{resource.LabelTerm{Key: "role", Op: resource.LabelEqual, Values: []string{"worker"}}, true},
		{resource.LabelTerm{Key: "role", Op: resource.LabelEqual, Values: []string{"Worker"}}, false},
		{resource.LabelTerm{Key: "none", Op: resource.LabelEqual, Values: []string{""}}, false},
		{resource.LabelTerm{Key: "role", Op: resource.LabelIn, Values: []string{"init", "worker"}}, true},
		{resource.LabelTerm{Key: "role", Op: resource.LabelIn, Values: []string{"init"}}, false},
		{resource.LabelTerm{Key: "role", Op: resource.LabelIn}, false},
		{resource.LabelTerm{Key: "rank", Op: resource.LabelLess, Values: []string{"9"}}, true},
		{resource.LabelTerm{Key: "rank", Op: resource.LabelLess, Values: []string{"10"}}, false},
		{resource.LabelTerm{Key: "rank", Op: resource.LabelLessOrEqual, Values: []string{"10"}}, true},
		{resource.LabelTerm{Key: "rank", Op: resource.LabelLessNumeric, Values: []string{"9"}}, false},
		{resource.LabelTerm{Key: "rank", Op: resource.LabelLessNumeric, Values: []string{"11"}}, true},
		{resource.LabelTerm{Key: "rank", Op: resource.LabelLessNumeric, Values: []string{"10"}}, false},
		{resource.LabelTerm{Key: "rank", Op: resource.LabelLessOrEqualNumeric, Values: []string{"10"}}, true},
		{resource.LabelTerm{Key: "rank", Op: resource.LabelLessNumeric, Values: []string{"ten"}}, false},
		{resource.LabelTerm{Key: "role", Op: resource.LabelLessNumeric, Values: []string{"10"}}, false},
		{resource.LabelTerm{Key: "size", Op: resource.LabelLessNumeric, Values: []string{"2049"}}, true},
		{resource.LabelTerm{Key: "size", Op: resource.LabelLessNumeric, Values: []string{"2k"}}, false},
		{resource.LabelTerm{Key: "size", Op: resource.LabelLessNumeric, Values: []string{"1M"}}, true},
		{resource.LabelTerm{Key: "size", Op: resource.LabelLessNumeric, Values: []string{"1kk"}}, false},
	} {
		if got := test.term.Matches(labels); got != test.want {
			t.Errorf("%+v: got %t, want %t", test.term, got, test.want)
		}

		test.term.Invert = true
		if got := test.term.Matches(labels); got == test.want {
			t.Errorf("%+v: inverting changes nothing", test.term)
		}
	}
}

func TestLabelQueryNeedsAllTerms(t *testing.T) {
	query := resource.LabelQuery{
		{Key: "a", Op: resource.LabelExists},
		{Key: "b", Op: resource.LabelExists, Invert: true},
	}

	for _, test := range []struct {
		labels map[string]string
		want   bool
	}{
		{map[string]string{"a": ""}, true},
		{map[string]string{"a": "", "b": ""}, false},
		{nil, false},
	} {
		if got := query.Matches(test.labels); got != test.want {
			t.Errorf("%v: got %t, want %t", test.labels, got, test.want)
		}
	}

	if !(resource.LabelQuery{}).Matches(nil) {
		t.Error("an empty query must match")
	}
}
