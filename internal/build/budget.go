package build

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
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

// check fails when media are larger than they may be. Media without a budget
// are not looked at.
func (b Budget) check(media []Medium) error {
	var errs []error

	for _, m := range media {
		allowed, ok := b[m.File]
		if !ok {
			continue
		}

		if m.Disk*100 > int64(allowed)*(100+budgetSlack) {
			errs = append(errs, fmt.Errorf(
				"%s takes %d bytes, %.1f %% more than the %d that it may: find out what made it grow, or raise %s and say why in the commit",
				m.File, m.Disk, allowed.excess(m), allowed, budgetFile))
		}
	}

	return errors.Join(errs...)
}
