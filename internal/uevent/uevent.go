// Package uevent listens to what the kernel says about devices: that one came,
// went or changed.
//
// The kernel sends each event once and does not wait for anybody: a listener
// that is too slow gets ErrLost, and then has to look at the devices anew. So
// whoever needs the whole picture listens first, then looks, and looks again
// after ErrLost.
package uevent

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Action is what happened to a device. The kernel may send others than these.
type Action string

// What happens to devices.
const (
	Add     Action = "add"
	Remove  Action = "remove"
	Change  Action = "change"
	Move    Action = "move"
	Bind    Action = "bind"
	Unbind  Action = "unbind"
	Online  Action = "online"
	Offline Action = "offline"
)

// Errors of this package.
var (
	// ErrMalformed says that a message is no event of the kernel.
	ErrMalformed = errors.New("malformed event")
	// ErrLost says that events were lost because they came faster than they
	// were received.
	ErrLost = errors.New("events were lost")
)

// Event is one message of the kernel.
type Event struct {
	Action Action
	// DevPath is the device's folder below /sys, with a leading slash.
	DevPath string
	// Subsystem is "block", "net" and so on.
	Subsystem string
	// Sequence rises with each event of the machine.
	Sequence uint64
	// Values are all variables of the event, such as DEVNAME and MODALIAS, the
	// ones above among them.
	Values map[string]string
}

// Parse reads a message: "action@devpath" and then variables "KEY=value", each
// ended by a zero byte.
func Parse(data []byte) (Event, error) {
	head, rest, ok := bytes.Cut(data, []byte{0})
	if !ok {
		return Event{}, fmt.Errorf("reading event: %w: it has no end", ErrMalformed)
	}

	action, path, ok := strings.Cut(string(head), "@")
	if !ok || action == "" || !strings.HasPrefix(path, "/") {
		return Event{}, fmt.Errorf("reading event: %w: it begins with %q", ErrMalformed, head)
	}

	e := Event{Action: Action(action), DevPath: path, Values: map[string]string{}}

	for line := range bytes.SplitSeq(rest, []byte{0}) {
		if len(line) == 0 {
			continue
		}

		key, value, ok := strings.Cut(string(line), "=")
		if !ok || key == "" {
			return Event{}, fmt.Errorf("reading event: %w: variable %q", ErrMalformed, line)
		}

		e.Values[key] = value
	}

	return e, e.take()
}

// take sets the fields that are variables too, and checks those that say the
// same as the head.
func (e *Event) take() error {
	if v, ok := e.Values["ACTION"]; ok && v != string(e.Action) {
		return fmt.Errorf("reading event: %w: action %q and %q", ErrMalformed, e.Action, v)
	}

	if v, ok := e.Values["DEVPATH"]; ok && v != e.DevPath {
		return fmt.Errorf("reading event: %w: device %q and %q", ErrMalformed, e.DevPath, v)
	}

	e.Subsystem = e.Values["SUBSYSTEM"]

	v, ok := e.Values["SEQNUM"]
	if !ok {
		return nil
	}

	var err error
	if e.Sequence, err = strconv.ParseUint(v, 10, 64); err != nil {
		return fmt.Errorf("reading event: %w: sequence number %q", ErrMalformed, v)
	}

	return nil
}
