package args_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/controllers/args"
)

func TestMerge(t *testing.T) {
	t.Parallel()

	policies := map[string]args.Policy{"data-dir": args.Deny, "plugins": args.Append}

	for _, test := range []struct {
		name  string
		extra map[string][]string
		want  []string
		err   bool
	}{
		{name: "nothing extra", want: []string{"--data-dir=/var", "--plugins=A", "--v=2"}},
		{name: "override", extra: map[string][]string{"v": {"4"}}, want: []string{"--data-dir=/var", "--plugins=A", "--v=4"}},
		{name: "append", extra: map[string][]string{"plugins": {"B"}}, want: []string{"--data-dir=/var", "--plugins=A,B", "--v=2"}},
		{
			name:  "repeated flag",
			extra: map[string][]string{"issuer": {"a", "b"}},
			want:  []string{"--data-dir=/var", "--issuer=a", "--issuer=b", "--plugins=A", "--v=2"},
		},
		{name: "removed", extra: map[string][]string{"v": {}}, want: []string{"--data-dir=/var", "--plugins=A"}},
		{name: "denied", extra: map[string][]string{"data-dir": {"/tmp"}, "v": {"4"}}, err: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()

			a := args.Args{}.Set("data-dir", "/var").Set("plugins", "A").Set("v", "2")

			err := a.Merge(test.extra, policies)
			if (err != nil) != test.err {
				t.Fatalf("error = %v, want an error: %v", err, test.err)
			}

			if err != nil {
				return
			}

			if diff := cmp.Diff(test.want, a.List()); diff != "" {
				t.Errorf("arguments (-want +got):\n%s", diff)
			}
		})
	}
}
