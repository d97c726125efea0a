package expression

import (
	"strings"
	"testing"

	"github.com/google/cel-go/cel"
)

func TestCompile(t *testing.T) {
	t.Parallel()

	for text, want := range map[string]string{
		`glob("a*", text)`:   "",
		`glob("a*", number)`: "found no matching overload",
		`text`:               "it is a string, expected a bool",
		`nothing`:            "undeclared reference",
		`text == `:           "Syntax error",
	} {
		_, err := Compile(text, cel.BoolType, Glob(), cel.Variable("text", cel.StringType), cel.Variable("number", cel.IntType))
		if (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestMatches(t *testing.T) {
	t.Parallel()

	for _, test := range []struct {
		pattern, text string
		want          bool
	}{
		{"", "", true}, {"", "a", false}, {"a", "a", true}, {"a", "ab", false}, {"*", "", true}, {"*", "abc", true},
		{"a*", "abc", true}, {"*c", "abc", true}, {"a*c", "abc", true}, {"a*c", "abcd", false}, {"a*b*c", "axxbxxc", true},
		{"a*b*c", "axxc", false}, {"aa*aa", "aaa", false}, {"a**c", "ac", true}, {"b*", "abc", false},
	} {
		if got := matches(test.pattern, test.text); got != test.want {
			t.Errorf("%q matches %q: %v", test.pattern, test.text, got)
		}
	}
}
