package debian

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseControl(t *testing.T) {
	const control = `Package: libmount1
Source: util-linux (2.38.1-5)
Version: 2.38.1-5+deb12u3
Architecture: amd64
Description: device mounting library
 This device mounting library is used by mount and umount helpers.
SHA256: 0c5d

Package: mawk
Version: 1.3.4
Architecture: amd64
SHA256: 77aa
`

	want := []Package{
		{Name: "libmount1", Version: "2.38.1-5+deb12u3", Architecture: "amd64", Source: "util-linux", SHA256: "0c5d"},
		{Name: "mawk", Version: "1.3.4", Architecture: "amd64", Source: "mawk", SHA256: "77aa"},
	}
	if diff := cmp.Diff(want, parseControl([]byte(control))); diff != "" {
		t.Errorf("packages (-want +got):\n%s", diff)
	}
}

func FuzzParseControl(f *testing.F) {
	f.Add([]byte("Package: a\nVersion: 1\n\nPackage: b\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, p := range parseControl(data) {
			if p.Name == "" || p.Source == "" {
				t.Errorf("a package without a name: %+v", p)
			}
		}
	})
}
