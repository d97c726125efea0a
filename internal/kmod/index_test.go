package kmod

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func testIndex(t *testing.T) *Index {
	t.Helper()

	modules := []Module{
		{Info: Info{Name: "top", Depends: []string{"left", "right"}, Aliases: []string{"pci:v00008086d000010D3sv*sd*bc*sc*i*", "fs-top"}}, Path: "kernel/top.ko.xz"},
		{Info: Info{Name: "left", Depends: []string{"low_est", "crc32"}}, Path: "kernel/left.ko"},
		{Info: Info{Name: "right", Depends: []string{"low_est"}, Soft: []string{"fast", "none"}}, Path: "kernel/right.ko"},
		{Info: Info{Name: "low_est"}, Path: "kernel/low-est.ko"},
		{Info: Info{Name: "fast", Aliases: []string{"*", "usb:v046Dp0[A-C]*"}}, Path: "kernel/fast.ko"},
	}

	x, err := NewIndex(modules, []byte("kernel/lib/crc32.ko\n"))
	if err != nil {
		t.Fatal(err)
	}

	return x
}

func TestIndexFiles(t *testing.T) {
	got := map[string]string{}
	for name, data := range testIndex(t).Files() {
		got[name] = string(data)
	}

	want := map[string]string{
		DepFile: `kernel/fast.ko:
kernel/left.ko: kernel/low-est.ko
kernel/low-est.ko:
kernel/right.ko: kernel/low-est.ko
kernel/top.ko: kernel/right.ko kernel/left.ko kernel/low-est.ko
`,
		AliasFile: `# aliases of modules
alias * fast
alias usb:v046Dp0[A-C]* fast
alias pci:v00008086d000010D3sv*sd*bc*sc*i* top
alias fs_top top
`,
		SoftdepFile: "# soft dependencies of modules\nsoftdep right pre: fast none\n",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

// reread writes the index and reads it.
func reread(t *testing.T, x *Index) *Index {
	t.Helper()

	files := fstest.MapFS{BuiltinFile: {Data: []byte("kernel/lib/crc32.ko\n")}}
	for name, data := range x.Files() {
		files[name] = &fstest.MapFile{Data: data}
	}

	again, err := ReadIndex(files)
	if err != nil {
		t.Fatal(err)
	}

	return again
}

func TestIndexOrder(t *testing.T) {
	for name, x := range map[string]*Index{"made": testIndex(t), "read": reread(t, testIndex(t))} {
		entries, err := x.Order("top", "crc32", "left")
		if err != nil {
			t.Fatal(err)
		}

		var got []string
		for _, e := range entries {
			got = append(got, e.Path)
		}

		want := []string{"kernel/low-est.ko", "kernel/left.ko", "kernel/fast.ko", "kernel/right.ko", "kernel/top.ko"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: order (-want +got):\n%s", name, diff)
		}

		if _, err := x.Order("gone"); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: error %v", name, err)
		}

		if diff := cmp.Diff([]string{"fast", "left", "low_est", "right", "top"}, x.Names()); diff != "" {
			t.Errorf("%s: names (-want +got):\n%s", name, diff)
		}

		if !x.Builtin("crc32") || x.Builtin("top") {
			t.Errorf("%s: what is built in is wrong", name)
		}
	}
}

func TestIndexMatch(t *testing.T) {
	for query, want := range map[string][]string{
		"pci:v00008086d000010D3sv00000000sd00000000bc02sc00i00": {"fast", "top"},
		"pci:v00008086d000010D4sv00000000sd00000000bc02sc00i00": {"fast"},
		"fs-top":       {"fast", "top"},
		"low-est":      {"low_est"},
		"usb:v046Dp0B": {"fast"},
	} {
		if diff := cmp.Diff(want, reread(t, testIndex(t)).Match(query)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
}

func TestPatterns(t *testing.T) {
	for _, tt := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true},
		{"*", "", true},
		{"a*c", "abc", true},
		{"a*c", "abcd", false},
		{"a*b*c", "axxbyyc", true},
		{"a?c", "ac", false},
		{"a[0-9x]c", "a5c", true},
		{"a[0-9x]c", "axc", true},
		{"a[0-9x]c", "ayc", false},
		{"a[", "a[", true},
		{"a", "ab", false},
		{strings.Repeat("*a", 50), strings.Repeat("a", 1000) + "b", false},
	} {
		if got := match(tt.pattern, tt.s); got != tt.want {
			t.Errorf("match(%q, %q) = %t", tt.pattern, tt.s, got)
		}
	}
}

func TestBadIndex(t *testing.T) {
	for _, text := range []string{"x\n", "kernel/a.txt:\n", "../a.ko:\n", "a.ko: b\n"} {
		if _, err := ReadIndex(fstest.MapFS{DepFile: {Data: []byte(text)}}); !errors.Is(err, ErrIndex) {
			t.Errorf("%q: error %v", text, err)
		}
	}

	if x, err := ReadIndex(fstest.MapFS{DepFile: {Data: []byte("a.ko: b.ko\n")}}); err != nil {
		t.Error(err)
	} else if _, err := x.Order("a"); !errors.Is(err, ErrUnknown) {
		t.Errorf("a module that needs what is not there: %v", err)
	}

	circle := []Module{
		{Info: Info{Name: "a", Depends: []string{"b"}}, Path: "a.ko"},
		{Info: Info{Name: "b", Depends: []string{"a"}}, Path: "b.ko"},
	}
	if _, err := NewIndex(circle, nil); !errors.Is(err, ErrIndex) {
		t.Errorf("circle: error %v", err)
	}

	if _, err := NewIndex(circle[:1], nil); !errors.Is(err, ErrUnknown) {
		t.Errorf("missing: error %v", err)
	}

	if x, err := ReadIndex(fstest.MapFS{}); err != nil || len(x.Names()) != 0 {
		t.Errorf("no index: %v", err)
	}
}

// Modules that are added find those of the kernel.
func TestAddedIndex(t *testing.T) {
	added, err := NewAddedIndex([]Module{
		{Info: Info{Name: "zfs", Depends: []string{"spl", "left"}, Aliases: []string{"fs-zfs"}}, Path: "extra/zfs.ko.xz"},
		{Info: Info{Name: "spl", Depends: []string{"crc32"}}, Path: "extra/spl.ko"},
	})
	if err != nil {
		t.Fatal(err)
	}

	files := fstest.MapFS{BuiltinFile: {Data: []byte("kernel/lib/crc32.ko\n")}, DepFile + ".bin": {Data: []byte{0}}}

	for name, data := range testIndex(t).Files() {
		files[name] = &fstest.MapFile{Data: data}
	}

	for name, data := range added.AddedFiles("storage") {
		files[name] = &fstest.MapFile{Data: data}
	}

	x, err := ReadIndex(files)
	if err != nil {
		t.Fatal(err)
	}

	entries, err := x.Order(x.Match("fs-zfs")[1])
	if err != nil {
		t.Fatal(err)
	}

	var got []string
	for _, e := range entries {
		got = append(got, e.Path)
	}

	if diff := cmp.Diff([]string{"extra/spl.ko", "kernel/low-est.ko", "kernel/left.ko", "extra/zfs.ko"}, got); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

func FuzzReadIndex(f *testing.F) {
	f.Add("a.ko: b.ko\nb.ko:\n", "alias x* a\n", "softdep a pre: b\n", "x-1")
	f.Fuzz(func(t *testing.T, dep, aliases, soft, query string) {
		x, err := ReadIndex(fstest.MapFS{
			DepFile: {Data: []byte(dep)}, AliasFile: {Data: []byte(aliases)}, SoftdepFile: {Data: []byte(soft)},
		})
		if err != nil {
			return
		}

		for _, name := range x.Match(query) {
			if _, err := x.Order(name); err != nil && !errors.Is(err, ErrUnknown) {
				t.Errorf("a matching module is not there: %v", err)
			}
		}
	})
}
