package cri

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pelletier/go-toml/v2"
)

func TestMergeTOML(t *testing.T) {
	t.Parallel()

	for _, test := range []struct {
		name      string
		documents []string
		want      map[string]any
		fails     bool
	}{
		{"nothing", nil, map[string]any{}, false},
		{
			"the same table twice", []string{"[a.b]\nx = 1\ny = [1, 2]\n", "[a.b]\ny = [3]\n[a.c]\nz = true\n"},
			map[string]any{"a": map[string]any{
				"b": map[string]any{"x": int64(1), "y": []any{int64(3)}}, "c": map[string]any{"z": true},
			}},
			false,
		},
		{"a table over a value", []string{"a = 1", "[a]\nb = 2"}, map[string]any{"a": map[string]any{"b": int64(2)}}, false},
		{"not TOML", []string{"a = 1", "a: 2"}, nil, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()

			text, err := MergeTOML(test.documents...)
			if (err != nil) != test.fails {
				t.Fatalf("error %v, want one: %v", err, test.fails)
			}

			if err != nil {
				return
			}

			got := map[string]any{}
			if err := toml.Unmarshal([]byte(text), &got); err != nil {
				t.Fatal(err)
			}

			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("merged (-want +got):\n%s", diff)
			}
		})
	}
}
