package codec_test

import (
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type secretive struct {
	Name  string
	Token string   `redact:"replace"`
	URL   *url.URL `redact:"replace"`
	Peers []struct {
		Key string `redact:"replace"`
	}
}

func TestRedact(t *testing.T) {
	c := newCodec(t, secretive{})
	if !c.HasSecrets() {
		t.Error("no secrets found in the type")
	}

	address, err := url.Parse("https://user:pass@a.example/path")
	if err != nil {
		t.Fatal(err)
	}

	spec := secretive{Name: "name", Token: "token", URL: address}
	spec.Peers = append(spec.Peers, struct {
		Key string `redact:"replace"`
	}{"key"}, struct {
		Key string `redact:"replace"`
	}{})

	if err := c.Redact(&spec); err != nil {
		t.Fatal(err)
	}

	got := []string{spec.Name, spec.Token, spec.URL.User.String(), spec.URL.Path, spec.Peers[0].Key, spec.Peers[1].Key}
	want := []string{"name", "******", "user:%2A%2A%2A%2A%2A%2A", "/path", "******", ""}

	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}

	if address.User.String() != "user:pass" {
		t.Error("the URL that was shared has changed")
	}
}

func TestTypesWithoutSecrets(t *testing.T) {
	c := newCodec(t, outer{})
	if c.HasSecrets() {
		t.Error("secrets found in a type without any")
	}

	spec := example()
	if err := c.Redact(&spec); err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(example(), spec, exact); diff != "" {
		t.Errorf("spec (-before +after):\n%s", diff)
	}
}
