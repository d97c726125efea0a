package objects

import (
	"fmt"
	"strings"

	"k8s.io/client-go/util/jsonpath"
)

// Path is an expression that picks values out of an object, in the language of
// kubectl. It is not safe for concurrent use.
type Path struct {
	parsed *jsonpath.JSONPath
}

// ParsePath parses an expression such as {.spec.addresses[*]}. The braces may
// be left out.
func ParsePath(text string) (*Path, error) {
	if !strings.Contains(text, "{") {
		text = "{" + text + "}"
	}

	parsed := jsonpath.New("path").AllowMissingKeys(true)
	if err := parsed.Parse(text); err != nil {
		return nil, fmt.Errorf("JSONPath %q: %w", text, err)
	}

	return &Path{parsed}, nil
}

// Evaluate returns what the expression picks, as text; of what is not there
// nothing.
func (p *Path) Evaluate(value any) (string, error) {
	var text strings.Builder

	if err := p.parsed.Execute(&text, value); err != nil {
		return "", fmt.Errorf("evaluating JSONPath: %w", err)
	}

	return text.String(), nil
}
