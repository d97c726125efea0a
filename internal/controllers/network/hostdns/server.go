// Package hostdns is the node's own DNS server. It answers the programs of the
// node and, where wanted, cluster DNS: names of cluster members from memory,
// everything else from upstream servers, through a cache.
package hostdns

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// memberTTL is how long clients may keep the address of a cluster member, in
// seconds.
const memberTTL = 10

// Server answers DNS queries. All methods are safe for concurrent use.
type Server struct {
	logger *slog.Logger
	cache  *cache

	mu        sync.RWMutex
	upstreams []*upstream
	members   map[string][]netip.Addr
}

// New returns a server that knows neither upstreams nor members.
func New(logger *slog.Logger) *Server {
	return &Server{logger: logger, cache: newCache(time.Now)}
}

// SetUpstreams replaces the servers that queries are forwarded to, in order of
// preference. What is known about the health of those that stay is kept.
func (s *Server) SetUpstreams(nameservers []Nameserver) {
	s.mu.Lock()
	defer s.mu.Unlock()

	next := make([]*upstream, 0, len(nameservers))

	for _, n := range nameservers {
		i := slices.IndexFunc(s.upstreams, func(u *upstream) bool { return u.Nameserver == n })
		if i >= 0 {
			next = append(next, s.upstreams[i])
		} else {
			next = append(next, newUpstream(n))
		}
	}

	s.upstreams = next
}

// SetMembers replaces the names that are answered from memory. Names are in
// lower case and without the final dot.
func (s *Server) SetMembers(members map[string][]netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()

	s.members = members
}

// Health reports for every upstream whether it answered when last asked.
func (s *Server) Health() map[Nameserver]bool {
	s.mu.RLock()
	defer s.mu.RUnlock()

	out := make(map[Nameserver]bool, len(s.upstreams))
	for _, u := range s.upstreams {
		out[u.Nameserver] = u.healthy()
	}

	return out
}

// ListenAndServe answers on the address, over UDP and TCP, until ctx ends. It
// calls ready once, when both sockets are open.
func (s *Server) ListenAndServe(ctx context.Context, address netip.AddrPort, ready func()) error {
	var config net.ListenConfig

	packets, err := config.ListenPacket(ctx, "udp", address.String())
	if err != nil {
		return fmt.Errorf("listening for DNS on %s/udp: %w", address, err)
	}
	defer packets.Close() //nolint:errcheck // read side only

	streams, err := config.Listen(ctx, "tcp", address.String())
	if err != nil {
		return fmt.Errorf("listening for DNS on %s/tcp: %w", address, err)
	}
	defer streams.Close() //nolint:errcheck // read side only

	ready()

	servers := []*dns.Server{
		{PacketConn: packets, Handler: s, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second},
		{Listener: streams, Handler: s, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second},
	}
	results := make(chan error, len(servers))

	for _, server := range servers {
		go func() { results <- server.ActivateAndServe() }()
	}

	pending := len(servers)

	select {
	case <-ctx.Done():
	case err = <-results:
		pending--
	}

	// Closing the sockets ends both servers, whether they had started or not.
	packets.Close() //nolint:errcheck // the error of serving counts
	streams.Close() //nolint:errcheck // the error of serving counts

	for range pending {
		<-results //nolint:errcheck // the first error counts
	}

	if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
		return nil
	}

	return err
}

// ServeDNS answers one query.
func (s *Server) ServeDNS(w dns.ResponseWriter, query *dns.Msg) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()

	_, tcp := w.RemoteAddr().(*net.TCPAddr)

	reply := s.answer(ctx, query, tcp)
	if !tcp {
		reply.Truncate(udpSize(query))
	}

	if err := w.WriteMsg(reply); err != nil {
		s.logger.Debug("writing DNS reply", "error", err)
	}
}

func udpSize(query *dns.Msg) int {
	if opt := query.IsEdns0(); opt != nil && opt.UDPSize() > dns.MinMsgSize {
		return int(opt.UDPSize())
	}

	return dns.MinMsgSize
}

func (s *Server) answer(ctx context.Context, query *dns.Msg, tcp bool) *dns.Msg {
	if len(query.Question) != 1 || query.Opcode != dns.OpcodeQuery {
		return new(dns.Msg).SetRcode(query, dns.RcodeRefused)
	}

	if reply := s.member(query); reply != nil {
		return reply
	}

	question := query.Question[0]

	if reply := s.cache.get(question, tcp); reply != nil {
		reply.Id = query.Id
		reply.Question = query.Question

		return reply
	}

	reply, err := s.forward(ctx, query, tcp)
	if err != nil {
		s.logger.Debug("forwarding DNS query", "name", question.Name, "error", err)

		return new(dns.Msg).SetRcode(query, dns.RcodeServerFailure)
	}

	s.cache.put(question, reply, tcp)
	reply.Id = query.Id

	return reply
}

// member answers questions for addresses of members; nil means that the name
// is none of them.
func (s *Server) member(query *dns.Msg) *dns.Msg {
	question := query.Question[0]
	name := strings.TrimSuffix(strings.ToLower(question.Name), ".")

	s.mu.RLock()
	addresses, ok := s.members[name]
	s.mu.RUnlock()

	if !ok || question.Qclass != dns.ClassINET {
		return nil
	}

	reply := new(dns.Msg).SetReply(query)
	reply.RecursionAvailable = true

	for _, a := range addresses {
		header := dns.RR_Header{Name: question.Name, Rrtype: question.Qtype, Class: dns.ClassINET, Ttl: memberTTL}

		switch {
		case question.Qtype == dns.TypeA && a.Is4():
			reply.Answer = append(reply.Answer, &dns.A{Hdr: header, A: a.AsSlice()})
		case question.Qtype == dns.TypeAAAA && a.Is6():
			reply.Answer = append(reply.Answer, &dns.AAAA{Hdr: header, AAAA: a.AsSlice()})
		}
	}

	return reply
}

var errNoUpstream = errors.New("no upstream DNS server is configured")

// forward asks the upstreams in turn, those that answered last time first.
func (s *Server) forward(ctx context.Context, query *dns.Msg, tcp bool) (*dns.Msg, error) {
	s.mu.RLock()
	upstreams := slices.Clone(s.upstreams)
	s.mu.RUnlock()

	slices.SortStableFunc(upstreams, func(a, b *upstream) int {
		switch ah, bh := a.healthy(), b.healthy(); {
		case ah == bh:
			return 0
		case ah:
			return -1
		default:
			return 1
		}
	})

	err := errNoUpstream

	for _, u := range upstreams {
		var reply *dns.Msg

		if reply, err = u.exchange(ctx, query, tcp); err == nil {
			return reply, nil
		}
	}

	return nil, err
}
