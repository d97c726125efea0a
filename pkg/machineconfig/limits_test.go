package machineconfig_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/basalt-os/basalt/pkg/machineconfig"
)

func TestLimits(t *testing.T) {
	t.Parallel()

	var bomb strings.Builder

	bomb.WriteString("a0: &a0 x\n")

	for i := range 12 {
		fmt.Fprintf(&bomb, "a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i), 10), ", "))
	}

	for name, tt := range map[string]struct{ text, want string }{
		"bytes":           {"version: " + strings.Repeat("a", 9<<20), "expected at most 8388608"},
		"aliases":         {bomb.String(), "the document is too large"},
		"endless aliases": {"a: &a [*a]", "the document is too large"},
		"depth":           {strings.Repeat("[", 300) + strings.Repeat("]", 300), "the document is too large"},
	} {
		if _, err := machineconfig.Load([]byte(tt.text), machineconfig.Options{}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error is %v", name, err)
		}
	}
}

func TestErrorsKeepSecrets(t *testing.T) {
	t.Parallel()

	const secret = "c2VjcmV0"

	for _, text := range []string{
		"machine: {ca: " + secret + "}",
		"machine: {ca: {key: " + secret + "=x}}",
		"machine: {token: [" + secret + "]}",
		"cluster: {serviceAccount: " + secret + "}",
		"cluster: {secret: {a: " + secret + "}}",
		"apiVersion: v1alpha1\nkind: KubeEtcdEncryptionConfig\nconfig: " + secret,
		"apiVersion: v1alpha1\nkind: KubeServiceAccountConfig\nissuer: " + secret,
		"apiVersion: v1alpha1\nkind: SideroLinkConfig\napiUrl: nothing?token=" + secret,
		"apiVersion: v1alpha1\nkind: WireguardConfig\nname: a\nprivateKey: " + secret,
	} {
		cfg, err := machineconfig.Load([]byte(text), machineconfig.Options{})
		if err == nil {
			_, err = cfg.Validate(machineconfig.Metal)
		}

		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: error is %v", text, err)
		}
	}
}
