package blockdev_test

import (
	"errors"
	"io"
	"testing"

	"github.com/basalt-os/basalt/internal/blockdev"
	"github.com/basalt-os/basalt/internal/blockdev/crashtest"
)

func TestSection(t *testing.T) {
	disk := crashtest.New(4096, 512)
	s := blockdev.NewSection(disk, 512, 1024)

	if n, err := s.WriteAt([]byte("abcd"), 1020); n != 4 || err != nil {
		t.Fatal(n, err)
	}

	data := make([]byte, 8)
	if n, err := s.ReadAt(data, 1020); n != 4 || !errors.Is(err, io.EOF) || string(data[:4]) != "abcd" {
		t.Errorf("%d bytes, %v: %q", n, err, data)
	}

	if n, err := disk.ReadAt(data, 1532); n != 8 || err != nil || string(data) != "abcd\x00\x00\x00\x00" {
		t.Errorf("%d bytes, %v: %q", n, err, data)
	}

	_, beyond := s.WriteAt([]byte("abcd"), 1021)
	_, before := s.WriteAt([]byte("abcd"), -1)
	_, end := s.ReadAt(data, 1024)

	for _, c := range []struct{ err, want error }{
		{beyond, io.ErrShortWrite}, {before, io.ErrShortWrite}, {end, io.EOF}, {s.Zero(1000, 25), io.ErrShortWrite}, {s.Zero(1000, 24), nil},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%v, want %v", c.err, c.want)
		}
	}

	if _, err := s.ReadAt(data[:4], 1020); err != nil || string(data[:4]) != "\x00\x00\x00\x00" {
		t.Errorf("%q, %v", data, err)
	}
}
