// Package powerbutton waits for a person, or a hypervisor, to press a machine's
// power button.
package powerbutton

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/uevent"
)

// What the kernel calls keys, in linux/input-event-codes.h.
const (
	eventKey = 1 // EV_KEY

	keyPower  = 116
	keyPower2 = 356

	down = 1 // not 0 for up, or 2 for held
)

// Events are the kernel's events of devices. [uevent.Conn] is one.
type Events interface {
	Receive(ctx context.Context) (uevent.Event, error)
}

// Buttons are the power buttons of the machine, those that it has and those
// that come. Its fields are set before its use.
type Buttons struct {
	Sys, Dev string // where the kernel's file systems are mounted
	Events   Events
	Logger   *slog.Logger
}

// Run calls pressed whenever a button is pressed, from several goroutines, until
// ctx ends. A button that cannot be used is logged.
func (b *Buttons) Run(ctx context.Context, pressed func()) error {
	ctx, cancel := context.WithCancel(ctx)

	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		used = map[string]bool{}
	)

	defer wg.Wait()
	defer cancel()

	look := func() {
		names, _ := filepath.Glob(filepath.Join(b.Sys, "class/input/event*")) //nolint:errcheck // the pattern is fine

		for _, name := range names {
			device := filepath.Base(name)

			mu.Lock()
			skip := used[device] || !hasButton(name)
			mu.Unlock()

			if skip {
				continue
			}

			// Not blocking, so that closing ends a read.
			file, err := os.OpenFile(filepath.Join(b.Dev, "input", device), os.O_RDONLY|unix.O_NONBLOCK, 0)
			if errors.Is(err, fs.ErrNotExist) {
				continue // the kernel is about to make it, and tells when it has
			}

			if err != nil {
				b.Logger.Warn("watching a power button", "device", device, "error", err)

				continue
			}

			mu.Lock()
			used[device] = true
			mu.Unlock()

			wg.Go(func() {
				if err := watch(ctx, file, pressed); err != nil && ctx.Err() == nil {
					b.Logger.Warn("watching a power button", "device", device, "error", err)
				}

				mu.Lock()
				delete(used, device)
				mu.Unlock()
			})
		}
	}

	look()

	for {
		event, err := b.Events.Receive(ctx)

		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, uevent.ErrLost), err == nil && event.Subsystem == "input" && event.Action == uevent.Add:
			look()
		case err != nil:
			return fmt.Errorf("waiting for power buttons: %w", err)
		}
	}
}

// hasButton says whether an input device, by its folder in sysfs, has a key that
// is a power button.
func hasButton(folder string) bool {
	text, err := os.ReadFile(filepath.Join(folder, "device/capabilities/key"))
	if err != nil {
		return false
	}

	keys, err := bitmap(string(text))

	return err == nil && (keys.Bit(keyPower) == 1 || keys.Bit(keyPower2) == 1)
}

// wordSize is the number of bits in a word of the kernel's bitmaps.
const wordSize = 64

// bitmap reads the kernel's form of a set: hexadecimal words, the last one has
// the lowest bits.
func bitmap(text string) (*big.Int, error) {
	set := &big.Int{}

	for word := range strings.FieldsSeq(text) {
		part, ok := new(big.Int).SetString(word, 16)
		if !ok || part.Sign() < 0 || part.BitLen() > wordSize {
			return nil, fmt.Errorf("reading a set of keys: found %q, expected a number", word)
		}

		set.Or(set.Lsh(set, wordSize), part)
	}

	return set, nil
}

// watch reads the events of an input device, and closes it. It ends without an
// error when the device goes.
func watch(ctx context.Context, file *os.File, pressed func()) error {
	stop := context.AfterFunc(ctx, func() { file.Close() }) //nolint:errcheck // read side only
	defer func() {
		if stop() {
			file.Close() //nolint:errcheck // read side only
		}
	}()

	err := read(file, pressed)
	if errors.Is(err, unix.ENODEV) {
		return nil
	}

	return err
}

// read reads events: struct input_event of a 64-bit kernel.
func read(from io.Reader, pressed func()) error {
	const size = 24

	var data [size]byte

	for {
		if _, err := io.ReadFull(from, data[:]); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}

			return fmt.Errorf("reading the events of an input device: %w", err)
		}

		kind, key := binary.NativeEndian.Uint16(data[16:]), binary.NativeEndian.Uint16(data[18:])
		if kind == eventKey && (key == keyPower || key == keyPower2) && binary.NativeEndian.Uint32(data[20:]) == down {
			pressed()
		}
	}
}
