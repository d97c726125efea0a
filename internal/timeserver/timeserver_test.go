package timeserver_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/beevik/ntp"

	"github.com/basalt-os/basalt/internal/timeserver"
)

// TestQuery asks with the client that the node uses.
func TestQuery(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)

	go func() { served <- timeserver.Serve(ctx, conn) }()

	response, err := ntp.QueryWithOptions(conn.LocalAddr().String(), ntp.QueryOptions{Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}

	if err := response.Validate(); err != nil {
		t.Error(err)
	}

	if offset := response.ClockOffset.Abs(); offset > 5*time.Second {
		t.Errorf("this machine's clock is %s away from itself", offset)
	}

	cancel()

	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestNoAnswer(t *testing.T) {
	question := make([]byte, 48)
	question[0] = 4<<3 | 3

	if timeserver.Answer(question, time.Now()) == nil {
		t.Fatal("no answer to a good question")
	}

	for name, change := range map[string]func([]byte) []byte{
		"short":            func(b []byte) []byte { return b[:47] },
		"empty":            func(b []byte) []byte { return nil },
		"an answer":        func(b []byte) []byte { b[0] = 4<<3 | 4; return b },
		"unknown version":  func(b []byte) []byte { b[0] = 7<<3 | 3; return b },
		"forgotten header": func(b []byte) []byte { b[0] = 0; return b },
	} {
		if answer := timeserver.Answer(change(append([]byte(nil), question...)), time.Now()); answer != nil {
			t.Errorf("%s: %x", name, answer)
		}
	}
}
