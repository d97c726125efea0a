package discovery

import (
	"net/netip"
	"time"

	plain "github.com/basalt-os/basalt/api/discovery/affiliate"
	"github.com/basalt-os/basalt/internal/resources/cluster"
)

// Sealer gives tests the ciphers.
type Sealer struct{ s *sealer }

func NewSealer(key []byte) (Sealer, error) {
	s, err := newSealer(key)

	return Sealer{s}, err
}

func (s Sealer) SealEndpoint(e netip.AddrPort) ([]byte, error)    { return s.s.sealEndpoint(e) }
func (s Sealer) OpenEndpoint(data []byte) (netip.AddrPort, error) { return s.s.openEndpoint(data) }
func (s Sealer) Open(data []byte) (*plain.Affiliate, error)       { return s.s.open(data) }

func (s Sealer) Seal(a cluster.Affiliate) ([]byte, error) {
	message, err := toPlain(a)
	if err != nil {
		return nil, err
	}

	return s.s.seal(message)
}

func FromPlain(message *plain.Affiliate) (cluster.Affiliate, error) { return fromPlain(message) }

// Snapshot parses a snapshot and returns it written again.
func Snapshot(data []byte, now time.Time) ([]byte, error) {
	r, err := parseSnapshot(data, now)
	if err != nil {
		return nil, err
	}

	return r.snapshot()
}

// Pending says whether the client has something to tell.
func (c *Client) Pending() bool { return len(c.localChanged) > 0 }

// Told takes what is pending.
func (c *Client) Told() { <-c.localChanged }

// Stats are numbers about the service.
type Stats struct{ Clusters, Affiliates, Endpoints, Watchers int }

// Stats returns the numbers of this moment.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()

	stats := Stats{Clusters: len(s.registry.clusters)}

	for _, c := range s.registry.clusters {
		stats.Affiliates += len(c.affiliates)
		stats.Watchers += len(c.watchers)

		for _, a := range c.affiliates {
			stats.Endpoints += len(a.endpoints)
		}
	}

	return stats
}
