package cli_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/basalt-os/basalt/internal/cli"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"basaltctl": func() { os.Exit(cli.Run(context.Background())) },
	})
}

// TestScripts runs the stories in testdata/script, each with a node of its own
// on loopback; $TALOSCONFIG leads to it.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			config, stop, err := startFake()
			if err != nil {
				return err
			}

			env.Defer(stop)

			path := filepath.Join(env.WorkDir, ".client")
			env.Setenv("TALOSCONFIG", path)
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))

			return config.Save(path)
		},
	})
}
