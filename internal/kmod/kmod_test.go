package kmod

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/ulikunitz/xz"
)

// module is an ELF file with nothing but a .modinfo section.
func module(fields ...string) []byte {
	const header, entry = 64, 64

	info := strings.Join(fields, "\x00") + "\x00"
	strs := "\x00.modinfo\x00.shstrtab\x00"

	var out bytes.Buffer

	put := func(values ...any) {
		for _, v := range values {
			binary.Write(&out, binary.LittleEndian, v)
		}
	}

	table := uint64(header + len(info) + len(strs))

	out.WriteString("\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9))
	put(uint16(1), uint16(62), uint32(1), uint64(0), uint64(0), table, uint32(0))
	put(uint16(header), uint16(0), uint16(0), uint16(entry), uint16(3), uint16(2))
	out.WriteString(info + strs)

	section := func(name, kind uint32, offset, size uint64) {
		put(name, kind, uint64(0), uint64(0), offset, size, uint32(0), uint32(0), uint64(1), uint64(0))
	}
	section(0, 0, 0, 0)
	section(1, 1, header, uint64(len(info)))
	section(10, 3, header+uint64(len(info)), uint64(len(strs)))

	return out.Bytes()
}

func compressed(t *testing.T, data []byte) []byte {
	t.Helper()

	var out bytes.Buffer

	w, err := xz.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}

	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}

	if err := w.Close(); err != nil {
		t.Fatal(err)
	}

	return out.Bytes()
}

func TestRead(t *testing.T) {
	got, err := Read(bytes.NewReader(module("name=virtio_net", "depends=failover,net-failover", "alias=virtio:d00000001v*",
		"alias=x", "softdep=pre: a-b c post: d", "vermagic=6.12.0 SMP mod_unload", "license=GPL")))
	if err != nil {
		t.Fatal(err)
	}

	want := Info{
		Name: "virtio_net", Depends: []string{"failover", "net_failover"}, Soft: []string{"a_b", "c"},
		Aliases: []string{"virtio:d00000001v*", "x"}, Release: "6.12.0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("module (-want +got):\n%s", diff)
	}

	for name, data := range map[string][]byte{"empty": nil, "text": []byte("x"), "no name": module("depends=")} {
		if _, err := Read(bytes.NewReader(data)); !errors.Is(err, ErrNotModule) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func open(t *testing.T) *Set {
	t.Helper()

	set, err := Open(fstest.MapFS{
		"modules.builtin":      {Data: []byte("kernel/lib/crc32.ko\n")},
		"kernel/top.ko.xz":     {Data: compressed(t, module("name=top", "depends=left,right"))},
		"kernel/left.ko":       {Data: module("name=left", "depends=low-est")},
		"kernel/right.ko.xz":   {Data: compressed(t, module("name=right", "depends=low_est,crc32", "softdep=pre: fast none"))},
		"kernel/low-est.ko":    {Data: module("name=low_est")},
		"kernel/fast.ko":       {Data: module("name=fast", "depends=")},
		"kernel/torn.ko":       {Data: module("name=torn", "depends=gone")},
		"kernel/circle.ko":     {Data: module("name=circle", "softdep=pre: circle")},
		"kernel/bad.ko.xz":     {Data: []byte("no xz")},
		"kernel/modules.order": {Data: []byte("x")},
	})
	if err != nil {
		t.Fatal(err)
	}

	return set
}

func TestClosure(t *testing.T) {
	modules, err := open(t).Closure("top", "crc32", "circle", "left")
	if err != nil {
		t.Fatal(err)
	}

	var got []string
	for _, m := range modules {
		got = append(got, m.Name)
	}

	if diff := cmp.Diff([]string{"low_est", "left", "fast", "right", "top", "circle"}, got); diff != "" {
		t.Errorf("modules (-want +got):\n%s", diff)
	}

	for _, name := range []string{"gone", "torn"} {
		if _, err := open(t).Closure(name); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %v", name, err)
		}
	}

	if _, err := open(t).Closure("bad"); err == nil {
		t.Error("a damaged module was read")
	}
}

func TestParseList(t *testing.T) {
	got, err := ParseList("# disks\nvirtio-blk  # for clouds\n\nnvme\nnet/b-c/\n")
	if diff := cmp.Diff([]string{"virtio_blk", "nvme", "net/b-c/"}, got); diff != "" || err != nil {
		t.Errorf("list (-want +got):\n%s%v", diff, err)
	}

	for _, bad := range []string{"a b", "a.ko", "kernel/a", "a\na", "a-b\na_b"} {
		if _, err := ParseList(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestExpand(t *testing.T) {
	set, err := Open(fstest.MapFS{
		"kernel/net/b-c/two.ko":      {},
		"kernel/net/b-c/d/o-ne.ko":   {},
		"kernel/net/b-cd/three.ko":   {},
		"kernel/drivers/net/four.ko": {},
	})
	if err != nil {
		t.Fatal(err)
	}

	got, err := set.Expand([]string{"x", "net/b-c/"})
	if diff := cmp.Diff([]string{"x", "o_ne", "two"}, got); diff != "" || err != nil {
		t.Errorf("modules (-want +got):\n%s%v", diff, err)
	}

	if _, err := set.Expand([]string{"net/e/"}); !errors.Is(err, ErrUnknown) {
		t.Errorf("error %v", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(module("name=a", "depends=b,c", "softdep=pre: d"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if info, err := Read(bytes.NewReader(data)); err == nil && info.Name == "" {
			t.Error("a module without a name")
		}
	})
}
