package node

import (
	"strings"
	"testing"
)

func TestConfigurationDifference(t *testing.T) {
	const running = "version: v1alpha1\nmachine:\n    type: worker\n    token: first-secret\n"

	next := strings.Replace(running, "first", "second", 1) + "    sysctls:\n        a: b\n"

	for _, test := range []struct {
		name       string
		running    []byte
		next, want string
	}{
		{"nothing changes", []byte(running), running, ""},
		{"a secret and more", []byte(running), next, "+        a: b"},
		{"the first configuration", nil, next, "+        a: b"},
	} {
		got, err := configuration{}.Difference(t.Context(), test.running, []byte(test.next))
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		}

		if !strings.Contains(got, test.want) || test.want == "" && got != "" || strings.Contains(got, "-secret") {
			t.Errorf("%s: got\n%s", test.name, got)
		}
	}
}
