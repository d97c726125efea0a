package host

import (
	"errors"
	"io/fs"
	"os"
	"sync"
)

// consoleLimit is the size, in bytes, at which a console log is moved aside.
const consoleLimit = 16 << 20

// Console is the log of a node's console. When it has grown large, what there
// is moves to a second file with the suffix ".1", in place of the one before.
// It is safe for concurrent use.
type Console struct {
	path  string
	limit int64

	mu   sync.Mutex
	file *os.File
	size int64
}

// OpenConsole opens the console log at path, to be written at its end.
func OpenConsole(path string) (*Console, error) { return openConsole(path, consoleLimit) }

func openConsole(path string, limit int64) (*Console, error) {
	c := &Console{path: path, limit: limit}

	return c, c.open()
}

func (c *Console) open() error {
	file, err := os.OpenFile(c.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}

	info, err := file.Stat()
	if err != nil {
		return errors.Join(err, file.Close())
	}

	c.file, c.size = file, info.Size()

	return nil
}

// Write writes what the console says.
func (c *Console) Write(data []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()

	if c.file == nil {
		return 0, fs.ErrClosed
	}

	if c.size > 0 && c.size+int64(len(data)) > c.limit {
		if err := c.rotate(); err != nil {
			return 0, err
		}
	}

	n, err := c.file.Write(data)
	c.size += int64(n)

	return n, err
}

func (c *Console) rotate() error {
	err := errors.Join(os.Rename(c.path, c.path+".1"), c.file.Close())
	c.file = nil

	if err != nil {
		return err
	}

	return c.open()
}

// Close closes the log.
func (c *Console) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()

	if c.file == nil {
		return nil
	}

	err := c.file.Close()
	c.file = nil

	return err
}
