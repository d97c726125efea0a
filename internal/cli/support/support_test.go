package support

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"
)

func contents(t *testing.T, data []byte) map[string]string {
	t.Helper()

	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}

	files := map[string]string{}

	for _, file := range archive.File {
		reader, err := file.Open()
		if err != nil {
			t.Fatal(err)
		}

		text, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}

		files[file.Name] = string(text)
	}

	return files
}

// TestBundle checks that what cannot be fetched is noted beside what can.
func TestBundle(t *testing.T) {
	var out bytes.Buffer

	b := &bundle{archive: zip.NewWriter(&out), begin: time.Unix(0, 0)}
	b.add(context.Background(), "n/good", func(context.Context) ([]byte, error) { return []byte("text"), nil })
	b.add(context.Background(), "n/half", func(context.Context) ([]byte, error) { return []byte("begin"), errors.New("cut off") })
	b.add(context.Background(), "n/none", func(context.Context) ([]byte, error) { return nil, errors.New("no answer") })

	if err := b.close(); err != nil {
		t.Fatal(err)
	}

	want := map[string]string{"n/good": "text", "n/half": "begin", "errors.txt": "n/half: cut off\nn/none: no answer\n"}
	if diff := cmp.Diff(want, contents(t, out.Bytes())); diff != "" {
		t.Error(diff)
	}
}

func TestWithheld(t *testing.T) {
	for _, test := range []struct {
		kind, sensitivity string
		want              bool
	}{
		{"Members.cluster.talos.dev", "", false},
		{"ManifestStatuses.kubernetes.talos.dev", "", false},
		{"MachineConfigs.config.talos.dev", "sensitive", true},
		{"Manifests.kubernetes.talos.dev", "", true},
		{"ExtraManifestsConfigs.kubernetes.talos.dev", "", true},
		{"StaticPods.kubernetes.talos.dev", "", true},
		{"Environments.runtime.talos.dev", "", true},
	} {
		if got := withheld(test.kind, test.sensitivity); got != test.want {
			t.Errorf("%s: got %v", test.kind, got)
		}
	}
}

func TestRecipients(t *testing.T) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}

	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}

	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}

	recipients, err := parseRecipients([]string{identity.Recipient().String(), string(ssh.MarshalAuthorizedKey(key))})
	if err != nil {
		t.Fatal(err)
	}

	var out bytes.Buffer

	encrypted, err := age.Encrypt(&out, recipients...)
	if err != nil {
		t.Fatal(err)
	}

	_, _ = encrypted.Write([]byte("secret"))

	if err := encrypted.Close(); err != nil {
		t.Fatal(err)
	}

	decrypted, err := age.Decrypt(&out, identity)
	if err != nil {
		t.Fatal(err)
	}

	if text, err := io.ReadAll(decrypted); err != nil || string(text) != "secret" {
		t.Errorf("got %q, %v", text, err)
	}

	for _, key := range []string{"nonsense", "ssh-ed25519 nonsense", ""} {
		if _, err := parseRecipients([]string{key}); err == nil {
			t.Errorf("%q was taken for a public key", key)
		}
	}
}
