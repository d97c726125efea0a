package node

import (
	"fmt"
	"strings"

	"kernel.org/pub/linux/libs/security/libcap/cap"
)

// mayLowerOOMScore says whether this process may make a process less likely to
// be killed than itself: it needs CAP_SYS_RESOURCE.
func mayLowerOOMScore() (bool, error) {
	may, err := cap.GetProc().GetFlag(cap.Effective, cap.SYS_RESOURCE)
	if err != nil {
		return false, fmt.Errorf("reading capabilities: %w", err)
	}

	return may, nil
}

// boundingSet returns the names of the capabilities that a child of this
// process can have at most.
func boundingSet() ([]string, error) {
	var names []string

	for value := range cap.MaxBits() {
		held, err := cap.GetBound(value)
		if err != nil {
			return nil, fmt.Errorf("reading capability %s: %w", value, err)
		}

		if held {
			names = append(names, strings.ToUpper(value.String()))
		}
	}

	return names, nil
}
