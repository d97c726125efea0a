package server_test

import (
	"encoding/binary"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/emptypb"

	timeapi "github.com/basalt-os/basalt/api/time"
)

// timeServer answers NTP requests with a clock that is ahead.
func timeServer(t *testing.T, ahead time.Duration) string {
	t.Helper()
	connection, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		request := make([]byte, 512)
		for {
			n, from, err := connection.ReadFrom(request)
			if err != nil {
				return
			}
			if n < 48 {
				continue
			}
			now := ntpTime(time.Now().Add(ahead))
			answer := make([]byte, 48)
			answer[0], answer[1], answer[2], answer[3] = 0b00_100_100, 1, 6, 0xe9 // version 4, server, stratum 1
			binary.BigEndian.PutUint64(answer[16:], now)
			copy(answer[24:32], request[40:48]) // the request's time of sending
			binary.BigEndian.PutUint64(answer[32:], now)
			binary.BigEndian.PutUint64(answer[40:], now)
			_, _ = connection.WriteTo(answer, from)
		}
	}()
	t.Cleanup(func() {
		connection.Close()
		<-done
	})
	return connection.LocalAddr().String()
}

// ntpTime counts seconds from 1900 in the upper half, fractions in the lower.
func ntpTime(at time.Time) uint64 {
	const epoch = 2208988800
	return uint64(at.Unix()+epoch)<<32 | uint64(at.Nanosecond())<<32/1e9
}

func TestTime(t *testing.T) {
	n := newNode(t)
	server := timeServer(t, time.Hour)
	n.clock.servers = []string{"127.0.0.1:1", server} // nobody answers at the first
	client := timeapi.NewTimeServiceClient(n.conn)
	check := func(reply *timeapi.TimeResponse, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		got := reply.GetMessages()[0]
		offset := got.GetRemotetime().AsTime().Sub(got.GetLocaltime().AsTime())
		if got.GetServer() != server || offset < time.Hour-time.Minute || offset > time.Hour+time.Minute {
			t.Errorf("got %v, %v ahead", got, offset)
		}
	}
	check(client.Time(t.Context(), &emptypb.Empty{}))
	check(client.TimeCheck(t.Context(), &timeapi.TimeRequest{Server: server}))
}

func TestTimeErrors(t *testing.T) {
	n := newNode(t)
	client := timeapi.NewTimeServiceClient(n.conn)
	_, err := client.Time(t.Context(), &emptypb.Empty{})
	wantCode(t, err, codes.FailedPrecondition)
	_, err = client.TimeCheck(t.Context(), &timeapi.TimeRequest{})
	wantCode(t, err, codes.InvalidArgument)
	_, err = client.TimeCheck(t.Context(), &timeapi.TimeRequest{Server: "127.0.0.1:1"})
	wantCode(t, err, codes.Unavailable)
}
