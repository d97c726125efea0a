package e2e

import (
	"bufio"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// kubectlReachesIntoPods uses the commands that need the kubelet: logs, exec,
// port-forward and cp.
func kubectlReachesIntoPods(t *testing.T, c *cluster) {
	ns := c.namespace(t)
	made := c.runPod(t, ns, pod("web", server()))

	kubectl := func(t *testing.T, args ...string) string {
		t.Helper()

		ctx, cancel := context.WithTimeout(t.Context(), podLimit)
		defer cancel()

		out, err := c.kubectl(ctx, append([]string{"-n", ns}, args...)...)
		if err != nil {
			t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
		}

		return out
	}

	t.Run("Logs", func(t *testing.T) {
		if out := kubectl(t, "logs", made.Name); !strings.Contains(out, "Started HTTP server on port 8080") {
			t.Errorf("got %q", out)
		}
	})

	t.Run("Exec", func(t *testing.T) {
		// A program that was not there when the pod started, and its input.
		if out := kubectl(t, "exec", made.Name, "--", "/agnhost", "--version"); !strings.Contains(out, "2.63.0") {
			t.Errorf("got %q", out)
		}
	})

	t.Run("PortForward", func(t *testing.T) {
		address := c.forward(t, ns, "pod/"+made.Name)

		if err := wants(made.Name)(fetch(t.Context(), "http://"+address+"/hostname")); err != nil {
			t.Error(err)
		}
	})

	t.Run("Copy", func(t *testing.T) {
		dir := t.TempDir()
		there, back := filepath.Join(dir, "there"), filepath.Join(dir, "back")
		text := strings.Repeat("columns of black stone\n", 10_000)

		if err := os.WriteFile(there, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}

		kubectl(t, "cp", there, made.Name+":/tmp/stone")
		kubectl(t, "cp", made.Name+":/tmp/stone", back)

		got, err := os.ReadFile(back)
		if err != nil {
			t.Fatal(err)
		}

		if string(got) != text {
			t.Errorf("got %d bytes back that are not the %d that went there", len(got), len(text))
		}
	})
}

var forwarding = regexp.MustCompile(`Forwarding from (127\.0\.0\.1:\d+) ->`)

// forward runs kubectl port-forward until the test ends, and returns the
// address that it listens on.
func (c *cluster) forward(t *testing.T, namespace, target string) string {
	t.Helper()

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	cmd := c.kubectlCommand(ctx, "-n", namespace, "port-forward", "--address=127.0.0.1", target, ":8080")

	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}

	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() {
		cancel()
		cmd.Wait() // it was told to end
	})

	for lines := bufio.NewScanner(out); lines.Scan(); {
		if match := forwarding.FindStringSubmatch(lines.Text()); match != nil {
			return match[1]
		}
	}

	t.Fatal("kubectl port-forward ended")

	return ""
}
