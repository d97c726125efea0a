// Package logs keeps the recent output of every service in memory and reads
// the kernel's log.
//
// Each service has one buffer of lines, bounded in bytes: the oldest lines go
// when new ones need their room. A line carries the time at which it was
// completed. Readers hold a position in the buffer; a reader that is too slow
// loses the lines that were rotated out and is told how many.
package logs

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	// DefaultBufferSize is how many bytes of output a service keeps.
	DefaultBufferSize = 512 << 10

	// maxLine is where a line without an end is cut.
	maxLine = 16 << 10
)

// Line is one line of output without its line feed. The text is shared
// between readers and must not be modified.
type Line struct {
	Time time.Time
	Text []byte
}

// GapError tells a reader that lines were rotated out before it read them.
// The next call of [Reader.Next] continues with the oldest line that is left.
type GapError struct {
	Missed uint64
}

func (e *GapError) Error() string {
	return fmt.Sprintf("following log: %d lines were rotated out before they were read", e.Missed)
}

// Book holds the buffers of all services. Its methods may be called
// concurrently.
type Book struct {
	size int
	now  func() time.Time

	mu      sync.Mutex
	buffers map[string]*Buffer
	opened  chan struct{} // closed and replaced when a buffer is created
}

// NewBook returns a book whose buffers hold size bytes each. The clock stamps
// lines; nil means [time.Now].
func NewBook(size int, now func() time.Time) *Book {
	if now == nil {
		now = time.Now
	}

	return &Book{size: size, now: now, buffers: map[string]*Buffer{}, opened: make(chan struct{})}
}

// Open returns the buffer of a service and creates it when needed.
func (b *Book) Open(id string) *Buffer {
	b.mu.Lock()
	defer b.mu.Unlock()

	buffer := b.buffers[id]
	if buffer == nil {
		buffer = &Buffer{size: b.size, now: b.now, arrive: make(chan struct{})}
		b.buffers[id] = buffer

		close(b.opened)
		b.opened = make(chan struct{})
	}

	return buffer
}

// Lookup returns the buffer of a service, or nil when it never wrote a log.
func (b *Book) Lookup(id string) *Buffer {
	b.mu.Lock()
	defer b.mu.Unlock()

	return b.buffers[id]
}

// IDs returns the names of all buffers in order.
func (b *Book) IDs() []string {
	ids, _ := b.Watch()

	return ids
}

// Watch is IDs with a channel that closes when there is another.
func (b *Book) Watch() ([]string, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()

	ids := make([]string, 0, len(b.buffers))
	for id := range b.buffers {
		ids = append(ids, id)
	}

	slices.Sort(ids)

	return ids, b.opened
}

// Buffer holds the last lines of one service. Its methods may be called
// concurrently.
type Buffer struct {
	size int
	now  func() time.Time

	mu      sync.Mutex
	lines   []Line
	first   uint64 // number of lines[0]
	bytes   int    // of all lines
	partial []byte // beginning of a line that is not complete yet
	arrive  chan struct{}
}

// Write splits p into lines and appends them. It never fails. Concurrent
// writers should write whole lines.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()

	written := len(p)
	complete := false

	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n')
		room := maxLine - len(b.partial)

		switch {
		case end >= 0 && end <= room:
			b.partial = append(b.partial, p[:end]...)
			p = p[end+1:]
		case len(p) >= room:
			b.partial = append(b.partial, p[:room]...)
			p = p[room:]
		default:
			b.partial = append(b.partial, p...)

			p = nil

			continue
		}

		b.add(bytes.Clone(bytes.TrimSuffix(b.partial, []byte("\r"))))
		b.partial = b.partial[:0]
		complete = true
	}

	if complete {
		close(b.arrive)
		b.arrive = make(chan struct{})
	}

	return written, nil
}

func (b *Buffer) add(text []byte) {
	b.lines = append(b.lines, Line{Time: b.now(), Text: text})
	b.bytes += len(text) + 1

	drop := 0
	for b.bytes > b.size && drop < len(b.lines)-1 {
		b.bytes -= len(b.lines[drop].Text) + 1
		drop++
	}

	clear(b.lines[:drop])
	b.lines = b.lines[drop:]
	b.first += uint64(drop)
}

// Reader follows one buffer. It belongs to one goroutine.
type Reader struct {
	buffer *Buffer
	pos    uint64
}

// Follow returns a reader that begins with the last tail lines; a negative
// tail means all lines that are kept.
func (b *Buffer) Follow(tail int) *Reader {
	b.mu.Lock()
	defer b.mu.Unlock()

	skip := 0
	if tail >= 0 && tail < len(b.lines) {
		skip = len(b.lines) - tail
	}

	return &Reader{buffer: b, pos: b.first + uint64(skip)}
}

// TryNext returns the next line, and false when there is none yet. It fails
// with a [*GapError] when lines were lost.
func (r *Reader) TryNext() (Line, bool, error) {
	line, ok, _, err := r.poll()

	return line, ok, err
}

// Next returns the next line and waits for it when there is none yet. It fails
// with a [*GapError] when lines were lost, and with the error of ctx when ctx
// ends first.
func (r *Reader) Next(ctx context.Context) (Line, error) {
	for {
		line, ok, arrive, err := r.poll()
		if ok || err != nil {
			return line, err
		}

		select {
		case <-arrive:
		case <-ctx.Done():
			return Line{}, ctx.Err()
		}
	}
}

func (r *Reader) poll() (Line, bool, <-chan struct{}, error) {
	b := r.buffer

	b.mu.Lock()
	defer b.mu.Unlock()

	if r.pos < b.first {
		missed := b.first - r.pos
		r.pos = b.first

		return Line{}, false, nil, &GapError{Missed: missed}
	}

	if index := r.pos - b.first; index < uint64(len(b.lines)) {
		r.pos++

		return b.lines[index], true, nil, nil
	}

	return Line{}, false, b.arrive, nil
}
