package docs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/basalt-os/basalt/internal/cli"
	"github.com/basalt-os/basalt/pkg/client"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"basaltctl": func() {
			if err := cli.New().ExecuteContext(context.Background()); err != nil {
				fmt.Fprintf(os.Stderr, "error: %s\n", client.Message(err))
				os.Exit(1)
			}
		},
	})
}

// TestOfflineCommands runs the commands of the guides that need no cluster.
func TestOfflineCommands(t *testing.T) {
	blocks, err := Blocks(Offline)
	if err != nil {
		t.Fatal(err)
	}

	if len(blocks) == 0 {
		t.Fatal("no guide has offline commands")
	}

	scripts := map[string]string{}
	files := map[string]string{}

	for _, block := range blocks {
		name := fmt.Sprintf("line-%d.sh", block.Line)
		scripts[block.Guide] += "exec sh -eu " + name + "\n"
		files[block.Guide] += "-- " + name + " --\n" + block.Commands
	}

	dir := t.TempDir()

	for guide, script := range scripts {
		name := filepath.Join(dir, strings.TrimSuffix(guide, ".md")+".txt")
		if err := os.WriteFile(name, []byte(script+files[guide]), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	testscript.Run(t, testscript.Params{
		Dir: dir,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)

			return nil
		},
	})
}

func TestParse(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       []Block
		wantErr    string
	}{
		{
			name: "places",
			text: "# Guide\n\n```sh offline\na\nb\n```\n```console\n# c\n```\n```sh cluster\nd\n```\n```sh\ne\n```\n",
			want: []Block{
				{Guide: "x.md", Line: 4, Where: Offline, Commands: "a\nb\n"},
				{Guide: "x.md", Line: 11, Where: Cluster, Commands: "d\n"},
				{Guide: "x.md", Line: 14, Where: Nowhere, Commands: "e\n"},
			},
		},
		{name: "unknown place", text: "```sh anywhere\n```\n", wantErr: `x.md:1: commands cannot run in "anywhere"`},
		{name: "no end", text: "```yaml\na: b\n", wantErr: "x.md: a block has no end"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := parse("x.md", test.text)
			if test.wantErr != "" {
				if err == nil || err.Error() != test.wantErr {
					t.Fatalf("error %v, want %s", err, test.wantErr)
				}

				return
			}

			if err != nil {
				t.Fatal(err)
			}

			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// link is a link of Markdown to a file of the repository, without its anchor.
var link = regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)

// TestLinks follows the links of the guides, and of the pages at the root, to
// files.
func TestLinks(t *testing.T) {
	var pages []string

	for _, pattern := range []string{"*.md", "../*.md", "reference/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}

		pages = append(pages, found...)
	}

	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}

		for _, match := range link.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), match[1])); err != nil {
				t.Errorf("%s links to %s, which is not there", page, match[1])
			}
		}
	}
}

// mention is a call of basaltctl in a shell block.
var mention = regexp.MustCompile(`(?:^|[ (/])basaltctl ([^|;)>&]+)`)

// TestCommandsExist looks for the commands of all shell blocks, of those too
// that are not run, in the command tree.
func TestCommandsExist(t *testing.T) {
	for _, where := range []Where{Offline, Cluster, Nowhere} {
		blocks, err := Blocks(where)
		if err != nil {
			t.Fatal(err)
		}

		for _, block := range blocks {
			for line := range strings.Lines(block.Commands) {
				for _, match := range mention.FindAllStringSubmatch(line, -1) {
					root := cli.New()
					root.InitDefaultCompletionCmd()

					command, _, err := root.Find(strings.Fields(match[1]))
					if err != nil || command == root {
						t.Errorf("%s:%d: there is no command %q", block.Guide, block.Line, strings.TrimSpace(match[0]))
					}
				}
			}
		}
	}
}

// TestMap looks for every package at the top in the layout of ARCHITECTURE.md.
func TestMap(t *testing.T) {
	text, err := os.ReadFile("../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}

	_, layout, _ := strings.Cut(string(text), "\n## Layout\n")
	layout, _, _ = strings.Cut(layout, "\n## ")

	for _, pattern := range []string{"../cmd/*", "../internal/*", "../pkg/*", "../test/*"} {
		folders, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}

		for _, folder := range folders {
			name := filepath.Base(folder)
			if !regexp.MustCompile(`\b` + name + `\b`).MatchString(layout) {
				t.Errorf("ARCHITECTURE.md does not say what %s is", strings.TrimPrefix(folder, "../"))
			}
		}
	}
}
