package fat

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"strings"
	"testing"

	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem/fat32"
	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/blockdev/crashtest"
)

// made is a file system in memory.
func made(t testing.TB, size int64, sector int, files ...File) *crashtest.Disk {
	t.Helper()

	disk := crashtest.New(size, sector)
	if err := Write(disk, size, sector, "EFI", files); err != nil {
		t.Fatal(err)
	}

	return disk
}

func opened(t testing.TB, disk *crashtest.Disk) *Volume {
	t.Helper()

	size, _ := disk.Size()

	v, err := Open(disk, int64(size))
	if err != nil {
		t.Fatal(err)
	}

	return v
}

// contents are all files with what is in them.
func contents(v *Volume) (map[string]string, error) {
	found := map[string]string{}

	var walk func(first uint32, name string) error

	walk = func(first uint32, name string) error {
		f, err := v.readFolder(first)
		if err != nil {
			return err
		}

		for _, i := range f.items {
			name := path.Join(name, i.Name)

			if i.Folder {
				found[name+"/"] = ""

				if err := walk(i.first, name); err != nil {
					return err
				}

				continue
			}

			clusters, err := v.content(i)
			if err != nil {
				return err
			}

			data := make([]byte, i.Size)
			if _, err := (&Content{v, clusters, i.Size}).ReadAt(data, 0); err != nil && !errors.Is(err, io.EOF) {
				return err
			}

			found[name] = string(data)
		}

		return nil
	}

	return found, walk(v.root, "")
}

func create(t testing.TB, v *Volume, name, content string) {
	t.Helper()

	if err := v.Create(name, int64(len(content)), strings.NewReader(content)); err != nil {
		t.Fatal(err)
	}
}

func geometries() map[string][2]int {
	return map[string][2]int{
		"small":      {64 << 20, 512},
		"large":      {300 << 20, 512},
		"4K sectors": {300 << 20, 4096},
	}
}

// What Write makes can be read, changed and read again, by us and by another
// library.
func TestVolume(t *testing.T) {
	for name, g := range geometries() {
		t.Run(name, func(t *testing.T) {
			disk := made(t, int64(g[0]), g[1], example()...)
			v := opened(t, disk)
			want := map[string]string{"EFI/": "", "EFI/BOOT/": "", "EFI/Linux/": "", "loader/": "", "many/": ""}

			for _, f := range example() {
				want[f.Name] = string(f.Data)
			}

			check := func() {
				t.Helper()

				for _, v := range []*Volume{v, opened(t, disk)} {
					if got, err := contents(v); err != nil || !maps.Equal(got, want) {
						t.Fatalf("%v, (-want +got):\n%s", err, cmp.Diff(want, got))
					}
				}
			}

			check()

			put := func(name, content string) {
				t.Helper()
				create(t, v, name, content)

				want[name] = content
			}

			put("EFI/Linux/Basalt-0.2.0+3.efi", strings.Repeat("new kernel", 54_321))
			put("loader/loader.conf", "timeout 0\n")
			put("empty", "no longer")
			put("EFI/BOOT/BOOTX64.EFI", "")
			put("deep/er/and deeper/A Name.txt", "x")
			put(strings.Repeat("long", 63)+"xyz", "255 characters")

			want["deep/"], want["deep/er/"], want["deep/er/and deeper/"] = "", "", ""

			for i := range 60 {
				put(fmt.Sprintf("many/another long name with number %d", i), fmt.Sprint(i))
			}

			check()

			for i := range many {
				name := fmt.Sprintf("many/a long name for number %d", i)
				delete(want, name)

				if err := v.Remove(name); err != nil {
					t.Fatal(err)
				}
			}

			for i := range 60 {
				from, to := fmt.Sprintf("many/another long name with number %d", i), fmt.Sprintf("many/%s%d", strings.Repeat("n", i), i)
				want[to] = want[from]
				delete(want, from)

				if err := v.Rename(from, to); err != nil {
					t.Fatal(err)
				}
			}

			check()
			compareWith(t, disk, int64(g[0]), int64(g[1]), want)
		})
	}
}

// compareWith reads everything with another library.
func compareWith(t *testing.T, disk *crashtest.Disk, size, sector int64, want map[string]string) {
	t.Helper()

	other := write(t, size, int(sector), nil)
	if _, err := io.Copy(other, io.NewSectionReader(disk, 0, size)); err != nil {
		t.Fatal(err)
	}

	volume, err := fat32.Read(file.New(other, true), size, 0, sector)
	if err != nil {
		t.Fatal(err)
	}

	for name, content := range want {
		if strings.HasSuffix(name, "/") || content == "" {
			continue
		}

		f, err := volume.OpenFile(name, 0)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}

		if got, err := io.ReadAll(f); err != nil || string(got) != content {
			t.Errorf("%s has %d bytes, want %d, %v", name, len(got), len(content), err)
		}
	}
}

