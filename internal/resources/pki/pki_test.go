package pki_test

import (
	"testing"

	"github.com/basalt-os/basalt/internal/resources/pki"
)

func TestPEMText(t *testing.T) {
	want := pki.PEM("-----BEGIN CERTIFICATE-----\n")

	text, err := want.MarshalText()
	if err != nil {
		t.Fatal(err)
	}

	if string(text) != "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg==" {
		t.Errorf("text = %s", text)
	}

	var got pki.PEM
	if err := got.UnmarshalText(text); err != nil {
		t.Fatal(err)
	}

	if string(got) != string(want) {
		t.Errorf("read back as %q", got)
	}

	if err := got.UnmarshalText([]byte("not base64!")); err == nil {
		t.Error("no error for text that is not base64")
	}
}
