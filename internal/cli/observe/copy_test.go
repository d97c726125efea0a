package observe

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// pack makes an archive; what is wrong with it is not looked at.
func pack(headers ...tar.Header) []byte {
	var out bytes.Buffer

	compressed := gzip.NewWriter(&out)
	archive := tar.NewWriter(compressed)

	for _, header := range headers {
		_ = archive.WriteHeader(&header)
		_, _ = archive.Write(make([]byte, header.Size))
	}

	_ = archive.Close()
	_ = compressed.Close()

	return out.Bytes()
}

func TestUnpackStaysInside(t *testing.T) {
	for name, archive := range map[string][]byte{
		"name that leads out": pack(tar.Header{Name: "../../outside", Typeflag: tar.TypeReg, Size: 1, Mode: 0o644}),
		"absolute name":       pack(tar.Header{Name: "/outside", Typeflag: tar.TypeReg, Size: 1, Mode: 0o644}),
		"through a link": pack(
			tar.Header{Name: "link", Typeflag: tar.TypeSymlink, Linkname: "../.."},
			tar.Header{Name: "link/outside", Typeflag: tar.TypeReg, Size: 1, Mode: 0o644}),
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			folder := filepath.Join(root, "a", "b")

			// Refusing is as good as keeping it inside.
			_ = unpack(bytes.NewReader(archive), folder)

			for _, path := range []string{filepath.Join(root, "outside"), filepath.Join(root, "a", "outside"), "/outside"} {
				if _, err := os.Lstat(path); err == nil {
					t.Errorf("%s was written", path)
				}
			}
		})
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(pack(tar.Header{Name: "folder/", Typeflag: tar.TypeDir, Mode: 0o755}, tar.Header{Name: "folder/file", Typeflag: tar.TypeReg, Size: 3}))
	f.Add(pack(tar.Header{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "/etc"}, tar.Header{Name: "l/x", Typeflag: tar.TypeReg}))
	f.Add(pack(tar.Header{Name: "..", Typeflag: tar.TypeReg}))
	f.Add([]byte("no archive"))
	f.Fuzz(func(t *testing.T, data []byte) {
		root := t.TempDir()
		folder := filepath.Join(root, "inner")

		_ = unpack(bytes.NewReader(data), folder)

		err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
			if relative, _ := filepath.Rel(folder, path); path != root && (relative == ".." || filepath.Dir(path) == root && path != folder) {
				t.Errorf("%s is outside", path)
			}

			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}
