package qemu

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// monitorTimeout bounds the answer to one command.
const monitorTimeout = 10 * time.Second

// errMonitorGone is returned for commands to a machine that has ended.
var errMonitorGone = errors.New("the machine's monitor is gone")

// event is something that QEMU tells about a machine.
type event struct {
	Event string `json:"event"`
	Data  struct {
		Guest  bool   `json:"guest"`
		Reason string `json:"reason"`
		Action string `json:"action"`
	} `json:"data"`
}

// monitor speaks QMP, QEMU's control protocol, over a connection. It is safe
// for concurrent use.
type monitor struct {
	conn io.ReadWriteCloser

	mu      sync.Mutex
	next    int
	waiting map[int]chan reply
	gone    bool
}

type reply struct {
	result json.RawMessage
	err    error
}

// message is anything that QEMU sends.
type message struct {
	ID     *int            `json:"id"`
	Return json.RawMessage `json:"return"`
	Error  *struct {
		Class string `json:"class"`
		Desc  string `json:"desc"`
	} `json:"error"`
	event
}

// newMonitor returns a monitor; its run must be running before commands are
// executed.
func newMonitor(conn io.ReadWriteCloser) *monitor {
	return &monitor{conn: conn, waiting: map[int]chan reply{}}
}

// run reads what QEMU says until the connection ends, and calls handle with
// each event, in order.
func (m *monitor) run(handle func(event)) {
	decoder := json.NewDecoder(m.conn)

	for {
		var msg message
		if err := decoder.Decode(&msg); err != nil {
			break
		}

		switch {
		case msg.Event != "":
			handle(msg.event)
		case msg.ID != nil:
			m.answered(msg)
		}
	}

	m.mu.Lock()
	defer m.mu.Unlock()

	m.gone = true

	for _, waiting := range m.waiting {
		waiting <- reply{err: errMonitorGone}
	}

	clear(m.waiting)
}

func (m *monitor) answered(msg message) {
	m.mu.Lock()
	defer m.mu.Unlock()

	waiting, ok := m.waiting[*msg.ID]
	if !ok {
		return
	}

	delete(m.waiting, *msg.ID)

	if msg.Error != nil {
		waiting <- reply{err: fmt.Errorf("%s: %s", msg.Error.Class, msg.Error.Desc)}

		return
	}

	waiting <- reply{result: msg.Return}
}

// execute runs a command and waits for its result.
func (m *monitor) execute(command string, arguments any) (json.RawMessage, error) {
	answer, id, err := m.send(command, arguments)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", command, err)
	}

	timer := time.NewTimer(monitorTimeout)
	defer timer.Stop()

	select {
	case reply := <-answer:
		if reply.err != nil {
			return nil, fmt.Errorf("%s: %w", command, reply.err)
		}

		return reply.result, nil
	case <-timer.C:
		m.mu.Lock()
		delete(m.waiting, id)
		m.mu.Unlock()

		return nil, fmt.Errorf("%s: no answer within %s", command, monitorTimeout)
	}
}

func (m *monitor) send(command string, arguments any) (<-chan reply, int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()

	if m.gone {
		return nil, 0, errMonitorGone
	}

	m.next++

	data, err := json.Marshal(struct {
		Execute   string `json:"execute"`
		Arguments any    `json:"arguments,omitempty"`
		ID        int    `json:"id"`
	}{command, arguments, m.next})
	if err != nil {
		return nil, 0, err
	}

	answer := make(chan reply, 1)
	m.waiting[m.next] = answer

	if _, err := m.conn.Write(append(data, '\n')); err != nil {
		delete(m.waiting, m.next)

		return nil, 0, err
	}

	return answer, m.next, nil
}
