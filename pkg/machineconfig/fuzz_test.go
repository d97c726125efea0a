package machineconfig_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/basalt-os/basalt/pkg/machineconfig"
)

// seed adds the samples and some short documents.
func seed(f *testing.F) {
	f.Helper()

	samples, err := filepath.Glob("testdata/samples/*/*.yaml")
	if err != nil {
		f.Fatal(err)
	}

	for _, sample := range samples {
		data, err := os.ReadFile(sample)
		if err != nil {
			f.Fatal(err)
		}

		f.Add(data)
	}

	for _, text := range []string{
		legacyText,
		"a: &a [*a]",
		"a: &a {<<: *a}",
		"--- {kind: LinkConfig, apiVersion: v1alpha1}\n...\n---\n",
		"machine: {network: {interfaces: [{interface: eth0, $patch: delete}]}}",
		"- {op: add, path: /machine/type, value: worker}",
		"apiVersion: v1alpha1\nkind: UserVolumeConfig\nname: a\nprovisioning: {maxSize: -10%}",
	} {
		f.Add([]byte(text))
	}
}

// FuzzLoad: what loads can be validated, shown and loaded again.
func FuzzLoad(f *testing.F) {
	seed(f)

	f.Fuzz(func(t *testing.T, data []byte) {
		cfg, err := machineconfig.Load(data, machineconfig.Options{})
		if err != nil {
			return
		}

		_, _ = cfg.Validate(machineconfig.Metal) //nolint:errcheck // only panics count
		cfg.Machine()
		cfg.Cluster()

		if _, err := cfg.Redacted(); err != nil {
			t.Errorf("redacting: %v", err)
		}

		again, err := machineconfig.Load(cfg.Bytes(), machineconfig.Options{})
		if err != nil {
			t.Fatalf("loading again: %v\n%q", err, cfg.Bytes())
		}

		if !bytes.Equal(again.Bytes(), cfg.Bytes()) {
			t.Errorf("bytes differ: %q and %q", cfg.Bytes(), again.Bytes())
		}
	})
}

// FuzzPatch: a patch fails, or its result is a configuration.
func FuzzPatch(f *testing.F) {
	seed(f)

	bases := make([]*machineconfig.Config, 0, 2)

	for _, text := range []string{legacyText, "apiVersion: v1alpha1\nkind: LinkConfig\nname: eth0\naddresses:\n    - address: 10.5.0.2/24\n"} {
		cfg, err := machineconfig.Load([]byte(text), machineconfig.Options{})
		if err != nil {
			f.Fatal(err)
		}

		bases = append(bases, cfg)
	}

	f.Fuzz(func(t *testing.T, data []byte) {
		patch, err := machineconfig.LoadPatch(data, machineconfig.Options{})
		if err != nil {
			return
		}

		for _, base := range bases {
			cfg, err := base.Patch(patch)
			if err != nil {
				continue
			}

			if _, err := machineconfig.Load(cfg.Bytes(), machineconfig.Options{}); err != nil {
				t.Errorf("loading the result: %v\n%q", err, cfg.Bytes())
			}
		}
	})
}
