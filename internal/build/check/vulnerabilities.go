package check

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// vulnerabilities asks the Go vulnerability database. Our own code fails for
// what it really calls; what others' programs contain is reported. Without the
// database there is nothing to fail for.
func vulnerabilities(ctx context.Context, o Options) (string, error) {
	report, err := command(ctx, o.Root, nil, o.Vulnerable, "./...")
	if errors.Is(err, ErrFound) && strings.Contains(report, "fetching vulnerabilities") {
		return "not looked for: the vulnerability database cannot be reached", nil
	}

	if err != nil {
		return report, err
	}

	var reports strings.Builder

	for _, program := range o.Programs {
		report, err := command(ctx, o.Root, nil, o.Vulnerable, "-mode=binary", program)
		if err != nil && !errors.Is(err, ErrFound) {
			return "", err
		}

		if count := strings.Count(report, "\nVulnerability #"); count > 0 {
			fmt.Fprintf(&reports, "%s: %d known vulnerabilities in its modules; %s -mode=binary names them\n",
				filepath.Base(program), count, filepath.Base(o.Vulnerable))
		}
	}

	return reports.String(), nil
}
