package probe

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/basalt-os/basalt/internal/gpt"
	"github.com/basalt-os/basalt/internal/metapart"
)

const mib = 1 << 20

var id = uuid.MustParse("01234567-89ab-cdef-0123-456789abcdef")

// image is memory as a device.
type image []byte

func (m image) WriteAt(data []byte, at int64) (int, error) { return copy(m[at:], data), nil }
func (m image) ReadAt(data []byte, at int64) (int, error)  { return bytes.NewReader(m).ReadAt(data, at) }

func (m image) put(at int, data string) image {
	copy(m[at:], data)

	return m
}

func (m image) le32(at int, values ...uint32) image {
	for i, v := range values {
		binary.LittleEndian.PutUint32(m[at+4*i:], v)
	}

	return m
}

func look(t *testing.T, m image) Result {
	t.Helper()

	result, err := Look(Device{Reader: m, Size: uint64(len(m)), SectorSize: 512})
	if err != nil {
		t.Fatal(err)
	}

	return result
}

func blank() image { return make(image, 2*mib) }

func raw() string { return string(id[:]) }

func TestLook(t *testing.T) {
	meta := blank()
	if err := metapart.Format(meta); err != nil {
		t.Fatal(err)
	}

	fat := func(at int) image {
		return blank().put(0, "\xeb\x58\x90mkfs.fat\x00\x02\x04\x20\x00\x02\x00\x00\x00\x10\xf8").
			put(at, "\x78\x56\x34\x12EFI        FAT32   ").put(510, "\x55\xaa")
	}

	for name, test := range map[string]struct {
		image image
		want  Result
	}{
		"nothing":      {blank(), Result{}},
		"short":        {make(image, 100), Result{}},
		"none at all":  {nil, Result{}},
		"META":         {meta, Result{Name: Meta, Size: 512 << 10}},
		"META, 2nd":    {append(image{}, meta...).put(0, "\x00"), Result{Name: Meta, Size: 512 << 10}},
		"FAT32":        {fat(67), Result{Name: VFAT, UUID: "1234-5678", Label: "EFI", BlockSize: 512, FilesystemBlockSize: 2048, Size: mib * 2}},
		"FAT16":        {fat(39).put(54, "FAT16   "), Result{Name: VFAT, UUID: "1234-5678", Label: "EFI", BlockSize: 512, FilesystemBlockSize: 2048, Size: mib * 2}},
		"LUKS 1":       {blank().put(0, "LUKS\xba\xbe\x00\x01").put(168, id.String()), Result{Name: LUKS, UUID: id.String()}},
		"LUKS 2":       {blank().put(0, "LUKS\xba\xbe\x00\x02").put(24, "STATE").put(168, id.String()), Result{Name: LUKS, UUID: id.String(), Label: "STATE"}},
		"LUKS 3":       {blank().put(0, "LUKS\xba\xbe\x00\x03"), Result{}},
		"LVM":          {blank().put(512, "LABELONE").put(512+24, "LVM2 001abcdefGHIJklmnOPQRstuvWXYZ012345"), Result{Name: LVM2, UUID: "abcdef-GHIJ-klmn-OPQR-stuv-WXYZ-012345"}},
		"RAID 1.1":     {blank().le32(0, mdMagic, 1).put(16, raw()).put(32, "data"), Result{Name: MD, UUID: id.String(), Label: "data"}},
		"RAID 1.2":     {blank().le32(4096, mdMagic, 1).put(4096+16, raw()).le32(4096+144, 8), Result{Name: MD, UUID: id.String()}},
		"RAID 1.0":     {blank().le32(2*mib-8192, mdMagic, 1).put(2*mib-8192+16, raw()).le32(2*mib-8192+144, (2*mib-8192)/512), Result{Name: MD, UUID: id.String()}},
		"RAID 0.90":    {blank().le32(2*mib-65536, mdMagic, 0).put(2*mib-65536+20, raw()[:4]).put(2*mib-65536+52, raw()[4:]), Result{Name: MD, UUID: id.String()}},
		"RAID, copied": {blank().le32(4096, mdMagic, 1).le32(4096+144, 9), Result{}},
		"ZFS":          {blank().put(256<<10+128<<10+2048, "\x00\x00\x00\x00\x00\xba\xb1\x0c"), Result{Name: ZFS}},
		"swap":         {blank().put(4086, "SWAPSPACE2").le32(1024, 1, 511).put(1036, raw()).put(1052, "s-swap"), Result{Name: Swap, UUID: id.String(), Label: "s-swap", BlockSize: 4096, FilesystemBlockSize: 4096, Size: 2 * mib}},
		"swap, other":  {blank().put(4086, "SWAPSPACE2").le32(1024, 2), Result{}},
		"btrfs":        {blank().put(0x10040, "_BHRfS_M").put(0x10020, raw()).put(0x1012b, "pool").le32(0x10070, 2*mib).le32(0x10090, 4096), Result{Name: Btrfs, UUID: id.String(), Label: "pool", BlockSize: 4096, FilesystemBlockSize: 4096, Size: 2 * mib}},
		"squashfs":     {blank().put(0, "hsqs").le32(12, 131072).put(28, "\x04\x00").le32(40, 5000), Result{Name: Squashfs, BlockSize: 131072, FilesystemBlockSize: 131072, Size: 5000}},
		"EROFS":        {blank().le32(1024, 0xe0f5e1e2).put(1036, "\x0c").le32(1060, 3).put(1072, raw()).put(1088, "root"), Result{Name: EROFS, UUID: id.String(), Label: "root", BlockSize: 4096, FilesystemBlockSize: 4096, Size: 12288}},
		"ISO 9660":     {blank().put(32768, "\x01CD001").put(32808, "BASALT  ").le32(32848, 100).put(33581, "2026010203040500"), Result{Name: ISO9660, UUID: "2026-01-02-03-04-05-00", Label: "BASALT", BlockSize: 2048, FilesystemBlockSize: 2048, Size: 204800}},
		"XFS":          {blank().put(0, "XFSB\x00\x00\x10\x00\x00\x00\x00\x00\x00\x00\x01\x00").put(32, raw()).put(102, "\x02\x00").put(108, "STATE"), Result{Name: XFS, UUID: id.String(), Label: "STATE", BlockSize: 512, FilesystemBlockSize: 4096, Size: mib}},
		"XFS, cut off": {blank().put(0, "XFSB\x00\x00\x10\x00").put(102, "\x02\x00").put(126, "\x01"), Result{}},
		"bluestore":    {blank().put(0, "bluestore block device\n"), Result{Name: "bluestore"}},
		"NTFS":         {blank().put(0, "\xeb\x52\x90NTFS    ").put(510, "\x55\xaa"), Result{Name: "ntfs"}},
		"boot code":    {blank().put(510, "\x55\xaa"), Result{}},
	} {
		if diff := cmp.Diff(test.want, look(t, test.image)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestLookAtTables(t *testing.T) {
	disk := make(image, 8*mib)

	table, err := gpt.New(id, int64(len(disk)), 512)
	if err != nil {
		t.Fatal(err)
	}

	if _, err := table.Add("META", gpt.TypeLinuxData, id, mib, 0); err != nil {
		t.Fatal(err)
	}

	if err := table.Write(disk); err != nil {
		t.Fatal(err)
	}

	want := Result{Name: GPT, UUID: id.String(), BlockSize: 512, Size: 8 * mib, Partitions: []Partition{
		{Number: 1, UUID: id.String(), Type: gpt.TypeLinuxData.String(), Label: "META", Offset: mib, Size: mib},
	}}
	if diff := cmp.Diff(want, look(t, disk)); diff != "" {
		t.Error(diff)
	}

	disk[512+20]++
	disk[len(disk)-512+20]++

	if diff := cmp.Diff(Result{Name: GPT}, look(t, disk)); diff != "" {
		t.Errorf("damaged: %s", diff)
	}

	// A partition, and an extended one with two in it.
	entry := func(at int, kind byte, first, count uint32) {
		disk[at+4] = kind
		disk.le32(at+8, first, count)
	}
	disk = make(image, 8*mib).le32(440, 0xcafe0001).put(510, "\x55\xaa").put(100*512+510, "\x55\xaa").put(200*512+510, "\x55\xaa")
	entry(446, 0x83, 8, 16)
	entry(462, 0x0f, 100, 400)
	entry(100*512+446, 0x83, 2, 50)
	entry(100*512+462, 0x05, 100, 60)
	entry(200*512+446, 0x82, 2, 40)

	want = Result{Name: DOS, UUID: "cafe0001", BlockSize: 512, Size: 8 * mib, Partitions: []Partition{
		{Number: 1, UUID: "cafe0001-01", Type: "0x83", Offset: 8 * 512, Size: 16 * 512},
		{Number: 2, UUID: "cafe0001-02", Type: "0x0f", Offset: 100 * 512, Size: 400 * 512},
		{Number: 5, UUID: "cafe0001-05", Type: "0x83", Offset: 102 * 512, Size: 50 * 512},
		{Number: 6, UUID: "cafe0001-06", Type: "0x82", Offset: 202 * 512, Size: 40 * 512},
	}}
	if diff := cmp.Diff(want, look(t, disk)); diff != "" {
		t.Error(diff)
	}
}

// What the programs of other systems make is recognized.
func TestLookAtMade(t *testing.T) {
	for _, test := range []struct{ want, program, args string }{
		{XFS, "mkfs.xfs", "-q -f -m uuid=01234567-89ab-cdef-0123-456789abcdef -L LABEL"},
		{Ext4, "mkfs.ext4", "-q -F -U 01234567-89ab-cdef-0123-456789abcdef -L LABEL"},
		{Ext3, "mkfs.ext3", "-q -F -U 01234567-89ab-cdef-0123-456789abcdef -L LABEL"},
		{Ext2, "mkfs.ext2", "-q -F -U 01234567-89ab-cdef-0123-456789abcdef -L LABEL"},
		{Btrfs, "mkfs.btrfs", "-q -f -U 01234567-89ab-cdef-0123-456789abcdef -L LABEL"},
		{Swap, "mkswap", "-q -U 01234567-89ab-cdef-0123-456789abcdef -L LABEL"},
	} {
		t.Run(test.want, func(t *testing.T) {
			path, err := exec.LookPath(test.program)
			if err != nil {
				t.Skipf("no %s here", test.program)
			}

			file := filepath.Join(t.TempDir(), "image")
			if err := os.WriteFile(file, nil, 0o600); err != nil {
				t.Fatal(err)
			}

			if err := os.Truncate(file, 400*mib); err != nil {
				t.Fatal(err)
			}

			if out, err := exec.Command(path, append(strings.Fields(test.args), file)...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}

			f, err := os.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()

			got, err := Look(Device{Reader: f, Size: 400 * mib, SectorSize: 512})
			if err != nil {
				t.Fatal(err)
			}

			if got.Name != test.want || got.UUID != id.String() || got.Label != "LABEL" || got.Size != 400*mib {
				t.Errorf("got %+v", got)
			}
		})
	}
}

type broken struct{}

var errBroken = errors.New("bad sector")

func (broken) ReadAt([]byte, int64) (int, error) { return 0, errBroken }

func TestLookTellsErrors(t *testing.T) {
	if _, err := Look(Device{Reader: broken{}, Size: mib, SectorSize: 512}); !errors.Is(err, errBroken) {
		t.Errorf("got %v", err)
	}
}

func FuzzLook(f *testing.F) {
	f.Add([]byte("XFSB"), 0, 4096)
	f.Add([]byte("\x5a\x4b\x3c\x2d"), 0, 2*mib)
	f.Add([]byte("\x55\xaa"), 510, 65536)
	f.Add([]byte("\x53\xef"), 1080, 65536)
	f.Add([]byte("EFI PART"), 512, 65536)

	f.Fuzz(func(t *testing.T, data []byte, at, size int) {
		if size < 0 || size > 4*mib || at < 0 || at > size {
			return
		}

		m := make(image, size)
		copy(m[at:], data)

		for _, sector := range []int{512, 2048, 4096} {
			result, err := Look(Device{Reader: m, Size: uint64(size), SectorSize: sector})
			if err != nil {
				t.Errorf("memory has no errors: %v", err)
			}

			if result.Name == "" && !cmp.Equal(result, Result{}) {
				t.Errorf("nothing has properties: %+v", result)
			}
		}
	})
}
