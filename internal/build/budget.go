package build

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
)

// budgetFile says how large the media may be, in the repository.
const budgetFile = "build/budget.json"

// budgetSlack is by how many percent a medium may exceed its budget: Debian's
// kernels grow a little with each update.
const budgetSlack = 2

// Budget says of media, by their names in the output folder, how many bytes they
// may take on a disk.
type Budget map[string]Bytes

// Bytes is a number of bytes that is allowed.
type Bytes int64

// excess is by how many percent a medium is larger; it is below zero for a
// smaller one.
func (b Bytes) excess(m Medium) float64 { return (float64(m.Disk)/float64(b) - 1) * 100 }

func readBudget(path string) (Budget, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}

	var budget Budget

	if err := json.Unmarshal(data, &budget); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}

	for name, allowed := range budget {
		if allowed <= 0 {
			return nil, fmt.Errorf("%s: %s may take %d bytes: that is no size", path, name, allowed)
		}
	}

	return budget, nil
}

// budgetFloor is the size from which on a medium needs a budget, in bytes.
const budgetFloor = 1 << 20

// check fails when media are larger than they may be, and when one has no budget
// while others of its kernel have: then it was forgotten. A kernel of which no
// medium has a budget is not measured; see without.
func (b Budget) check(media []Medium) error {
	var errs []error

	for _, m := range media {
		allowed, ok := b[m.File]

		switch {
		case !ok && b.measures(m):
			errs = append(errs, errors.New(missing(m)))
		case ok && m.Disk*100 > int64(allowed)*(100+budgetSlack):
			errs = append(errs, fmt.Errorf(
				"%s takes %d bytes, %.1f %% more than the %d that it may: find out what made it grow, or raise %s and say why in the commit",
				m.File, m.Disk, allowed.excess(m), allowed, budgetFile))
		}
	}

	return errors.Join(errs...)
}

// without are the media that need a budget, have none, and do not fail for it,
// because nothing of their kernel has one.
func (b Budget) without(media []Medium) []Medium {
	var result []Medium

	for _, m := range media {
		if m.Disk >= budgetFloor && !b.has(path.Dir(m.File)) {
			result = append(result, m)
		}
	}

	return result
}

// measures says whether a medium needs a budget, as others of its kernel have.
func (b Budget) measures(m Medium) bool { return m.Disk >= budgetFloor && b.has(path.Dir(m.File)) }

// has says whether anything in a folder has a budget.
func (b Budget) has(folder string) bool {
	for name := range b {
		if path.Dir(name) == folder {
			return true
		}
	}

	return false
}

// missing says that a medium has no budget, and how it gets one.
func missing(m Medium) string {
	return fmt.Sprintf("%s has no budget, so nobody sees it grow: add \"%s\": %d to %s", m.File, m.File, m.Disk, budgetFile)
}
