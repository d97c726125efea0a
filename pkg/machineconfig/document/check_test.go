package document_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/pkg/machineconfig/document"
)

const authority = `-----BEGIN CERTIFICATE-----
MIIBfTCCASOgAwIBAgIUOmrG2KOpqvyZ5ohEg0yrHhFTG0gwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJdW5yZWxhdGVkMB4XDTI2MTEyODE3MTM1OFoXDTQ2MTEyMzE3
MTM1OFowFDESMBAGA1UEAwwJdW5yZWxhdGVkMFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAEJD8YqFJ59MBXeEoRqX6fLvzyJbNnfFOXXsFMLH05SbP6lG9leow6IUVM
Jl3kK1JBvpL3gRiw/cR7SNMq0cmrkaNTMFEwHQYDVR0OBBYEFJbJ4vzxy+rtoFJk
nUi0xxxUO20CMB8GA1UdIwQYMBaAFJbJ4vzxy+rtoFJknUi0xxxUO20CMA8GA1Ud
EwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIhAKjfDA863vZwjwIPqSRehPNh
oI91fShWRoyhGL5lMB5qAiBH1WNhDJsCytRRpN3c9uoJTohdcMjaFfdmBozLvB7e
7A==
-----END CERTIFICATE-----
`

func TestTrustedRootsAreCertificates(t *testing.T) {
	t.Parallel()

	damaged := strings.Replace(authority, "M", "*", 1)
	wrong := "-----BEGIN CERTIFICATE-----\nbm9uc2Vuc2U=\n-----END CERTIFICATE-----\n"
	key := "-----BEGIN PRIVATE KEY-----\nbm9uc2Vuc2U=\n-----END PRIVATE KEY-----\n"

	for name, test := range map[string]struct{ text, want string }{
		"one":                {authority, ""},
		"two with remarks":   {"# the first\n" + authority + "# the second\n" + authority + "# the end\n", ""},
		"none":               {"", "expected certificates: there is none in PEM"},
		"no PEM":             {"hello", "expected certificates: there is none in PEM"},
		"damaged":            {damaged, "expected certificates: PEM block 1 is damaged"},
		"damaged at the end": {authority + damaged, "expected certificates: PEM block 2 is damaged"},
		"damaged between":    {authority + damaged + authority, "expected certificates: PEM block 2 is damaged"},
		"cut off":            {authority + "-----BEGIN CERTIFICATE-----\nMIIB\n", "expected certificates: PEM block 2 is damaged"},
		"a key":              {authority + key, "expected certificates: PEM block 2 is a PRIVATE KEY"},
		"no certificate":     {wrong, "expected certificates: PEM block 1: x509: malformed certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got := ""
			for _, fault := range (&document.TrustedRootsConfig{Name: "a", Certificates: test.text}).Check() {
				got += fault.Message
			}

			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
