package node

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/pelletier/go-toml/v2"

	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/cri"
)

func TestContainerdConfigIsCustomized(t *testing.T) {
	t.Parallel()

	text, err := renderContainerd(containerdSettings{
		Root: containerdRoot, BaseSpec: containerdBaseSpec,
		Customization: "[plugins.'io.containerd.cri.v1.runtime']\nenable_unprivileged_ports = true\nenable_cdi = false\n",
	})
	if err != nil {
		t.Fatal(err)
	}

	var config struct {
		Root    string
		Plugins struct {
			CRI struct {
				EnableCDI  bool `toml:"enable_cdi"`
				Ports      bool `toml:"enable_unprivileged_ports"`
				Containerd struct {
					Runtimes struct {
						Runc struct {
							Type string `toml:"runtime_type"`
							Base string `toml:"base_runtime_spec"`
						}
					}
				}
			} `toml:"io.containerd.cri.v1.runtime"`
		}
	}
	if err := toml.Unmarshal(text, &config); err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}

	runtime := config.Plugins.CRI
	if runc := runtime.Containerd.Runtimes.Runc; runc.Type != "io.containerd.runc.v2" || runc.Base != containerdBaseSpec {
		t.Errorf("runtime is %+v", runc)
	}

	if runtime.EnableCDI || !runtime.Ports || config.Root != containerdRoot {
		t.Errorf("not what is customized, on what is not: %+v", config)
	}

	if _, err := renderContainerd(containerdSettings{Customization: "a: b"}); err == nil {
		t.Error("a customization that is no TOML is taken")
	}
}

func TestBaseSpecHasTheOverrides(t *testing.T) {
	t.Parallel()

	text, err := renderBaseSpec(t.Context(), map[string]any{
		"process": map[string]any{"rlimits": []any{map[string]any{"type": "RLIMIT_NOFILE", "hard": 4096, "soft": 512}}},
	})
	if err != nil {
		t.Fatal(err)
	}

	var spec specs.Spec
	if err := json.Unmarshal(text, &spec); err != nil {
		t.Fatal(err)
	}

	if limits := spec.Process.Rlimits; len(limits) != 1 || limits[0].Hard != 4096 || limits[0].Soft != 512 {
		t.Errorf("limits are %+v", limits)
	}

	if len(spec.Mounts) == 0 || spec.Process.Capabilities == nil {
		t.Error("the base itself is lost")
	}

	if _, err := renderBaseSpec(t.Context(), map[string]any{"process": "none"}); err == nil {
		t.Error("a base that containerd cannot read is taken")
	}
}

func TestFirstLeavesNothingBehind(t *testing.T) {
	t.Parallel()

	var left error

	wait := first(
		func(ctx context.Context) error {
			<-ctx.Done()
			left = ctx.Err()

			return left
		},
		func(context.Context) error { return nil },
	)
	if err := wait(t.Context()); err != nil {
		t.Errorf("the first wait ended well, all of them with %v", err)
	}

	if !errors.Is(left, context.Canceled) {
		t.Error("another wait still runs")
	}
}

func TestDiffersSeesWhatComesAndGoes(t *testing.T) {
	t.Parallel()

	a := resource.New(cri.CustomizationConfigID, cri.CustomizationConfig{Content: "a = 1"})
	b := resource.New(cri.CustomizationConfigID, cri.CustomizationConfig{Content: "b = 1"})

	for _, test := range []struct {
		name     string
		was, now *resource.Resource[cri.CustomizationConfig]
		want     bool
	}{
		{"absent still", nil, nil, false},
		{"the same", a, a, false},
		{"another", a, b, true},
		{"comes", nil, a, true},
		{"goes", a, nil, true},
	} {
		if got := differs(test.was, test.now); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}
