package machineconfig

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/pmezard/go-difflib/difflib"
)

// Diff is what differs between two configurations as a unified diff, empty when
// nothing does. Secrets are hidden; documents of which nothing else differs are
// named at the end.
func Diff(before, after *Config) (string, error) {
	old, err := before.Redacted()
	if err != nil {
		return "", err
	}

	now, err := after.Redacted()
	if err != nil {
		return "", err
	}

	text, err := difflib.GetUnifiedDiffString(difflib.UnifiedDiff{
		A: lines(old), FromFile: "current",
		B: lines(now), ToFile: "new",
		Context: 3,
	})
	if err != nil {
		return "", fmt.Errorf("comparing configurations: %w", err)
	}

	var b strings.Builder

	b.WriteString(text)

	for _, doc := range after.docs {
		i := slices.IndexFunc(before.docs, func(d Document) bool { return d.Kind == doc.Kind && d.Name == doc.Name })
		if i < 0 || bytes.Equal(before.docs[i].text, doc.text) {
			continue
		}

		was, err := redact(before.docs[i])
		if err != nil {
			return "", err
		}

		is, err := redact(doc)
		if err != nil {
			return "", err
		}

		if bytes.Equal(was, is) {
			fmt.Fprintf(&b, "# secrets of %s differ\n", doc.title())
		}
	}

	return b.String(), nil
}

// lines are the lines of a text, each with its end.
func lines(text []byte) []string { return slices.Collect(strings.Lines(string(text))) }
