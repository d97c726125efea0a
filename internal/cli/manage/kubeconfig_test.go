package manage

import "testing"

// FuzzKubeconfig checks that what can be read can be merged with itself and
// written, and that nothing gets a name that is there already.
func FuzzKubeconfig(f *testing.F) {
	f.Add([]byte("clusters: [{name: a, cluster: {server: x}}]\nusers: [{name: b}]\ncontexts: [{name: c, context: {cluster: a, user: b}}]\ncurrent-context: c\n"))
	f.Add([]byte("clusters: [{name: a}, {name: a, x: 1}, {name: a-1}]"))
	f.Add([]byte("[]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		one, err := parseKubeconfig(data)
		if err != nil {
			return
		}

		two, err := parseKubeconfig(data)
		if err != nil {
			t.Fatal(err)
		}

		merged := &kubeconfig{}
		merged.merge(one, false)
		merged.merge(two, false)

		seen := map[string]bool{}
		for _, cluster := range merged.Clusters {
			if seen[cluster.Name] {
				t.Errorf("two clusters have the name %q", cluster.Name)
			}

			seen[cluster.Name] = true
		}

		text, err := merged.bytes()
		if err != nil {
			t.Fatal(err)
		}

		if _, err := parseKubeconfig(text); err != nil {
			t.Errorf("what was written cannot be read: %v\n%s", err, text)
		}
	})
}
