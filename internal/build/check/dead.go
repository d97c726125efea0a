package check

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// kept are functions that only tests call, and why they are there, by package
// below internal/.
func kept() map[string]string {
	const (
		settings = "tests set what programs leave as it is"
		looks    = "tests look at what programs make"
	)

	return map[string]string{
		"blockdev/mkfs.Plain.Start": settings,
		"blockdev/mkfs.Plain.Wait":  settings,
		"rbac.Methods":              looks,
		"reconcile.WithJitter":      settings,
		"resource.WithClock":        settings,
		"resource.WithHistory":      settings,
		"resource.WithVerification": settings,
		"uki.Read":                  looks,
		"volume.Unmount":            looks,
	}
}

// deadPackage is what the program that looks for dead code says about a package.
type deadPackage struct {
	Path  string
	Funcs []struct {
		Name     string
		Position struct {
			File string
			Line int
		}
	}
}

// deadCode looks for functions of the system that no program calls: what is
// written and tested, and does nothing because nobody has connected it.
func deadCode(ctx context.Context, o Options) (string, error) {
	output, err := command(ctx, o.Root, nil, o.Dead, "-json", "./...")
	if err != nil {
		return output, err
	}

	var packages []deadPackage
	if err := json.Unmarshal([]byte(output), &packages); err != nil {
		return "", fmt.Errorf("reading the list of dead code: %w", err)
	}

	var (
		reports strings.Builder
		kept    = kept()
	)

	for _, p := range packages {
		_, name, ok := strings.Cut(p.Path, "/internal/")
		if !ok || strings.HasSuffix(name, "test") || strings.Contains(p.Path, "/pkg/") {
			continue // libraries, and help for tests
		}

		for _, f := range p.Funcs {
			if kept[name+"."+f.Name] == "" {
				fmt.Fprintf(&reports, "%s:%d: no program calls %s: connect it, or delete it\n", f.Position.File, f.Position.Line, f.Name)
			}
		}
	}

	if reports.Len() > 0 {
		return reports.String(), ErrFound
	}

	return "", nil
}
