package timesync

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// System is the clock of the machine.
type System struct {
	// RTC is the path of the clock that goes on while the machine is off.
	RTC string
}

// Adjust implements Clock.
func (System) Adjust(timex *unix.Timex) (int, error) { return unix.Adjtimex(timex) }

// After implements Clock.
func (System) After(d time.Duration) <-chan time.Time { return time.After(d) }

// Persist implements Clock.
func (s System) Persist() error {
	file, err := os.Open(s.RTC)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a machine without one
	}

	if err != nil {
		return fmt.Errorf("opening the clock of the machine: %w", err)
	}
	defer file.Close()

	if err := unix.IoctlSetRTCTime(int(file.Fd()), rtc(time.Now())); err != nil {
		return fmt.Errorf("writing %s: %w", s.RTC, err)
	}

	return nil
}

// rtc is a time in the form of the machine's clock, which is in UTC.
func rtc(t time.Time) *unix.RTCTime {
	t = t.UTC()

	return &unix.RTCTime{
		Sec: int32(t.Second()), Min: int32(t.Minute()), Hour: int32(t.Hour()),
		Mday: int32(t.Day()), Mon: int32(t.Month()) - 1, Year: int32(t.Year()) - 1900,
	}
}
