package hostdns

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

func record(t *testing.T, text string) dns.RR {
	t.Helper()

	rr, err := dns.NewRR(text)
	if err != nil {
		t.Fatal(err)
	}

	return rr
}

func TestCacheLifetime(t *testing.T) {
	t.Parallel()

	soa := "example.com. 3600 IN SOA ns.example.com. root.example.com. 1 1 1 1 20"

	for _, test := range []struct {
		name  string
		reply dns.Msg
		want  time.Duration
	}{
		{"answer", dns.Msg{Answer: []dns.RR{record(t, "a.example.com. 60 IN A 192.0.2.1"), record(t, "a.example.com. 30 IN A 192.0.2.2")}}, 30 * time.Second},
		{"long answer", dns.Msg{Answer: []dns.RR{record(t, "a.example.com. 86400 IN A 192.0.2.1")}}, maxTTL},
		{"no such name", dns.Msg{MsgHdr: dns.MsgHdr{Rcode: dns.RcodeNameError}, Ns: []dns.RR{record(t, soa)}}, 20 * time.Second},
		{"no such name, no authority", dns.Msg{MsgHdr: dns.MsgHdr{Rcode: dns.RcodeNameError}}, 0},
		{"server failure", dns.Msg{MsgHdr: dns.MsgHdr{Rcode: dns.RcodeServerFailure}}, 0},
		{"truncated", dns.Msg{MsgHdr: dns.MsgHdr{Truncated: true}, Answer: []dns.RR{record(t, "a.example.com. 60 IN A 192.0.2.1")}}, 0},
	} {
		if got := lifetime(&test.reply); got != test.want {
			t.Errorf("%s: lifetime = %s, want %s", test.name, got, test.want)
		}
	}
}

func TestCacheAges(t *testing.T) {
	t.Parallel()

	now := time.Unix(0, 0)
	c := newCache(func() time.Time { return now })
	question := dns.Question{Name: "A.example.com.", Qtype: dns.TypeA, Qclass: dns.ClassINET}
	c.put(question, &dns.Msg{Answer: []dns.RR{record(t, "a.example.com. 60 IN A 192.0.2.1")}}, false)

	now = now.Add(20 * time.Second)
	question.Name = "a.EXAMPLE.com."

	reply := c.get(question, false)
	if reply == nil {
		t.Fatal("the answer is not in the cache")
	}

	if ttl := reply.Answer[0].Header().Ttl; ttl != 40 {
		t.Errorf("remaining time = %d, want 40", ttl)
	}

	if c.get(question, true) != nil {
		t.Error("an answer over UDP was given over TCP")
	}

	now = now.Add(40 * time.Second)

	if c.get(question, false) != nil {
		t.Error("the answer outlived its time")
	}
}

func TestMembers(t *testing.T) {
	t.Parallel()

	s := New(slog.New(slog.DiscardHandler))
	s.SetMembers(map[string][]netip.Addr{"worker-1": {netip.MustParseAddr("10.5.0.3"), netip.MustParseAddr("fd00::3")}})

	for _, test := range []struct {
		name  string
		qtype uint16
		rcode int
		want  []string
	}{
		{"Worker-1.", dns.TypeA, dns.RcodeSuccess, []string{"Worker-1.\t10\tIN\tA\t10.5.0.3"}},
		{"worker-1.", dns.TypeAAAA, dns.RcodeSuccess, []string{"worker-1.\t10\tIN\tAAAA\tfd00::3"}},
		{"worker-1.", dns.TypeMX, dns.RcodeSuccess, nil},
		{"worker-2.", dns.TypeA, dns.RcodeServerFailure, nil},
	} {
		reply := s.answer(t.Context(), new(dns.Msg).SetQuestion(test.name, test.qtype), false)

		var got []string
		for _, rr := range reply.Answer {
			got = append(got, rr.String())
		}

		if diff := cmp.Diff(test.want, got); diff != "" || reply.Rcode != test.rcode {
			t.Errorf("%s: code %d, want %d (-want +got):\n%s", test.name, reply.Rcode, test.rcode, diff)
		}
	}
}

func TestListenAndServe(t *testing.T) {
	t.Parallel()

	s := New(slog.New(slog.DiscardHandler))
	s.SetMembers(map[string][]netip.Addr{"cp": {netip.MustParseAddr("10.5.0.2")}})

	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	address := netip.MustParseAddrPort(free.Addr().String())
	free.Close()

	ctx, cancel := context.WithCancel(t.Context())
	ready, done := make(chan struct{}), make(chan error, 1)

	go func() { done <- s.ListenAndServe(ctx, address, func() { close(ready) }) }()

	select {
	case <-ready:
	case err := <-done:
		t.Fatal(err)
	}

	for _, network := range []string{"udp", "tcp"} {
		client := dns.Client{Net: network}

		reply, _, err := client.ExchangeContext(ctx, new(dns.Msg).SetQuestion("cp.", dns.TypeA), address.String())
		if err != nil || len(reply.Answer) != 1 {
			t.Errorf("%s: reply %v, error %v", network, reply, err)
		}
	}

	cancel()

	if err := <-done; err != nil {
		t.Errorf("serving ended with %v", err)
	}
}
