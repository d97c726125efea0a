package imager

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// readQCOW2 finds the clusters of a disk by the letter of the format, and
// checks that each cluster has exactly the users that its count says.
func readQCOW2(t *testing.T, image []byte) map[uint64][]byte {
	t.Helper()

	u32 := func(at uint64) uint64 { return uint64(binary.BigEndian.Uint32(image[at:])) }
	u64 := func(at uint64) uint64 { return binary.BigEndian.Uint64(image[at:]) }

	if string(image[:4]) != "QFI\xfb" || u32(4) != 3 || u32(20) != 16 || u32(96) != 4 {
		t.Fatalf("header %x", image[:104])
	}

	disk := map[uint64][]byte{}
	users := map[uint64]int{0: 1}
	use := func(offset uint64) uint64 {
		offset &^= 1 << 63
		users[offset/qcowCluster]++

		return offset
	}

	first := use(u64(40))
	for i := range u32(36) {
		entry := u64(first + 8*i)
		if entry == 0 {
			continue
		}

		second := use(entry)
		for j := range uint64(qcowPerTable) {
			if entry := u64(second + 8*j); entry != 0 {
				disk[i*qcowPerTable+j] = image[use(entry):][:qcowCluster]
			}
		}
	}

	table := use(u64(48))
	for i := range uint64(qcowPerTable) {
		block := u64(table + 8*i)
		if block == 0 {
			break
		}

		use(block)
	}

	for cluster := range uint64(len(image) / qcowCluster) {
		block := u64(table + 8*(cluster/qcowPerCount))

		got := 0
		if block != 0 {
			got = int(binary.BigEndian.Uint16(image[block+2*(cluster%qcowPerCount):]))
		}

		if got != users[cluster] {
			t.Errorf("cluster %d has %d users, its count is %d", cluster, users[cluster], got)
		}
	}

	return disk
}

func TestQCOW2(t *testing.T) {
	const size = 1<<30 + 512 // three second tables, the middle one empty, and part of a cluster

	name := filepath.Join(t.TempDir(), "disk")

	disk, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()

	for _, at := range []int64{0, 100_000, 600_000, size - 5} {
		if _, err := disk.WriteAt([]byte("data!"), at); err != nil {
			t.Fatal(err)
		}
	}

	image, err := os.Create(name + ".qcow2")
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()

	if err := writeQCOW2(image, disk, size); err != nil {
		t.Fatal(err)
	}

	packed, err := os.ReadFile(image.Name())
	if err != nil {
		t.Fatal(err)
	}

	if clusters := len(packed) / qcowCluster; clusters != 4+4+2 {
		t.Errorf("the image has %d clusters", clusters)
	}

	got := readQCOW2(t, packed)
	if len(got) != 4 {
		t.Errorf("%d clusters hold data", len(got))
	}

	for cluster, data := range got {
		want := make([]byte, qcowCluster)
		if _, err := disk.ReadAt(want, int64(cluster)*qcowCluster); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}

		if !bytes.Equal(data, want) {
			t.Errorf("cluster %d holds something else", cluster)
		}
	}

	if err := writeQCOW2(image, disk, size*2); !errors.Is(err, io.EOF) {
		t.Errorf("a disk that is cut off: %v", err)
	}

	if err := writeQCOW2(image, disk, 1<<62); err == nil {
		t.Error("an impossible disk was accepted")
	}
}