func TestFree(t *testing.T) {
	disk := made(t, 64<<20, 512)
	v := opened(t, disk)

	free := func() int64 {
		t.Helper()

		n, err := v.Free()
		if err != nil {
			t.Fatal(err)
		}

		return n
	}

	create(t, v, "folder/a", "x")

	before := free()

	create(t, v, "folder/b", strings.Repeat("x", 1000))

	if got := free(); got != before-v.SizeOf(1000) || v.SizeOf(1000) != 1024 {
		t.Errorf("%d bytes are free, %d were", got, before)
	}

	err := v.Create("folder/c", before, bytes.NewReader(nil))
	if !errors.Is(err, ErrNoSpace) || !strings.Contains(err.Error(), fmt.Sprint(before-1024)) {
		t.Errorf("a file that does not fit: %v", err)
	}

	create(t, v, "folder/b", "")

	if got := free(); got != before {
		t.Errorf("%d bytes are free, %d were", got, before)
	}

	// A file in pieces.
	for i := range 100 {
		create(t, v, fmt.Sprintf("folder/piece %d", i), strings.Repeat("p", 5000))
	}

	for i := range 50 {
		if err := v.Remove(fmt.Sprintf("folder/piece %d", 2*i)); err != nil {
			t.Fatal(err)
		}
	}

	large := strings.Repeat("0123456", int(free())/7)
	create(t, v, "large", large)

	if got, err := v.ReadFile("large", 1<<30); err != nil || string(got) != large {
		t.Errorf("%d bytes, %v", len(got), err)
	}

	// What was counted on the way is what there is.
	if again, err := opened(t, disk).Free(); err != nil || again != free() {
		t.Errorf("opened again, %d bytes are free, %v; %d were", again, err, free())
	}
}

func TestVolumeRefuses(t *testing.T) {
	disk := made(t, 64<<20, 512, example()...)
	v := opened(t, disk)
	_, missing := v.Stat("EFI/none")
	_, inFile := v.Stat("empty/none")
	_, folder := v.Open("EFI")
	_, large := v.ReadFile("EFI/Linux/Basalt-0.1.0.efi", 4)

	for name, c := range map[string]struct{ err, want error }{
		"missing":            {missing, ErrNotExist},
		"in a file":          {inFile, ErrFolder},
		"open a folder":      {folder, ErrFolder},
		"remove missing":     {v.Remove("x"), ErrNotExist},
		"remove full folder": {v.Remove("EFI"), ErrFolder},
		"remove root":        {v.Remove("."), ErrFolder},
		"rename missing":     {v.Rename("x", "y"), ErrNotExist},
		"rename over":        {v.Rename("loader/loader.conf", "LOADER/loader.conf/../loader.conf2/../x/../../empty"), ErrName},
		"rename elsewhere":   {v.Rename("empty", "EFI/empty"), ErrName},
		"rename to another":  {v.Rename("EFI/Linux/thirteen.chars", "EFI/Linux/BASALT-0.1.0.EFI"), ErrExist},
		"rename a folder":    {v.Rename("EFI", "EFJ"), ErrFolder},
		"bad name":           {v.Rename("empty", "a:b"), ErrName},
		"create a folder":    {v.Create("EFI", 0, nil), ErrFolder},
		"create in a file":   {v.Create("empty/x", 0, nil), ErrFolder},
		"create the root":    {v.Create(".", 0, nil), ErrName},
		"too large":          {v.Create("x", 1<<32, nil), ErrNoSpace},
		"content too short":  {v.Create("x", 10, strings.NewReader("123")), io.ErrUnexpectedEOF},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v, want %v", name, c.err, c.want)
		}
	}

	if large == nil {
		t.Error("a file larger than expected was read")
	}

	want := len(example()) + 5
	if got, err := contents(opened(t, disk)); err != nil || len(got) != want {
		t.Errorf("%d files, %v; want %d", len(got), err, want)
	}

	if err := v.Remove("many/../empty"); err != nil {
		t.Error(err)
	}

	if err := v.Remove("empty"); !errors.Is(err, ErrNotExist) {
		t.Error(err)
	}
}

