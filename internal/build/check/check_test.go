package check

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// repository writes files into a fresh folder.
func repository(t *testing.T, files map[string]string) Options {
	t.Helper()

	root := t.TempDir()

	for name, data := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
			t.Fatal(err)
		}

		if err := os.WriteFile(filepath.Join(root, name), []byte(data), 0o755); err != nil {
			t.Fatal(err)
		}
	}

	return Options{Root: root}
}

const goMod = "module example.com/m\n\ngo 1.26.0\n"

func TestChecks(t *testing.T) {
	tests := map[string]struct {
		check func(context.Context, Options) (string, error)
		files map[string]string
		want  string // in the report, empty when nothing is to be found
	}{
		"allowed module": {allowedModules, map[string]string{"go.mod": goMod + "require example.com/a v1.0.0\n"}, ""},
		"indirect module": {allowedModules,
			map[string]string{"go.mod": goMod + "require github.com/docker/docker v1.0.0 // indirect\n"}, ""},
		"refused module": {allowedModules,
			map[string]string{"go.mod": goMod, "build/a/other.mod": goMod + "require github.com/docker/docker v1.0.0\n"}, "no container engine"},
		"tidy":     {tidyModules, map[string]string{"go.mod": goMod, "a.go": "package a\n"}, ""},
		"not tidy": {tidyModules, map[string]string{"go.mod": goMod + "require example.com/a v1.0.0\n", "go.sum": "", "a.go": "package a\n"}, "is not tidy"},
		"fresh code": {generatedCode,
			map[string]string{"go.mod": goMod, "a.go": "package a\n\n//go:generate cp in out\n", "in": "1", "out": "1"}, ""},
		"stale code": {generatedCode,
			map[string]string{"go.mod": goMod, "a.go": "package a\n\n//go:generate cp in out\n", "in": "1", "out": "2"}, "out is stale"},
		"code never generated": {generatedCode,
			map[string]string{"go.mod": goMod, "a.go": "package a\n\n//go:generate cp in out\n", "in": "1"}, "out is stale"},
		"good program": {vetNested,
			map[string]string{"build/a/go.mod": goMod, "build/a/main.go": "package main\n\nfunc main() {}\n"}, ""},
		"unformatted program": {vetNested,
			map[string]string{"build/a/go.mod": goMod, "build/a/main.go": "package main\nfunc main() {}\n"}, "main.go"},
		"vetted program": {vetNested,
			map[string]string{"build/a/go.mod": goMod, "build/a/main.go": "package main\n\nfunc main() {\n\tx := 1\n\tx = x\n}\n"}, "self-assignment"},
		"failing test": {vetNested,
			map[string]string{"build/a/go.mod": goMod, "build/a/main.go": "package main\n\nfunc main() {}\n",
				"build/a/main_test.go": "package main\n\nimport \"testing\"\n\nfunc TestX(t *testing.T) { t.Fatal(\"broken\") }\n"}, "broken"},
	}

	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			report, err := test.check(t.Context(), repository(t, test.files))

			switch {
			case test.want == "" && err != nil:
				t.Errorf("error %v, report %s", err, report)
			case test.want != "" && (!errors.Is(err, ErrFound) || !strings.Contains(report, test.want)):
				t.Errorf("error %v, report %q, want %q", err, report, test.want)
			}
		})
	}
}

func TestVulnerabilities(t *testing.T) {
	tests := map[string]struct {
		script string
		fails  bool
		want   string
	}{
		"nothing":     {"exit 0", false, ""},
		"in our code": {"echo 'Vulnerability #1: x'; exit 3", true, "Vulnerability #1"},
		"no database": {"echo 'govulncheck: fetching vulnerabilities: no such host'; exit 1", false, "cannot be reached"},
		"in a program": {"if [ $1 = -mode=binary ]; then printf '\\nVulnerability #1: x\\n\\nVulnerability #2: y\\n'; exit 3; fi",
			false, "etcd: 2 known vulnerabilities"},
	}

	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			o := repository(t, map[string]string{"tool": "#!/bin/sh\n" + test.script + "\n"})
			o.Vulnerable = filepath.Join(o.Root, "tool")
			o.Programs = []string{"/a/etcd"}

			report, err := vulnerabilities(t.Context(), o)
			if errors.Is(err, ErrFound) != test.fails || !strings.Contains(report, test.want) {
				t.Errorf("error %v, report %q", err, report)
			}
		})
	}
}

func TestDeadCode(t *testing.T) {
	const dead = `[{"Path": "example.org/a/%s", "Funcs": [{"Name": "T.F", "Position": {"File": "f.go", "Line": 7}}]}]`

	for name, test := range map[string]struct{ script, want string }{
		"nothing":             {"echo '[]'", ""},
		"a function":          {"echo '" + fmt.Sprintf(dead, "internal/a") + "'", "f.go:7: no program calls T.F"},
		"of a library":        {"echo '" + fmt.Sprintf(dead, "pkg/a/internal/b") + "'", ""},
		"of help for tests":   {"echo '" + fmt.Sprintf(dead, "internal/a/atest") + "'", ""},
		"what does not build": {"echo broken; exit 1", "broken"},
	} {
		t.Run(name, func(t *testing.T) {
			o := repository(t, map[string]string{"tool": "#!/bin/sh\n" + test.script + "\n"})
			o.Dead = filepath.Join(o.Root, "tool")

			report, err := deadCode(t.Context(), o)
			if errors.Is(err, ErrFound) != (test.want != "") || !strings.Contains(report, test.want) {
				t.Errorf("error %v, report %q", err, report)
			}
		})
	}
}

func TestRunNamesWhatFailed(t *testing.T) {
	o := repository(t, map[string]string{"go.mod": goMod + "require github.com/docker/docker v1.0.0\n", "a.go": "package a\n",
		"lint": "#!/bin/sh\necho found it\nexit 1\n", "vulnerable": "#!/bin/sh\n", "dead": "#!/bin/sh\necho '[]'\n"})
	o.Lint, o.Vulnerable, o.Dead = filepath.Join(o.Root, "lint"), filepath.Join(o.Root, "vulnerable"), filepath.Join(o.Root, "dead")

	var out strings.Builder

	o.Output = &out

	err := Run(t.Context(), o)
	if !errors.Is(err, ErrFound) {
		t.Fatalf("error %v", err)
	}

	for _, want := range []string{"allowed modules", "golangci-lint"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %s", err, want)
		}
	}

	if !strings.Contains(out.String(), "found it") || !strings.Contains(out.String(), "generated code: good") {
		t.Errorf("output %s", out.String())
	}
}
