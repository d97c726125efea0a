package machineconfig_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"

	"github.com/basalt-os/basalt/pkg/machineconfig"
	"github.com/basalt-os/basalt/pkg/secrets"
)

// newSecrets is made once: its RSA key takes seconds.
var newSecrets = sync.OnceValues(func() (*secrets.Bundle, error) { return secrets.NewBundle(secrets.Options{}) })

func bundle(t testing.TB) *secrets.Bundle {
	t.Helper()

	b, err := newSecrets()
	if err != nil {
		t.Fatal(err)
	}

	return b
}

// sampleInput is what the samples were generated from.
func sampleInput(t testing.TB, clusterID string) machineconfig.Input {
	t.Helper()

	b := *bundle(t)
	b.Cluster.ID = clusterID

	return machineconfig.Input{
		ClusterName:  "sample",
		Endpoint:     "https://10.5.0.2:6443",
		Secrets:      &b,
		InstallDisk:  "/dev/sda",
		InstallImage: "factory.talos.dev/metal-installer/376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba:v1.14.0-beta.1",
	}
}

func TestGenerateLikeSamples(t *testing.T) {
	t.Parallel()

	for _, tt := range []struct{ folder, contract, clusterID string }{
		{"current", "", "izUL7UkESKXmYWlu2Yqsp5JU0MtpQ5nfPdEhT2yG+Es="},
		{"legacy", "v1.11", "32bFsf4GGexQfnZpLR2xHff3GdHyqDgDdJ7AzH7pmnU="},
	} {
		t.Run(tt.folder, func(t *testing.T) {
			t.Parallel()

			in := sampleInput(t, tt.clusterID)
			in.Contract = tt.contract

			out, err := machineconfig.Generate(in)
			if err != nil {
				t.Fatal(err)
			}

			client, err := out.Client.Bytes()
			if err != nil {
				t.Fatal(err)
			}

			for name, got := range map[string][]byte{
				"controlplane.yaml": out.ControlPlane.Bytes(),
				"worker.yaml":       out.Worker.Bytes(),
				"client.yaml":       client,
			} {
				sample, err := os.ReadFile(filepath.Join("testdata", "samples", tt.folder, name))
				if err != nil {
					t.Fatal(err)
				}

				want := outline(t, sample, nil)
				if diff := cmp.Diff(want, outline(t, got, want)); diff != "" {
					t.Errorf("%s (-sample +generated):\n%s", name, diff)
				}
			}
		})
	}
}

// outline is a stream as lines of path and value, in order. Samples have
// placeholders in angle brackets; a value for which the wanted outline has one
// is replaced by it.
func outline(t *testing.T, stream []byte, want []string) []string {
	t.Helper()

	var (
		lines []string
		walk  func(path string, n *yaml.Node)
	)

	walk = func(path string, n *yaml.Node) {
		switch n.Kind {
		case yaml.MappingNode:
			if len(n.Content) == 0 {
				lines = append(lines, path+": {}")
			}

			for i := 0; i+1 < len(n.Content); i += 2 {
				walk(path+"."+n.Content[i].Value, n.Content[i+1])
			}
		case yaml.SequenceNode:
			if len(n.Content) == 0 {
				lines = append(lines, path+": []")
			}

			for i, item := range n.Content {
				walk(fmt.Sprintf("%s[%d]", path, i), item)
			}
		default:
			value := n.Value
			if strings.HasPrefix(value, "<") {
				value = "<secret>"
			}

			if i := len(lines); i < len(want) && want[i] == path+": <secret>" && value != "" {
				value = "<secret>"
			}

			lines = append(lines, path+": "+value)
		}
	}

	dec := yaml.NewDecoder(bytes.NewReader(stream))

	for i := 0; ; i++ {
		var doc yaml.Node
		if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
			return lines
		} else if err != nil {
			t.Fatal(err)
		}

		walk(fmt.Sprint(i), doc.Content[0])
	}
}