// What contradicts itself is not changed.
func TestDamaged(t *testing.T) {
	for name, break_ := range map[string]func(v *Volume, at uint32){
		"loop":            func(v *Volume, at uint32) { v.set(at, at) },
		"cut off":         func(v *Volume, at uint32) { v.set(at, endOfChain) },
		"free":            func(v *Volume, at uint32) { v.set(at, 0) },
		"beyond":          func(v *Volume, at uint32) { v.set(at, 0x0ffffff0) },
		"bad cluster":     func(v *Volume, at uint32) { v.set(at, badChain) },
		"shared":          func(v *Volume, at uint32) { v.set(at, rootCluster+1) },
		"root has no end": func(v *Volume, _ uint32) { v.set(v.root, v.root) },
	} {
		disk := made(t, 64<<20, 512, example()...)
		v := opened(t, disk)

		_, i, err := v.find("EFI/Linux/Basalt-0.1.0~1+3-1.efi")
		if err != nil {
			t.Fatal(err)
		}

		break_(v, i.first)

		if err := v.flush(); err != nil {
			t.Fatal(err)
		}

		disk.Record()

		v = opened(t, disk)
		if err := v.Create("x", 1, strings.NewReader("x")); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}

		if _, err := v.Free(); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: free space: %v", name, err)
		}
	}
}

// The second table is used by nobody, but should be right.
func TestTablesDiffer(t *testing.T) {
	disk := made(t, 64<<20, 512, example()...)
	v := opened(t, disk)

	if _, err := disk.WriteAt(make([]byte, 512), v.tableOffset(1)); err != nil {
		t.Fatal(err)
	}

	create(t, opened(t, disk), "x", "y")

	v = opened(t, disk)
	first, _ := v.readTable(0)
	second, _ := v.readTable(1)

	if !bytes.Equal(first, second) {
		t.Error("the tables differ")
	}
}

func TestNotFAT(t *testing.T) {
	disk := crashtest.New(64<<20, 512)
	if _, err := Open(disk, 64<<20); !errors.Is(err, ErrNotFAT) {
		t.Errorf("zeros: %v", err)
	}

	disk = made(t, 64<<20, 512)
	if _, err := Open(disk, 63<<20); !errors.Is(err, ErrDamaged) {
		t.Errorf("cut off: %v", err)
	}

	if _, err := Open(crashtest.New(100, 512), 100); err == nil {
		t.Error("a disk of 100 bytes was opened")
	}
}

// What other programs write: names in small letters without a long name, names
// left over, and whatever lies behind the end.
func TestForeignFolder(t *testing.T) {
	lower := entry(pack("README", "TXT"), attrArchive, 0, 0)
	lower[caseAt] = lowerBase | lowerExt
	long := longEntries("of another file.txt", pack("OTHER", ""))
	removed := entry(pack("GONE", ""), attrArchive, 0, 0)
	removed[0] = slotFree
	japanese := entry([11]byte{slotE5, 'A', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' '}, attrArchive, 0, 0)

	f := folder{data: bytes.Join([][]byte{
		entry(pack("LABEL", ""), attrLabel, 0, 0), lower, long, entry(pack("ALONE", ""), attrArchive, 0, 0), removed,
		longEntries("Proper name", pack("PROPER~1", "")), entry(pack("PROPER~1", ""), attrFolder, 9, 0), japanese,
		make([]byte, entrySize), entry(pack("BEHIND", ""), attrArchive, 0, 0),
	}, nil)}
	f.parse()

	var names []string
	for _, i := range f.items {
		names = append(names, i.Name)
	}

	if diff := cmp.Diff([]string{"readme.txt", "ALONE", "Proper name", "åA"}, names); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func FuzzOpen(f *testing.F) {
	const size = 34 << 20

	seed := made(f, size, 512, File{"EFI/Linux/Basalt-0.1.0+3.efi", []byte("kernel")}, File{"loader/loader.conf", []byte("timeout 5\n")})
	v := opened(f, seed)
	boot, table, folders := make([]byte, 512), make([]byte, 512), make([]byte, 4096)

	for data, at := range map[*[]byte]int64{&boot: 0, &table: v.tableOffset(0), &folders: v.offset(v.root)} {
		if _, err := seed.ReadAt(*data, at); err != nil {
			f.Fatal(err)
		}
	}

	f.Add(boot, table, folders)
	f.Fuzz(func(t *testing.T, boot, table, folders []byte) {
		disk := seed.Clone()
		for at, data := range map[int64][]byte{0: boot[:min(len(boot), 512)], v.tableOffset(0): table[:min(len(table), 4096)], v.offset(v.root): folders} {
			if _, err := disk.WriteAt(data, at); err != nil {
				return
			}
		}

		v, err := Open(disk, size)
		if err != nil {
			return
		}

		if list, err := v.List("EFI/Linux"); err == nil && len(list) > 0 {
			v.ReadFile("EFI/Linux/"+list[0].Name, 1<<20)
		}

		if v.Heal() != nil {
			return
		}

		before, err := contents(v)
		if err != nil {
			t.Fatalf("what was healed is %v", err)
		}

		if v.Create("EFI/Linux/new.efi", 3, strings.NewReader("new")) != nil {
			return
		}

		after, err := contents(v)
		if err != nil || after["EFI/Linux/new.efi"] != "new" && len(after) >= len(before) {
			t.Errorf("%d files were there; %d after one was created, %v", len(before), len(after), err)
		}
	})
}
