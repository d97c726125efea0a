package build

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBudget(t *testing.T) {
	budget := Budget{"image/a": 1000, "image/b": 2000}

	for _, test := range []struct {
		name  string
		media []Medium
		want  []string // in the error; none: there is none
	}{
		{"within", []Medium{{File: "image/a", Disk: 1000}, {File: "image/b", Disk: 500}}, nil},
		{"a hole counts for nothing", []Medium{{File: "image/a", Size: 9000, Disk: 900}}, nil},
		{"slack", []Medium{{File: "image/a", Disk: 1020}}, nil},
		{"above", []Medium{{File: "image/a", Disk: 1021}, {File: "image/b", Disk: 2000}}, []string{"image/a takes 1021 bytes, 2.1 %"}},
		{"both above", []Medium{{File: "image/a", Disk: 2000}, {File: "image/b", Disk: 4000}}, []string{"image/a", "image/b"}},
		{"without a budget", []Medium{{File: "image/c", Disk: 1 << 20}}, []string{`add "image/c": 1048576 to build/budget.json`}},
		{"too small for a budget", []Medium{{File: "image/c", Disk: 4096}}, nil},
		{"a kernel that is not measured", []Medium{{File: "image-metal/a", Disk: 1 << 40}}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := budget.check(test.media)
			if (err != nil) != (len(test.want) > 0) {
				t.Fatalf("got %v, want an error with %q", err, test.want)
			}

			for _, text := range test.want {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("got %v, want it to say %q", err, text)
				}
			}
		})
	}
}

// Who is not measured is named.
func TestWithoutBudget(t *testing.T) {
	budget := Budget{"image/a": 1000}
	media := []Medium{{File: "image/c", Disk: 1 << 30}, {File: "image-metal/a", Disk: 1 << 30}, {File: "image-metal/b", Disk: 1}}

	if diff := cmp.Diff(media[1:2], budget.without(media)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestReadBudget(t *testing.T) {
	if _, err := readBudget(filepath.Join("..", "..", budgetFile)); err != nil {
		t.Errorf("the repository's own: %v", err)
	}

	for name, text := range map[string]string{"no JSON": "{", "no number": `{"a": "b"}`, "nothing": `{"a": 0}`} {
		path := filepath.Join(t.TempDir(), "budget.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}

		if budget, err := readBudget(path); err == nil {
			t.Errorf("%s: got %v, want an error", name, budget)
		}
	}
}
