package typed

import "strings"

// suggestion says which field may have been meant.
func suggestion(name string, fields []field) string {
	const longest = 12

	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}

	best := Nearest(name, names)

	switch {
	case best != "":
		return "expected " + best + "?"
	case len(names) == 0:
		return "expected no fields"
	case len(names) <= longest:
		return "expected " + oneOf(names)
	default:
		return "expected " + strings.Join(names[:longest], ", ") + ", …"
	}
}

// Nearest is the name that a misspelt one is closest to, or nothing.
func Nearest(name string, names []string) string {
	const closest = 3

	best, distance := "", min(closest+1, len(name))

	for _, candidate := range names {
		if d := editDistance(strings.ToLower(name), strings.ToLower(candidate)); d < distance {
			best, distance = candidate, d
		}
	}

	return best
}

// editDistance is the number of changed letters between two short words.
func editDistance(a, b string) int {
	const longest = 64
	if len(a) > longest || len(b) > longest {
		return longest
	}

	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}

	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1

		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}

			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}

	return row[len(b)]
}
