package debian

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/renameio/v2"
)

// ErrNoSuite says that this machine's apt has no sources from which those of
// another suite could be derived.
var ErrNoSuite = errors.New("the sources of this machine's apt do not name its own release")

// Suite returns an Apt that serves another suite of the same archives: its
// sources are those of this machine, with the code name replaced, and its state
// is in the folder dir. Components that the machine's sources may not have are
// added. The machine's own sources and lists are not touched.
func Suite(dir, suite string, components ...string) (Apt, error) {
	a := Apt{State: dir, Sources: filepath.Join(dir, "sources")}

	if err := a.writeSources("/etc", suite, components); err != nil {
		return Apt{}, fmt.Errorf("deriving the sources of Debian's suite %s: %w", suite, err)
	}

	return a, nil
}

// writeSources makes the folder of sources from those below etc.
func (a Apt) writeSources(etc, suite string, components []string) error {
	release, err := os.ReadFile(filepath.Join(etc, "os-release"))
	if err != nil {
		return err
	}

	codename := releaseField(string(release), "VERSION_CODENAME")

	names, err := filepath.Glob(filepath.Join(etc, "apt", "sources.list.d", "*"))
	if err != nil {
		return err
	}

	derived := map[string]string{}

	for _, name := range append(names, filepath.Join(etc, "apt", "sources.list")) {
		data, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}

		if err != nil {
			return err
		}

		text := ""

		switch filepath.Ext(name) {
		case ".sources":
			text = deriveStanzas(string(data), codename, suite, components)
		case ".list":
			text = deriveLines(string(data), codename, suite, components)
		}

		if text != "" {
			derived[filepath.Base(name)] = text
		}
	}

	if len(derived) == 0 || codename == "" {
		return fmt.Errorf("%w (%q)", ErrNoSuite, codename)
	}

	return replaceFiles(a.Sources, derived)
}

// replaceFiles makes dir a folder with these files and no others. What is right
// already is not touched: another build may be using it.
func replaceFiles(dir string, files map[string]string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}

	old, err := os.ReadDir(dir)
	if err != nil {
		return err
	}

	for _, entry := range old {
		if _, ok := files[entry.Name()]; !ok {
			if err := os.RemoveAll(filepath.Join(dir, entry.Name())); err != nil {
				return err
			}
		}
	}

	for name, text := range files {
		path := filepath.Join(dir, name)

		if data, err := os.ReadFile(path); err == nil && string(data) == text {
			continue
		}

		if err := renameio.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}

	return nil
}

// releaseField is a field of an os-release file, without quotes.
func releaseField(text, field string) string {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), field+"="); ok {
			return strings.Trim(value, `"'`)
		}
	}

	return ""
}

// renamed gives suites such as "bookworm bookworm-updates" in another release,
// without those that are not of the release or are no part of every release.
func renamed(suites []string, codename, suite string) []string {
	var result []string

	for _, s := range suites {
		rest, ok := strings.CutPrefix(s, codename)
		if !ok || !slices.Contains([]string{"", "-updates", "-security"}, rest) {
			continue
		}

		result = append(result, suite+rest)
	}

	return result
}

// withComponents adds the wanted components to those that are there.
func withComponents(have, want []string) []string {
	for _, component := range want {
		if !slices.Contains(have, component) {
			have = append(have, component)
		}
	}

	return have
}

// deriveStanzas does it for the format of .sources files: paragraphs of fields.
func deriveStanzas(text, codename, suite string, components []string) string {
	var result strings.Builder

	for stanza := range strings.SplitSeq(strings.ReplaceAll(text, "\r", ""), "\n\n") {
		var kept []string

		ours, main := false, false

		for line := range strings.Lines(stanza) {
			line = strings.TrimRight(line, " \t\n")
			field, value, _ := strings.Cut(line, ":")

			switch strings.ToLower(field) {
			case "suites":
				suites := renamed(strings.Fields(value), codename, suite)
				ours = len(suites) > 0
				line = field + ": " + strings.Join(suites, " ")
			case "components":
				have := strings.Fields(value)
				main = slices.Contains(have, "main")
				line = field + ": " + strings.Join(withComponents(have, components), " ")
			}

			if line != "" && !strings.HasPrefix(line, "#") {
				kept = append(kept, line)
			}
		}

		if ours && main {
			result.WriteString(strings.Join(kept, "\n") + "\n\n")
		}
	}

	return result.String()
}

// deriveLines does it for the format of .list files: "deb [options] URI suite
// component ...".
func deriveLines(text, codename, suite string, components []string) string {
	var result strings.Builder

	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		line = strings.TrimSpace(line)
		head := "deb"

		rest, ok := strings.CutPrefix(line, "deb ")
		if !ok {
			continue
		}

		if options, after, found := strings.Cut(rest, "]"); found && strings.HasPrefix(strings.TrimSpace(rest), "[") {
			head, rest = "deb "+strings.TrimSpace(options)+"]", after
		}

		words := strings.Fields(rest)
		if len(words) < 3 || !slices.Contains(words[2:], "main") {
			continue
		}

		suites := renamed(words[1:2], codename, suite)
		if len(suites) == 0 {
			continue
		}

		fmt.Fprintf(&result, "%s %s %s %s\n", head, words[0], suites[0], strings.Join(withComponents(words[2:], components), " "))
	}

	return result.String()
}

// listAge is how old package lists may get before new ones are fetched: the
// archive removes the packages that an update replaced.
const listAge = 7 * 24 * time.Hour

// updatedFile is touched by each update.
const updatedFile = "updated"

// Fresh reports whether the lists in State are there and not old.
func (a Apt) Fresh(now time.Time) (exist, fresh bool) {
	info, err := os.Stat(filepath.Join(a.State, updatedFile))
	if err != nil {
		return false, false
	}

	return true, now.Sub(info.ModTime()) < listAge
}

// Closure is the packages with the given names and all that they depend on, as
// they would be installed on a machine that has nothing, in the order of their
// names. Recommended packages are left out.
func (a Apt) Closure(ctx context.Context, names ...string) ([]Package, error) {
	args := append(a.options(), "-o", "Dir::State::status=/dev/null", "-qq", "--print-uris", "--no-install-recommends", "install")

	out, err := a.run(ctx, "", "apt-get", append(args, names...)...)
	if err != nil {
		return nil, fmt.Errorf("looking up what Debian packages need: %w", err)
	}

	found := printedNames(string(out))
	slices.Sort(found)

	return a.Resolve(ctx, slices.Compact(found)...)
}

// printedNames reads the names of packages from lines such as
// "'http://…/x_1_all.deb' x_1_all.deb 100 SHA256:…".
func printedNames(text string) []string {
	var names []string

	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 3 || !strings.HasSuffix(words[1], ".deb") {
			continue
		}

		name, _, _ := strings.Cut(words[1], "_")
		names = append(names, name)
	}

	return names
}
