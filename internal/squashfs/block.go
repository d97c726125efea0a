package squashfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"
)

// compressor compresses blocks, each by itself. The kernel has no memory for a
// window larger than a block. It is safe for concurrent use.
func compressor() *zstd.Encoder {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithEncoderCRC(false),
		zstd.WithSingleSegment(true), zstd.WithWindowSize(BlockSize), zstd.WithEncoderConcurrency(runtime.GOMAXPROCS(0)))
	if err != nil {
		panic(err) // the options are constants
	}

	return encoder
}

// job is a block of a file that is being compressed.
type job struct {
	file *node
	data []byte
	done chan []byte // compressed, or data itself when that is not smaller
}

// writeFiles writes the content of all files. Blocks are compressed by all
// processors and written in order.
func (img *image) writeFiles(root *node) error {
	var files []*node

	root.each(func(n *node) {
		if n.Mode.IsRegular() {
			files = append(files, n)
		}
	})

	encoder := compressor()
	defer encoder.Close()

	workers := runtime.GOMAXPROCS(0)
	work, order := make(chan *job, workers), make(chan *job, 4*workers)
	stop := make(chan struct{})

	var group errgroup.Group

	group.Go(func() error {
		defer close(work)
		defer close(order)

		return readAll(files, work, order, stop)
	})

	for range workers {
		group.Go(func() error {
			for j := range work {
				j.done <- pack(encoder, j.data)
			}

			return nil
		})
	}

	err := img.writeBlocks(order)
	close(stop)

	// After an error, nobody writes what is still being compressed.
	for range order { //nolint:revive // emptied so that the others can end
	}

	return errors.Join(err, group.Wait())
}

// readAll cuts files into blocks until stop is closed.
func readAll(files []*node, work, order chan<- *job, stop <-chan struct{}) error {
	for _, file := range files {
		if file.Size == 0 {
			continue
		}

		err := readBlocks(file, func(data []byte) bool {
			j := &job{file: file, data: data, done: make(chan []byte, 1)}

			select {
			case <-stop:
				return false
			case order <- j:
			}

			work <- j

			return true
		})
		if err != nil {
			return fmt.Errorf("reading %s: %w", file.Name, err)
		}
	}

	return nil
}

// readBlocks reads a file block by block until emit says no.
func readBlocks(file *node, emit func([]byte) bool) error {
	content, err := file.Open()
	if err != nil {
		return err
	}
	defer content.Close()

	for left := file.Size; left > 0; {
		block := make([]byte, min(left, BlockSize))

		if _, err := io.ReadFull(content, block); err != nil {
			return fmt.Errorf("%w: it is shorter than %d bytes: %w", ErrSize, file.Size, err)
		}

		if !emit(block) {
			return nil
		}

		left -= int64(len(block))
	}

	if n, _ := content.Read(make([]byte, 1)); n > 0 {
		return fmt.Errorf("%w: it is longer than %d bytes", ErrSize, file.Size)
	}

	return nil
}

func (img *image) writeBlocks(order <-chan *job) error {
	for j := range order {
		packed := <-j.done

		if len(j.file.blocks) == 0 {
			j.file.start = img.at
		}

		size := uint32(len(packed))
		if len(packed) == len(j.data) {
			size |= storedData
		}

		j.file.blocks = append(j.file.blocks, size)

		if err := img.append(packed); err != nil {
			return err
		}
	}

	return nil
}

// pack compresses data, and returns it as it is when that makes it no smaller.
func pack(encoder *zstd.Encoder, data []byte) []byte {
	if packed := encoder.EncodeAll(data, make([]byte, 0, len(data))); len(packed) < len(data) {
		return packed
	}

	return data
}

// metadata is a table of inodes, lists or owners: blocks of 8 KiB, compressed,
// each with its size before it.
type metadata struct {
	blocks  []byte // finished
	current []byte
	encoder *zstd.Encoder
}

// position is where the next byte will be: the block's place in the table, and
// below 16 bits the place in the block.
func (m *metadata) position() uint64 {
	return uint64(len(m.blocks))<<16 | uint64(len(m.current))
}

func (m *metadata) add(data []byte) {
	for len(data) > 0 {
		n := min(len(data), metaSize-len(m.current))
		m.current = append(m.current, data[:n]...)
		data = data[n:]

		if len(m.current) == metaSize {
			m.flush()
		}
	}
}

func (m *metadata) flush() {
	if m.encoder == nil {
		m.encoder = compressor()
	}

	packed := pack(m.encoder, m.current)

	size := uint16(len(packed))
	if len(packed) == len(m.current) {
		size |= storedMeta
	}

	m.blocks = binary.LittleEndian.AppendUint16(m.blocks, size)
	m.blocks = append(m.blocks, packed...)
	m.current = m.current[:0]
}

// finish returns the table.
func (m *metadata) finish() []byte {
	if len(m.current) > 0 {
		m.flush()
	}

	if m.encoder != nil {
		m.encoder.Close()
	}

	return m.blocks
}
