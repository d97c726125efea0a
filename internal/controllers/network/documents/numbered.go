package documents

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/basalt-os/basalt/internal/resources/network"
)

// Numbered puts the links that have the numbered aliases of a pattern in the
// place of a link that is named by the pattern, such as net%d. Older documents
// name members of bonds so, which may be any number of links.
func Numbered(links []network.LinkSpec, aliases []string) []network.LinkSpec {
	var out []network.LinkSpec

	for _, spec := range links {
		before, after, pattern := strings.Cut(spec.Name, "%d")
		if !pattern {
			out = append(out, spec)

			continue
		}

		for _, n := range numbers(aliases, before, after) {
			spec.Name = before + strconv.Itoa(n) + after
			out = append(out, spec)
		}
	}

	return out
}

// numbers are those that aliases have between two texts, rising.
func numbers(aliases []string, before, after string) []int {
	var out []int

	for _, alias := range aliases {
		text, ok := strings.CutPrefix(alias, before)
		text, ends := strings.CutSuffix(text, after)

		if n, err := strconv.Atoi(text); ok && ends && err == nil && strconv.Itoa(n) == text {
			out = append(out, n)
		}
	}

	slices.SortFunc(out, cmp.Compare)

	return out
}
