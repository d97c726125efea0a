package hostdns

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// Protocol is how an upstream is spoken to.
type Protocol uint8

// The protocols: plain DNS, DNS over TLS, DNS over HTTPS.
const (
	Do53 Protocol = iota
	DoT
	DoH
)

// Nameserver is an upstream server. It is comparable.
type Nameserver struct {
	Address  netip.Addr
	Protocol Protocol
	// ServerName is what the server's certificate must be for; for DoT and
	// DoH. Empty means the address.
	ServerName string
}

// attemptTimeout bounds one question to one upstream.
const attemptTimeout = 2 * time.Second

// maxReply bounds what is read of an answer over HTTPS, in bytes.
const maxReply = dns.MaxMsgSize

type upstream struct {
	Nameserver

	failed atomic.Bool
	http   *http.Client
}

func newUpstream(n Nameserver) *upstream {
	u := &upstream{Nameserver: n}

	if n.Protocol == DoH {
		address := netip.AddrPortFrom(n.Address, 443).String()
		u.http = &http.Client{Transport: &http.Transport{
			ForceAttemptHTTP2: true,
			TLSClientConfig:   u.tls(),
			// The name of the server must not be resolved through ourselves.
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				var d net.Dialer

				return d.DialContext(ctx, network, address)
			},
		}}
	}

	return u
}

func (u *upstream) healthy() bool { return !u.failed.Load() }

func (u *upstream) tls() *tls.Config {
	name := u.ServerName
	if name == "" {
		name = u.Address.String()
	}

	return &tls.Config{ServerName: name, MinVersion: tls.VersionTLS12}
}

// exchange asks the upstream and remembers whether it answered.
func (u *upstream) exchange(ctx context.Context, query *dns.Msg, tcp bool) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()

	reply, err := u.ask(ctx, query, tcp)
	u.failed.Store(err != nil)

	if err != nil {
		return nil, fmt.Errorf("asking DNS server %s: %w", u.Address, err)
	}

	return reply, nil
}

func (u *upstream) ask(ctx context.Context, query *dns.Msg, tcp bool) (*dns.Msg, error) {
	switch u.Protocol {
	case DoT:
		client := &dns.Client{Net: "tcp-tls", TLSConfig: u.tls(), Timeout: attemptTimeout}
		reply, _, err := client.ExchangeContext(ctx, query, netip.AddrPortFrom(u.Address, 853).String())

		return reply, err
	case DoH:
		return u.askHTTPS(ctx, query)
	}

	client := &dns.Client{Timeout: attemptTimeout, UDPSize: dns.MaxMsgSize}
	if tcp {
		client.Net = "tcp"
	}

	reply, _, err := client.ExchangeContext(ctx, query, netip.AddrPortFrom(u.Address, 53).String())

	return reply, err
}

func (u *upstream) askHTTPS(ctx context.Context, query *dns.Msg) (*dns.Msg, error) {
	wire, err := query.Pack()
	if err != nil {
		return nil, fmt.Errorf("packing query: %w", err)
	}

	url := "https://" + u.tls().ServerName + "/dns-query"

	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(wire))
	if err != nil {
		return nil, err
	}

	request.Header.Set("Content-Type", "application/dns-message")
	request.Header.Set("Accept", "application/dns-message")

	response, err := u.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close() //nolint:errcheck // read side only

	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %s", response.Status)
	}

	body, err := io.ReadAll(io.LimitReader(response.Body, maxReply))
	if err != nil {
		return nil, fmt.Errorf("reading reply: %w", err)
	}

	reply := new(dns.Msg)
	if err := reply.Unpack(body); err != nil {
		return nil, fmt.Errorf("unpacking reply: %w", err)
	}

	return reply, nil
}
